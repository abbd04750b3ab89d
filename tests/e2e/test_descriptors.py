"""Descriptors: whose they are, that none is lost, and life at their limit."""

import contextlib
import os
import re
import signal
import subprocess
import threading

import pytest

from deadline import PATIENCE, eventually
from peers import (
    accept,
    ask,
    connect,
    echo,
    endpoint_of,
    exchange,
    is_turned_away,
    listen,
    payload,
    read_exactly,
    read_to_end,
    send_and_end,
)
from program import ENVIRONMENT, HVRELAY, hvrelay

CLOEXEC = 0o2000000


def limit(number):
    """A wrapper that runs a command with so many descriptors, at most."""
    return ["prlimit", f"--nofile={number}:{number}"]


def closes_on_exec(pid, number):
    with open(f"/proc/{pid}/fdinfo/{number}") as info:
        return bool(int(re.search(r"^flags:\s*(\d+)$", info.read(), re.M)[1], 8) & CLOEXEC)


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_none_would_be_inherited(relays, folder, pump):
    """The relay starts no program, but a library might."""
    with listen() as target, listen() as given:
        text = f"""
[hvrelay]
workers = 3
[defaults]
pump = {pump}
[forward tcp]
listen = tcp:*:0
allow = all
connect = {endpoint_of(target)}
[forward unix]
listen = unix:{folder}/a.sock
connect = {endpoint_of(target)}
[forward fd]
listen = fd:{given.fileno()}
connect = tcp:localhost:{target.getsockname()[1]}
"""
        relay = relays.run(text, pass_fds=[given.fileno()])
        clients = [
            connect(where)
            for where in (relay.address("tcp"), f"{folder}/a.sock", given.getsockname())
        ]
        streams = [accept(target) for _ in clients]
        for client, stream in zip(clients, streams):
            client.sendall(b"x")
        for stream in streams:
            assert stream.recv(1) == b"x"
        descriptors = relay.descriptors()
        assert sum("socket" in link for link in descriptors.values()) >= 9
        leaking = {
            number: link
            for number, link in descriptors.items()
            if number > 2 and not closes_on_exec(relay.pid, number)
        }
        assert leaking == {}
        for stream in clients + streams:
            stream.close()


@pytest.mark.parametrize("pump", ["auto", "splice", "stream"])
def test_none_is_lost(relays, echo_server, pump):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"pump={pump}", "workers=2")
    with listen() as somebody:
        refusing = endpoint_of(somebody)
    other = relays.forward("tcp:127.0.0.1:0", refusing, f"pump={pump}", "workers=2")
    other.expect("nobody listens there").expect("a session was refused 49 more times")
    for one, session in (
        (relay, lambda: ask(relay.address(), payload(300000))),
        (other, lambda: is_turned_away(other.address())),
    ):
        before = len(one.descriptors())
        for _ in range(50):
            session()
        # A few pipes may be kept for the next session.
        eventually(
            lambda: sum("pipe" not in link for link in one.descriptors().values()) <= before,
            "the end of all sessions",
        )
        assert sum("pipe" in link for link in one.descriptors().values()) <= 2 * 2 * 8


def test_without_standard_descriptors(folder, echo_server):
    """Their numbers must not become those of sockets, or the log would be written to a client."""
    path = f"{folder}/a.sock"
    process = subprocess.Popen(
        ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", HVRELAY, "forward", f"unix:{path}"]
        + [echo_server.endpoint],
        env=ENVIRONMENT,
    )
    try:
        eventually(lambda: os.path.exists(path) and not os.lstat(path).st_mode & 0o077)
        assert eventually(lambda: try_to_ask(path)) == b"hello"
        links = [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in range(3)]
        assert links == ["/dev/null"] * 3
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def try_to_ask(path):
    try:
        return ask(path)
    except ConnectionRefusedError:
        return None  # bound, and not listening yet


class Gate:
    """An echo server that answers nobody until it is opened."""

    def __init__(self, servers):
        self._open = threading.Event()
        self.server = servers(serve=self._serve)

    def _serve(self, stream):
        self._open.wait(PATIENCE)
        echo(stream)

    def open(self):
        self._open.set()


@pytest.fixture
def gate(servers):
    closed = Gate(servers)
    yield closed
    closed.open()


