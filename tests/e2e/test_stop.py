"""Stopping: sessions may end, new clients are refused, and patience has an end."""

import shutil
import signal
import socket

import pytest

from deadline import eventually
from peers import accept, ask, connect, endpoint_of, is_reset, listen, read_exactly, refuses
from program import Relay, hvrelay

WORKERS = pytest.mark.parametrize("workers", [1, 4])
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


class Session:
    """One session in progress, and the relay that has it."""

    def __init__(self, relays, *settings):
        self.target = listen()
        self.relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(self.target), *settings)
        self.client = connect(self.relay.address())
        self.server = accept(self.target)
        self.works()

    def works(self):
        for ours, theirs in ((self.client, self.server), (self.server, self.client)):
            ours.sendall(b"still here")
            assert read_exactly(theirs, 10) == b"still here"

    def end(self):
        self.client.shutdown(socket.SHUT_WR)
        assert self.server.recv(1) == b""
        self.server.shutdown(socket.SHUT_WR)
        assert self.client.recv(1) == b""

    def close(self):
        for stream in (self.client, self.server, self.target):
            stream.close()


def refuses_by_now(where):
    """A client that comes as the socket is being closed is reset: ask again."""
    try:
        return refuses(where)
    except ConnectionResetError:
        return False


@pytest.fixture
def begin(relays):
    begun = []

    def start(*settings):
        begun.append(Session(relays, *settings))
        return begun[-1]

    yield start
    for session in begun:
        session.close()


@SIGNALS
@WORKERS
def test_without_sessions_it_stops_at_once(relays, echo_server, number, workers):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"workers={workers}")
    assert ask(relay.address()) == b"hello"
    relay.signal(number)
    assert relay.wait() == 0
    relay.wait_log(r"info: asked to stop: no more clients are accepted, \d+ sessions may end")


@SIGNALS
@WORKERS
def test_a_session_in_progress_may_end(begin, number, workers):
    session = begin(f"workers={workers}")
    session.relay.signal(number)
    session.relay.wait_log("no more clients are accepted")
    session.works()
    session.end()
    assert session.relay.wait() == 0
    session.relay.wait_log("session 1: .*: done after")


@WORKERS
def test_new_clients_are_refused_meanwhile(begin, workers):
    session = begin(f"workers={workers}")
    where = session.relay.address()
    session.relay.signal(signal.SIGTERM)
    session.relay.wait_log("no more clients are accepted")
    eventually(lambda: refuses_by_now(where), "a refusal")
    session.works()


@WORKERS
def test_all_forwards_refuse_meanwhile(relays, echo_server, workers):
    relay = relays.run(f"[hvrelay]\nworkers = {workers}\n" + "".join(
        f"[forward {name}]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
        for name in "abc"
    ))
    with connect(relay.address("b")) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        relay.signal(signal.SIGTERM)
        for name in "abc":
            eventually(lambda: refuses_by_now(relay.address(name)), "a refusal")


def test_the_address_is_free_meanwhile(begin, relays, echo_server):
    """The next one can start while the last sessions of this one end."""
    session = begin()
    where = session.relay.address()
    session.relay.signal(signal.SIGTERM)
    session.relay.wait_log("no more clients are accepted")
    eventually(lambda: refuses_by_now(where), "a refusal")
    relays.forward(f"tcp:127.0.0.1:{where[1]}", echo_server.endpoint)
    assert ask(where) == b"hello"
    session.works()


@WORKERS
def test_after_drain_timeout_sessions_are_reset(begin, workers):
    session = begin("drain_timeout=100ms", f"workers={workers}")
    session.relay.signal(signal.SIGTERM)
    assert session.relay.wait() == 0
    assert is_reset(session.client)
    assert is_reset(session.server)
    session.relay.wait_log("warning: stopping now: 1 sessions are reset")
    session.relay.wait_log("session 1: .*: broken after .*, 10 B up, 10 B down: hvrelay stops")


@WORKERS
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(begin, workers, second):
    session = begin("drain_timeout=off", f"workers={workers}")
    session.relay.signal(signal.SIGTERM)
    where = session.relay.address()
    eventually(lambda: refuses_by_now(where), "a refusal")
    session.works()  # the first signal has broken nothing
    session.relay.signal(second)
    assert session.relay.wait() == 0
    assert is_reset(session.client)
    assert is_reset(session.server)
    session.relay.wait_log("session 1: .*: broken after .*, 20 B up, 20 B down: hvrelay stops")


