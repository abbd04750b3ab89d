"""Targets with several addresses: what is dead among them costs a client little, and the log says
why when none of them serves."""

import contextlib
import signal
import socket
import subprocess
import time

import pytest

import namespace
from deadline import PATIENCE, eventually
from peers import accept, ask, connect, is_turned_away, listen, read_to_end, reset
from program import is_sanitized


@pytest.fixture(autouse=True)
def names():
    namespace.require()


class Swallower:
    """An address whose queue is full: what comes is dropped, and nobody gets an answer."""

    def __init__(self, where):
        self.listener = listen(where)
        self.listener.listen(0)
        self.where = self.listener.getsockname()
        self.waiting = [socket.create_connection(self.where[:2], PATIENCE)]

    def accept_all(self):
        """Makes room: how many came, and what the clients sent that the test did not start."""
        mine, sent = len(self.waiting), []
        self.listener.settimeout(2)  # a dropped SYN is sent again after one second
        with contextlib.suppress(TimeoutError):
            while True:
                stream, _ = self.listener.accept()
                with stream:
                    if mine > 0:
                        mine -= 1
                        continue
                    stream.settimeout(PATIENCE)
                    with contextlib.suppress(ConnectionResetError):
                        sent.append(stream.recv(100))
        return b"".join(sent)

    def accept_another(self):
        """Makes room, and waits for the one that the test did not start."""
        accept(self.listener).close()
        return accept(self.listener)

    def close(self):
        self.listener.close()
        for client in self.waiting:
            client.close()


@pytest.fixture
def swallowers(relays):
    opened = []

    def start(host, port=0):
        opened.append(Swallower((host, port)))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def named(folder, *hosts):
    """A wrapper under which `twin.test` has these addresses, and the order they are found in."""
    wrapper = namespace.with_hosts(folder, "".join(f"{host} twin.test\n" for host in hosts))
    lines = subprocess.check_output([*wrapper, "getent", "ahosts", "twin.test"], text=True)
    order = [line.split()[0] for line in lines.splitlines() if "STREAM" in line]
    assert sorted(order) == sorted(hosts)
    return wrapper, order


def forward(relays, wrapper, port, *settings):
    return relays.forward("tcp:127.0.0.1:0", f"tcp:twin.test:{port}", *settings, wrapper=wrapper)


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("hosts", [("127.0.0.2", "127.0.0.3"), ("::1", "127.0.0.1")])
def test_a_dead_first_address_costs_a_moment(relays, servers, swallowers, folder, hosts, pump):
    """Seen: the client was reset after connect_timeout, and the second address never tried."""
    wrapper, (dead, alive) = named(folder, *hosts)
    server = servers(where=(alive, 0))
    swallower = swallowers(dead, server.port)
    relay = forward(relays, wrapper, server.port, "connect_timeout=12s", f"pump={pump}")
    begin = time.monotonic()
    assert ask(relay.address()) == b"hello"
    assert time.monotonic() - begin < 6  # half of connect_timeout; it takes a quarter of a second
    assert swallower.accept_all() == b""  # the attempt that lost is over, and sends nothing


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_of_two_that_connect_at_once_one_is_reset(relays, swallowers, folder, pump):
    """The relay is stopped while both connect, so it finds both in the same turn."""
    wrapper, (first, second) = named(folder, "127.0.0.2", "127.0.0.3")
    both = [swallowers(first)]
    both.append(swallowers(second, both[0].where[1]))
    relay = forward(relays, wrapper, both[0].where[1], "connect_timeout=15s", f"pump={pump}")
    with connect(relay.address()) as client:
        client.sendall(b"hello")
        eventually(lambda: len(sockets_to(relay, both[0].where[1])) == 2, "a second attempt")
        relay.signal(signal.SIGSTOP)
        streams = [one.accept_another() for one in both]
        relay.signal(signal.SIGCONT)
        ends = [first_of(stream) for stream in streams]
        assert sorted(ends) == ["hello", "reset"]
        streams[ends.index("hello")].sendall(b"answer")
        assert client.recv(6) == b"answer"
    for stream in streams:
        stream.close()