@pytest.mark.parametrize("pump", ["auto", "splice", "stream"])
@pytest.mark.parametrize("workers", [1, 2])
def test_two_hundred_clients_and_64_descriptors(relays, gate, clients, pump, workers):
    """At the limit it stops accepting; in the end everybody is served, and nothing is lost."""
    relay = relays.forward(
        "tcp:127.0.0.1:0",
        gate.server.endpoint,
        f"pump={pump}",
        f"workers={workers}",
        wrapper=limit(64),
    ).expect("no descriptors are left, clients wait")
    before = len(relay.descriptors())
    crowd = [clients(relay.address()) for _ in range(200)]
    data = [payload(20000, seed=number) for number in range(200)]
    for client, text in zip(crowd, data):
        send_and_end(client, text)
    eventually(lambda: gate.server.served >= 10, "the first sessions")
    assert len(relay.descriptors()) <= 64
    assert gate.server.served < 40
    gate.open()
    for client, text in zip(crowd, data):
        assert read_to_end(client) == text
        client.close()
    eventually(lambda: len(relay.descriptors()) <= before + 2 * 8 * workers, "rest")
    assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    assert sum("done after" in line for line in relay.log) == 201
    assert not any("broken" in line or "refused" in line for line in relay.log)


def test_the_limit_is_told_once(relays, gate, clients):
    relay = relays.forward("tcp:127.0.0.1:0", gate.server.endpoint, wrapper=limit(64))
    crowd = [clients(relay.address()) for _ in range(100)]
    relay.wait_log("warning: .*(descriptors|open files)")
    gate.open()
    for client in crowd:
        assert exchange(client, b"hello") == b"hello"
        client.close()
    assert relay.stop() == 0
    assert sum("warning" in line for line in relay.log) <= 2


@pytest.mark.parametrize("number", [8, 16, 24])
def test_too_few_for_a_single_session(number):
    """It says so and ends, where it could never serve anybody."""
    done = hvrelay("forward", "tcp:127.0.0.1:0", "tcp:127.0.0.1:1", wrapper=limit(number))
    assert done.returncode == 1
    assert "ready" not in done.stdout
    assert re.search("open files|descriptors", done.stderr)


def test_a_reload_at_the_limit(relays, gate, clients, folder):
    """A reserve is left for it: here for twelve listeners more."""
    path = f"{folder}/hvrelay.conf"
    forward = "[forward {0}]\nlisten = unix:{1}/{0}.sock\nconnect = {2}\n"
    names = [f"more{number}" for number in range(12)]

    def write(*names):
        with open(path, "w") as file:
            for name in names:
                file.write(forward.format(name, folder, gate.server.endpoint))

    write("first")
    relay = relays.start("run", "-c", path, wrapper=limit(64)).wait_ready()
    crowd = [clients(f"{folder}/first.sock") for _ in range(100)]
    relay.wait_log("warning: .*(descriptors|open files)")
    write("first", *names)
    relay.signal(signal.SIGHUP)
    relay.wait_log("info: reloaded .*: 13 forwards")
    gate.open()
    for client in crowd:
        assert exchange(client, b"hello") == b"hello"
        client.close()
    for name in names:
        assert ask(f"{folder}/{name}.sock") == b"hello"


def test_a_reload_leaves_some_to_sessions(service, folder, echo_server):
    """Else it fails. And what is closed by a later one is there again."""
    where = f"{folder}/a.sock"

    def forwards(count):
        more = {f"x{n}": (f"unix:{folder}/x{n}", echo_server.endpoint) for n in range(count)}
        return {"a": (f"unix:{where}", echo_server.endpoint), **more}

    relay = service.start(forwards(0), "workers = 1", wrapper=limit(64))
    relay.expect("no descriptors are left, clients wait")
    accepted = 0
    for count in range(1, 64):
        service.write(forwards(count))
        if service.reload().returncode != 0:
            break
        accepted = count
        assert ask(where) == b"hello"
    assert 0 < accepted < 63
    service.change(forwards(0))
    with contextlib.ExitStack() as stack:
        for _ in range(accepted // 2):
            client = stack.enter_context(connect(where))
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"


def test_max_sessions_keeps_the_others_waiting(relays, gate, clients):
    relay = relays.forward(
        "tcp:127.0.0.1:0", gate.server.endpoint, "max_sessions=3", "workers=2"
    )
    crowd = [clients(relay.address()) for _ in range(20)]
    for client in crowd:
        send_and_end(client, b"hello")
    eventually(lambda: gate.server.served >= 3, "three sessions")
    assert gate.server.served == 3
    gate.open()
    for client in crowd:
        assert read_to_end(client) == b"hello"
        client.close()
    assert gate.server.served == 20