@WORKERS
def test_a_second_signal_where_no_session_is(relays, workers):
    """Nothing is reset, so nothing is said of it."""
    relay = relays.forward("tcp:127.0.0.1:0", "unix:@nobody", f"workers={workers}")
    with relay.frozen():  # both signals come before it can end
        relay.signal(signal.SIGTERM)
        relay.signal(signal.SIGINT)
    assert relay.wait() == 0
    assert not [line for line in relay.log if "stopping now" in line or "reset" in line]


@pytest.fixture
def waiting(relays, folder):
    """A relay, and a client that waits for its target, which is to listen at a path."""
    target = f"{folder}/target"
    relay = relays.forward(
        "tcp:127.0.0.1:0", f"unix:{target}", "connect_retry=1h", "drain_timeout=off"
    )
    before = relay.sockets()
    with connect(relay.address()) as client:
        eventually(lambda: relay.sockets() > before, "the client's session")
        relay.signal(signal.SIGTERM)
        relay.wait_log("no more clients are accepted, 1 sessions may end")
        yield relay, client, target


def test_a_client_that_waits_for_its_target_may_go_on(waiting):
    """The first signal leaves it in peace: once its target is there, it is served."""
    relay, client, path = waiting
    with listen(path) as target, accept(target) as server:
        client.sendall(b"hello")
        assert read_exactly(server, 5) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
    assert client.recv(1) == b""
    assert relay.wait() == 0
    relay.wait_log("session 1: .*: done after .*, 5 B up, 0 B down$")


def test_a_client_that_waits_for_its_target_is_let_go(waiting):
    """By the second one."""
    relay, client, _ = waiting
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):  # neither reset nor ended by the first
        client.recv(1)
    relay.signal(signal.SIGTERM)
    assert relay.wait() == 0
    assert is_reset(client)
    relay.wait_log("session 1: .*: refused after .*: hvrelay stops")


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_killed_it_leaves_no_clean_end(pump):
    """Nobody can ask a killed process to reset its sessions: the kernel must do it."""
    with listen() as target:
        relay = Relay("forward", "tcp:127.0.0.1:0", endpoint_of(target), "-o", f"pump={pump}")
        try:
            client = connect(relay.wait_ready().address())
            server = accept(target)
            server.sendall(b"the first half")
            assert read_exactly(client, 14) == b"the first half"
        finally:
            relay.signal(signal.SIGKILL)
            relay.wait()
        assert is_reset(client)
        assert is_reset(server)
        client.close()
        server.close()


def test_many_sessions(relays, clients):
    """A hundred on four workers: one half ends by itself, the other is broken off."""
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), "workers=4")
        crowd = [clients(relay.address()) for _ in range(100)]
        for number, client in enumerate(crowd):
            client.sendall(b"%03d" % number)
        streams = [accept(target) for _ in crowd]
        relay.signal(signal.SIGTERM)
        relay.wait_log("no more clients are accepted, 100 sessions may end")  # or two become one
        for stream in streams:
            if read_exactly(stream, 3) < b"050":
                stream.shutdown(socket.SHUT_WR)
        for client in crowd[:50]:
            client.shutdown(socket.SHUT_WR)
        relay.wait_log("session .*: done after", count=50)
        relay.signal(signal.SIGTERM)
        assert relay.wait() == 0
        assert all(is_reset(client) for client in crowd[50:])
        for stream in streams:
            stream.close()


def test_signals_to_the_last_moment(relays):
    """Whoever goes on asking does not kill it: under valgrind, slowly, it has many last moments."""
    valgrind = ["valgrind", "--quiet", "--tool=none"]
    if not shutil.which("valgrind"):
        pytest.skip("there is no valgrind(1)")
    if hvrelay("--version", wrapper=valgrind).returncode != 0:
        pytest.skip("valgrind can't run a program that is built with a sanitizer")
    for _ in range(15):
        relay = relays.forward("tcp:127.0.0.1:0", "tcp:127.0.0.1:1", wrapper=valgrind)
        while relay.process.poll() is None:
            relay.signal(signal.SIGTERM)
        assert relay.wait() == 0
