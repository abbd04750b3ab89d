"""Listening sockets at a reload: whose they become, who may connect, and what is not lost."""

import contextlib
import os
import re
import signal
import socket
import stat
import struct
import threading

import pytest

from deadline import eventually
from peers import accept, ask, connect, endpoint_of, exchange, listen, read_exactly, refuses
from program import ENVIRONMENT
from sockets import LISTENING, free_port, listening, shared, tcp_sockets

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def access_of(path):
    info = os.lstat(path)
    return stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid


def bystander(stack, where, target):
    """A session; what is returned says whether it still passes bytes."""
    client = stack.enter_context(connect(where))
    client.sendall(b"x")
    server = stack.enter_context(accept(target))
    assert read_exactly(server, 1) == b"x"

    def passes():
        client.sendall(b"x")
        assert read_exactly(server, 1) == b"x"
        server.sendall(b"y")
        return read_exactly(client, 1) == b"y"

    return passes


@pytest.mark.parametrize("name", ["a", "renamed"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_kept_socket_has_its_new_mode_when_the_reload_returns(
    service, folder, echo_server, name, workers
):
    where = f"{folder}/a.sock"

    def forward(mode):
        return f"unix:{where}", echo_server.endpoint, f"socket_mode = {mode}"

    service.start({"a": forward("0666")}, program=f"workers = {workers}")
    number = os.lstat(where).st_ino
    for turn, mode in enumerate(("0600", "0660", "0606", "0600")):
        service.change({name if turn % 2 == 0 else "a": forward(mode)})
        assert access_of(where)[0] == int(mode, 8)
        assert os.lstat(where).st_ino == number
        assert ask(where) == b"hello"


@as_root
@pytest.mark.parametrize("name", ["a", "renamed"])
def test_a_kept_socket_has_its_new_owner(service, folder, echo_server, name):
    """Without socket_owner it is again the one that hvrelay runs as."""
    where = f"{folder}/a.sock"
    forward = (f"unix:{where}", echo_server.endpoint)
    service.start({"a": (*forward, "socket_owner = root:root", "socket_mode = 0660")})
    mine = access_of(where)[1:]
    owners = {"socket_owner = nobody": (65534, mine[1]), "socket_owner = :adm": (mine[0], 4)}
    for turn, (line, owner) in enumerate([*owners.items(), ("", mine)]):
        service.change({name if turn % 2 == 0 else "a": (*forward, line)})
        assert access_of(where) == (0o600, *owner)


@as_root
def test_meanwhile_it_is_open_to_nobody_new(service, folder, echo_server):
    """0660 for one group becomes 0600 for another user and group: never 0660 for those."""
    where = f"{folder}/a.sock"
    forward = (f"unix:{where}", echo_server.endpoint)
    lines = [
        ("socket_mode = 0660", "socket_owner = root:adm"),
        ("socket_mode = 0606", "socket_owner = nobody:nogroup"),
    ]
    service.start({"a": (*forward, *lines[0])})
    seen, done = set(), threading.Event()

    def look():
        while not done.is_set():
            seen.add(access_of(where))

    looking = threading.Thread(target=look)
    looking.start()
    for turn in range(60):
        service.change({"a": (*forward, *lines[(turn + 1) % 2])})
    done.set()
    looking.join()
    for mode, user, group in seen:
        assert mode in (0o660, 0o606, 0o600)
        assert mode != 0o660 or (user, group) == (0, 4)
        assert mode != 0o606 or (user, group) == (65534, 65534)


def moves_between(port):
    return {
        "all": (f"tcp:127.0.0.1:{port}", f"tcp:*:{port}"),
        "name": (f"tcp:127.0.0.1:{port}", f"tcp:localhost:{port}"),
        "v4": (f"tcp:0.0.0.0:{port}", f"tcp:127.0.0.1:{port}"),
        "versions": (f"tcp:127.0.0.1:{port}", f"tcp:*:{port}", f"tcp:0.0.0.0:{port}"),
    }


@pytest.mark.parametrize("how", moves_between(0))
@pytest.mark.parametrize("name", ["a", "renamed"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_address_that_overlaps_the_old_one(service, folder, how, name, workers):
    """There and back. No client is refused, sessions go on."""
    port = free_port()
    where = ("127.0.0.1", port)
    steps = moves_between(port)[how]
    with listen() as target, contextlib.ExitStack() as stack:
        keep = {"keep": (f"unix:{folder}/keep.sock", endpoint_of(target))}
        service.start(
            {**keep, "a": (steps[0], endpoint_of(target), "allow = all")},
            program=f"workers = {workers}",
        )
        checks = [
            bystander(stack, f"{folder}/keep.sock", target),
            bystander(stack, where, target),
        ]
        for turn, step in enumerate([*steps[1:], *reversed(steps[:-1])] * 3):
            forward = (step, endpoint_of(target), "allow = all")
            service.change({**keep, name if turn % 2 == 0 else "a": forward})
            assert not refuses(("127.0.0.1", port))
            with accept(target):
                pass
            checks.append(bystander(stack, where, target))
            assert all(passes() for passes in checks)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_address_by_another_name_loses_nobody(service, servers, workers):
    """Clients wait in its queue, for there is no room, while it changes hands."""
    port = free_port()
    server = servers()
    forward = (server.endpoint, "max_sessions = 1")
    service.start({"a": (f"tcp:127.0.0.1:{port}", *forward)}, program=f"workers = {workers}")
    crowd = [connect(("127.0.0.1", port)) for _ in range(10)]
    for turn in range(6):
        host = ("localhost", "127.0.0.1")[turn % 2]
        service.change({"a": (f"tcp:{host}:{port}", *forward)})
    for client in crowd:
        with client:
            assert exchange(client, b"hello") == b"hello"


def test_two_forwards_swap_their_ports(service, servers):
    ports = free_port(), free_port()
    targets = [
        servers(serve=lambda stream, name=name: stream.sendall(stream.recv(9) and name))
        for name in (b"one", b"two")
    ]
    for names in ("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"):
        for turn in range(4):
            forwards = {
                name: (f"tcp:{names[turn % 2]}:{ports[(i + turn) % 2]}", target.endpoint)
                for i, (name, target) in enumerate(zip("ab", targets))
            }
            if service.relay is None:
                service.start(forwards)
            service.change(forwards)
            assert ask(("127.0.0.1", ports[turn % 2])) == b"one"
            assert ask(("127.0.0.1", ports[1 - turn % 2])) == b"two"


@pytest.mark.parametrize("added", ["tcp:*:{}", "tcp:localhost:{}"])
def test_what_stays_is_still_in_the_way(service, echo_server, added):
    """A start with that file would fail, so a reload does."""
    port = free_port()
    first = {"a": (f"tcp:127.0.0.1:{port}", echo_server.endpoint)}
    service.start(first)
    service.write({**first, "b": (added.format(port), echo_server.endpoint, "allow = all")})
    done = service.reload()
    assert done.returncode == 1
    assert re.search("nothing was changed: forward 'b': .*address already in use", done.stderr)
    assert ask(("127.0.0.1", port)) == b"hello"
    service.change(first)


def test_no_second_one_shares_the_port_afterwards(service, echo_server, relays):
    port = free_port()
    allow = "allow = all"
    service.start({"a": (f"tcp:127.0.0.1:{port}", echo_server.endpoint, allow)})
    for where in (f"tcp:*:{port}", f"tcp:127.0.0.1:{port}"):
        service.change({"a": (where, echo_server.endpoint, allow)})
        second = relays.start("forward", f"tcp:127.0.0.1:{port}", echo_server.endpoint)
        assert second.wait() == 1
        second.wait_log("address already in use")


def test_a_socket_file_that_was_removed_is_made_again(service, folder, echo_server):
    where, other = f"{folder}/a.sock", f"{folder}/b.sock"
    forwards = {
        "a": (f"unix:{where}", echo_server.endpoint),
        "b": (f"unix:{other}", echo_server.endpoint),
    }
    relay = service.start(forwards, program="workers = 2")
    stays = os.lstat(other).st_ino
    for turn in range(3):
        with connect(where) as client:
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
            os.unlink(where)
            service.change(forwards)
            assert exchange(client, b"hello") == b"hello"
        assert ask(where) == b"hello"
        assert access_of(where)[0] == 0o600
        assert os.lstat(other).st_ino == stays
        eventually(lambda: len(listening(relay)) == 3, "the old one's end")
    assert relay.stop() == 0
    assert not os.path.lexists(where)


def test_a_path_is_renamed(service, folder, echo_server):
    service.start({"a": (f"unix:{folder}/0.sock", echo_server.endpoint)}, program="workers = 2")
    for turn in range(1, 4):
        service.change({"a": (f"unix:{folder}/{turn}.sock", echo_server.endpoint)})
        assert ask(f"{folder}/{turn}.sock") == b"hello"
        assert not os.path.lexists(f"{folder}/{turn - 1}.sock")


def option_of(relay, client, level, name):
    """A socket option of the relay's end of a client's connection."""
    mine = client.getsockname()[1]
    (number,) = (number for number, _, _, peer in tcp_sockets(relay) if peer == mine)
    with shared(relay, number) as theirs:
        return theirs.getsockopt(level, name)


USER_TIMEOUT, KEEPIDLE = 18, 4


@pytest.mark.parametrize("name", ["a", "renamed"])
def test_options_of_accepted_sockets_change(service, echo_server, clients, name):
    """Set, set to something else, and left to the system again."""
    port = free_port()
    forward = (f"tcp:127.0.0.1:{port}", echo_server.endpoint)

    def options():
        client = clients(("127.0.0.1", port))
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        return tuple(
            option_of(service.relay, client, level, option)
            for level, option in (
                (socket.IPPROTO_TCP, USER_TIMEOUT),
                (socket.SOL_SOCKET, socket.SO_RCVBUF),
                (socket.SOL_SOCKET, socket.SO_SNDBUF),
            )
        )

    service.start({"a": forward})
    plain = options()
    for turn in range(2):
        service.change(
            {name: (*forward, "user_timeout = 7s", "receive_buffer = 8KiB", "send_buffer = 16KiB")}
        )
        assert options() == (7000, 16384, 32768)
        service.change({"a": (*forward, "user_timeout = 9s", "send_buffer = 8KiB")})
        assert options() == (9000, plain[1], 16384)
        service.change({name: forward})
        assert options() == plain


def test_keepalive_of_accepted_sockets_changes(service, folder, echo_server, clients):
    address = own_address()
    forward = (f"tcp:{address}:0", echo_server.endpoint, "allow = all")
    relay = service.start({"a": (*forward, "keepalive = 60s")})
    where = relay.address("a")
    for line, idle in (("keepalive = off", None), ("keepalive = 77s", 77), ("", 60)):
        service.change({"a": (*forward, line)})
        client = clients(where)
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        on = option_of(relay, client, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert bool(on) == (idle is not None)
        if idle:
            assert option_of(relay, client, socket.IPPROTO_TCP, KEEPIDLE) == idle


def backlog_of(relay):
    """Of its one listening TCP socket: Linux tells it where it counts lost packets otherwise."""
    (number,) = (number for number, state, *_ in tcp_sockets(relay) if state == LISTENING)
    with shared(relay, number) as theirs:
        info = theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return struct.unpack_from("I", info, 28)[0]


def test_the_backlog_changes(service, echo_server):
    forward = (f"tcp:127.0.0.1:{free_port()}", echo_server.endpoint)
    relay = service.start({"a": (*forward, "backlog = 9")})
    for backlog in (9, 70, 5):
        service.change({"a": (*forward, f"backlog = {backlog}")})
        assert backlog_of(relay) == backlog


def own_address():
    """One that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = probe.getsockname()[0]
    return address


def test_listeners_that_a_reload_adds_count(service, folder, servers, clients):
    """100 descriptors: no client is accepted that could not be served, and sessions go on."""
    gate = threading.Event()

    def serve(stream):
        gate.wait(60)
        stream.sendall(stream.recv(100))

    server = servers(serve=serve)
    few = {"a": (f"unix:{folder}/a.sock", server.endpoint)}
    many = {
        **few,
        **{f"b{i}": (f"unix:{folder}/b{i}.sock", server.endpoint) for i in range(40)},
    }
    relay = service.start(
        few, program="workers = 2", wrapper=["prlimit", "--nofile=100:100"]
    )
    for turn in range(2):
        service.change(many)
        crowd = [clients(f"{folder}/a.sock") for _ in range(60)]
        relay.wait_log("no descriptors are left") if turn == 0 else None
        for client in crowd:
            client.sendall(b"hello")
        gate.set()
        for client in crowd:
            assert read_exactly(client, 5) == b"hello"
            client.close()
        gate.clear()
        service.change(few)
    room = 2 * len(many)
    crowd = [clients(f"{folder}/a.sock") for _ in range(25)]
    for client in crowd:
        client.sendall(b"hello")
    eventually(lambda: server.served >= 120 + 25, f"{room} descriptors back")
    gate.set()
    for client in crowd:
        assert read_exactly(client, 5) == b"hello"
        client.close()
    assert relay.stop() == 0
    assert not any("refused" in line or "broken" in line for line in relay.log)


def test_without_descriptors_for_a_listener_nothing_changes(service, folder, servers, clients):
    """More than the reserve has for them."""
    gate = threading.Event()
    server = servers(serve=lambda stream: gate.wait(60) and stream.sendall(stream.recv(100)))
    few = {"a": (f"unix:{folder}/a.sock", server.endpoint)}
    many = {
        **few,
        **{f"b{i}": (f"unix:{folder}/b{i}.sock", server.endpoint) for i in range(20)},
    }
    relay = service.start(
        few, program="workers = 1", wrapper=["prlimit", "--nofile=64:64"]
    )
    crowd = [clients(f"{folder}/a.sock") for _ in range(40)]
    relay.wait_log("no descriptors are left")
    service.write(many)
    done = service.reload()
    assert done.returncode == 1
    assert "nothing was changed: forward 'b" in done.stderr
    assert all(refuses(f"{folder}/b{i}.sock") for i in range(20))
    for client in crowd:
        client.sendall(b"hello")
    gate.set()
    for client in crowd:
        assert read_exactly(client, 5) == b"hello"
        client.close()
    eventually(lambda: service.reload().returncode == 0, "room for them")
    assert ask(f"{folder}/b19.sock") == b"hello"


@pytest.mark.parametrize("by", ["signal", "command"])
def test_the_manager_is_never_sent_ready_after_stopping(service, folder, echo_server, by):
    """Neither by the watchdog's tick, nor by a reload that comes too late."""
    path = f"{folder}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, listen() as target:
        manager.bind(path)
        manager.settimeout(20)
        forwards = {"a": (f"unix:{folder}/a.sock", endpoint_of(target))}
        relay = service.start(
            forwards,
            program="workers = 2",
            env={**ENVIRONMENT, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "90000"},
        )
        with connect(f"{folder}/a.sock"), accept(target):
            relay.signal(signal.SIGTERM)
            while not manager.recv(500).startswith(b"STOPPING=1"):
                pass
            if by == "signal":
                relay.signal(signal.SIGHUP)
                relay.wait_log("nothing is reloaded: the program stops")
            else:
                assert service.reload().returncode == 1
            alive = 0
            while alive < 4:
                message = manager.recv(500)
                assert b"READY" not in message and b"RELOADING" not in message
                alive += message == b"WATCHDOG=1"
    assert relay.wait() == 0


@contextlib.contextmanager
def inherited(kind):
    """The listen endpoint, what a relay is started with, and a function: does it serve?"""
    if kind == "listening":
        with listen() as given:
            number, where = given.fileno(), given.getsockname()
            yield f"fd:{number}", {"pass_fds": [number]}, lambda: ask(where) == b"hello"
        return
    ours, its = socket.socketpair()
    ours.settimeout(10)
    with ours, its:
        if kind == "stdio":
            how = "stdio", {"stdin": its, "stdout": its}
        else:
            how = f"fd:{its.fileno()}", {"pass_fds": [its.fileno()]}
        yield *how, lambda: exchange(ours, b"hello").endswith(b"hello")


@pytest.mark.parametrize("kind", ["listening", "connected", "stdio"])
def test_what_was_inherited_survives_a_failed_reload(service, folder, echo_server, kind):
    """One that would use it, and fails for another reason."""
    old = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    with listen() as taken, inherited(kind) as (where, options, serves):
        new = {**old, "new": (where, echo_server.endpoint)}
        service.write(old, "workers = 2")
        relay = service.relay = service.relays.start("run", "-c", service.path, **options)
        relay.wait_log("'a': listening")
        eventually(lambda: os.path.lexists(service.control), "the control socket")
        assert service.reload().returncode == 0  # libuv keeps one descriptor from the first client on
        before = relay.descriptors()
        for _ in range(3):
            service.write({**new, "other": (endpoint_of(taken), echo_server.endpoint)})
            done = service.reload()
            assert (done.returncode, "address already in use" in done.stderr) == (1, True)
            eventually(lambda: relay.descriptors() == before, "the descriptors of before")
        service.change(new)
        assert serves()