def sockets_to(relay, port):
    """The attempts of a relay that are under way, by the kernel's table."""
    with open(f"/proc/{relay.pid}/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [row for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "02"]


def first_of(stream):
    try:
        return stream.recv(5).decode() or "end"
    except ConnectionResetError:
        return "reset"


def test_seven_dead_addresses(relays, servers, swallowers, folder):
    """More than are under way at once: each gets its share of connect_timeout."""
    wrapper, order = named(folder, *(f"127.0.0.{i}" for i in range(2, 10)))
    server = servers(where=(order[-1], 0))
    for dead in order[:-1]:
        swallowers(dead, server.port)
    relay = forward(relays, wrapper, server.port, "connect_timeout=6s")
    assert ask(relay.address()) == b"hello"


def test_all_addresses_are_dead(relays, swallowers, folder):
    wrapper, (first, second) = named(folder, "127.0.0.2", "127.0.0.3")
    port = swallowers(first).where[1]
    swallowers(second, port)
    relay = forward(relays, wrapper, port, "connect_timeout=1s")
    begin = time.monotonic()
    assert is_turned_away(relay.address())
    assert time.monotonic() - begin >= 1
    relay.wait_log(
        f"session 1: .*: refused after .*: cannot connect to 'tcp:twin.test:{port}': "
        rf"127\.0\.0\.[23]: connection timed out"
    )
    assert relay.stop() == 0
    assert len([line for line in relay.log if "refused after" in line]) == 1


def test_an_address_out_of_reach_does_not_hide_why_the_other_failed(relays, folder):
    """This machine has no way to one of them; that the other refuses is what helps."""
    hosts = namespace.with_hosts(folder, "2001:db8::1 twin.test\n127.0.0.1 twin.test\n")
    with listen() as somebody:
        port = somebody.getsockname()[1]
    relay = relays.forward(
        f"unix:{folder}/in.sock",
        f"tcp:twin.test:{port}",
        wrapper=[*namespace.alone(), *hosts],
    )
    assert read_to_end(connect(f"{folder}/in.sock")) == b""
    relay.wait_log(r"127\.0\.0\.1: connection refused \(nobody listens there\)$")


def test_what_served_last_is_tried_first(relays, servers, folder):
    wrapper, (first, second) = named(folder, "127.0.0.2", "127.0.0.3")
    server = servers(where=(second, 0))
    relay = forward(relays, wrapper, server.port)
    assert ask(relay.address()) == b"hello"  # the first refuses
    with listen((first, server.port)) as back_again:
        for count in (2, 3):
            assert ask(relay.address()) == b"hello"
            assert server.served == count
        back_again.setblocking(False)
        with pytest.raises(BlockingIOError):
            back_again.accept()


def test_what_served_last_is_no_longer_good(relays, servers, folder):
    wrapper, (first, second) = named(folder, "127.0.0.2", "127.0.0.3")
    gone = servers(where=(second, 0))
    relay = forward(relays, wrapper, gone.port)
    assert ask(relay.address()) == b"hello"
    gone.close()
    server = servers(where=(first, gone.port))
    for count in (1, 2):
        assert ask(relay.address()) == b"hello"
        assert server.served == count


def test_the_second_round_races_too(relays, servers, swallowers, folder):
    """The first address swallows, the second refuses in the first rounds and then serves."""
    wrapper, (dead, alive) = named(folder, "127.0.0.2", "127.0.0.3")
    port = swallowers(dead).where[1]
    relay = forward(relays, wrapper, port, "connect_timeout=1s", "connect_retry=20s")
    with connect(relay.address()) as client:
        client.sendall(b"hello")
        time.sleep(1.5)  # longer than a round; a later one would only be later
        servers(where=(alive, port))
        assert client.recv(5) == b"hello"


def test_without_descriptors_to_spare_they_are_tried_one_after_another(
    relays, servers, swallowers, folder
):
    if is_sanitized():
        pytest.skip("a sanitizer has descriptors of its own")
    wrapper, (dead, alive) = named(folder, "127.0.0.2", "127.0.0.3")
    server = servers(where=(alive, 0))
    swallowers(dead, server.port)
    relay = starved(relays, wrapper, server.port)
    assert ask(relay.address()) == b"hello"
    assert ask(relay.address()) == b"hello"
    assert server.served == 2


def starved(relays, wrapper, port):
    """A relay with the lowest limit at which it lets in a client."""
    for limit in range(24, 64):
        relay = relays.start(
            *("forward", "tcp:127.0.0.1:0", f"tcp:twin.test:{port}", "-o", "connect_timeout=3s"),
            wrapper=["prlimit", f"--nofile={limit}:{limit}", *wrapper],
        )
        eventually(lambda: relay.process.poll() is not None or "ready" in relay.output)
        if "ready" in relay.output:
            return relay.expect("no descriptors are left, clients wait")
        relay.wait_log("error: the limit on open files leaves none for a session")
    raise AssertionError("no limit is enough")


def test_a_client_that_leaves_ends_all_attempts(relays, swallowers, folder):
    wrapper, (first, second) = named(folder, "127.0.0.2", "127.0.0.3")
    swallower = swallowers(first)
    port = swallower.where[1]
    other = swallowers(second, port)
    relay = forward(relays, wrapper, port, "connect_timeout=15s")

    def sockets():
        return sum("socket:" in what for what in relay.descriptors().values())

    before = sockets()
    client = connect(relay.address())
    eventually(lambda: sockets() == before + 3, "an attempt beside the first")
    reset(client)
    relay.wait_log("the client left before the target answered")
    assert sockets() == before
    assert swallower.accept_all() == other.accept_all() == b""


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "0.0.0.0"])
def test_nothing_connects_to_itself(relays, folder, host, pump):
    """Nobody listens on the only port that the system may pick for an attempt. Seen: TCP connects
    the socket to itself, and the client reads its own bytes."""
    relay = relays.forward(
        f"unix:{folder}/in.sock",
        f"tcp:{host}:40000",
        f"pump={pump}",
        wrapper=namespace.alone("echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range"),
    )
    with connect(f"{folder}/in.sock") as client:
        with contextlib.suppress(BrokenPipeError):
            client.sendall(b"hello")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(5) == b""
    relay.wait_log("session 1: .* refused after .*: connection refused .nobody listens there")
