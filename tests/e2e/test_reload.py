"""Reloading: what the old and the new configuration both have goes on without a gap."""

import contextlib
import os
import re
import signal
import socket
import time

import pytest

from deadline import eventually
from peers import (
    accept,
    ask,
    connect,
    endpoint_of,
    exchange,
    is_reset,
    listen,
    read_exactly,
    refuses,
)
from sockets import LISTENING, SYN_SENT, tcp_sockets


def listening_ports(relay):
    return {port for _, state, port, _ in tcp_sockets(relay) if state == LISTENING}


@contextlib.contextmanager
def silent_target():
    """Its queue is full: who dials it waits."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener


def dials_to(port, relay):
    """How many of its sockets wait for an answer from there."""
    return sum(state == SYN_SENT and peer == port for _, state, _, peer in tcp_sockets(relay))


def socket_number(path):
    return os.lstat(path).st_ino


def test_the_command_and_the_signal_do_the_same(service, folder, echo_server):
    relay = service.start({"a": (f"unix:{folder}/a.sock", echo_server.endpoint)})
    assert refuses(f"{folder}/b.sock")
    service.write(
        {
            "a": (f"unix:{folder}/a.sock", echo_server.endpoint),
            "b": (f"unix:{folder}/b.sock", echo_server.endpoint),
        }
    )
    done = service.reload()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ask(f"{folder}/b.sock") == b"hello"
    service.write({"a": (f"unix:{folder}/a.sock", echo_server.endpoint)})
    relay.signal(signal.SIGHUP)
    relay.wait_log(f"info: reloaded {re.escape(service.path)}: 1 forwards")
    eventually(lambda: refuses(f"{folder}/b.sock"), "the end of b")
    assert ask(f"{folder}/a.sock") == b"hello"


@pytest.mark.parametrize("workers", [1, 3])
def test_what_stays_is_not_touched(service, folder, workers):
    with listen() as target:
        forwards = {"a": (f"unix:{folder}/a.sock", endpoint_of(target))}
        relay = service.start(forwards, program=f"workers = {workers}")
        before = socket_number(f"{folder}/a.sock")
        with connect(f"{folder}/a.sock") as client, accept(target) as server:
            for turn in range(5):
                client.sendall(b"%d" % turn)
                service.write({**forwards, f"b{turn}": (f"unix:@{folder}/{turn}", "unix:@x")})
                assert service.reload().returncode == 0
                assert read_exactly(server, 1) == b"%d" % turn
        assert socket_number(f"{folder}/a.sock") == before
        assert relay.stop() == 0


def test_any_port_is_another_one_for_each_forward(service, servers):
    """Port 0 names no socket: each forward keeps the one it got, and a new one gets its own."""

    def say(name):
        return lambda stream: stream.sendall(stream.recv(100) and name.encode())

    names = ("a", "b", "c")
    targets = {name: servers(serve=say(name)) for name in names}
    forwards = {name: ("tcp:127.0.0.1:0", target.endpoint) for name, target in targets.items()}
    relay = service.start({name: forwards[name] for name in "ab"})
    before = listening_ports(relay)
    service.change(forwards)
    (new,) = listening_ports(relay) - before
    assert ask(("127.0.0.1", new)) == b"c"
    for name in "ab":
        assert ask(relay.address(name)) == name.encode()
    service.change({name: forwards[name] for name in "bc"})
    assert listening_ports(relay) == {relay.address("b")[1], new}
    assert ask(("127.0.0.1", new)) == b"c"


def test_new_clients_meet_the_new_target(service, folder, servers):
    """The old session keeps the old one."""
    old, new = servers(), servers(serve=lambda stream: stream.sendall(b"new"))
    service.start({"a": (f"unix:{folder}/a.sock", old.endpoint)})
    with connect(f"{folder}/a.sock") as client:
        client.sendall(b"one")
        assert read_exactly(client, 3) == b"one"
        service.write({"a": (f"unix:{folder}/a.sock", new.endpoint)})
        assert service.reload().returncode == 0
        eventually(lambda: ask(f"{folder}/a.sock", b"") == b"new", "the new target")
        assert exchange(client, b"two") == b"two"


def test_every_worker_has_the_new_target(service, folder, servers, clients):
    """From the moment at which the reload returns."""
    old, new = servers(), servers(serve=lambda stream: stream.sendall(b"new"))
    service.start({"a": (f"unix:{folder}/a.sock", old.endpoint)}, program="workers = 4")
    service.change({"a": (f"unix:{folder}/a.sock", new.endpoint)})
    for _ in range(8):
        for client in [clients(f"{folder}/a.sock") for _ in range(16)]:
            assert read_exactly(client, 3) == b"new"


def test_no_client_is_lost_meanwhile(service, folder, echo_server):
    """Clients come all the time while the forward is renamed, changed and moved about."""
    where = f"unix:{folder}/a.sock"
    service.start({"a": (where, echo_server.endpoint)}, program="workers = 2")
    for turn in range(20):
        clients = [connect(f"{folder}/a.sock") for _ in range(5)]
        service.write(
            {
                f"x{turn}": (f"unix:@{folder}/{turn}", "unix:@x"),
                f"a{turn % 3}": (where, echo_server.endpoint, f"backlog = {turn + 10}"),
            },
            program="workers = 2",
        )
        assert service.reload().returncode == 0
        clients += [connect(f"{folder}/a.sock") for _ in range(5)]
        for client in clients:
            with client:
                assert exchange(client, b"hello") == b"hello"


@pytest.mark.parametrize("workers", [1, 4])
def test_once_it_is_reloaded_a_removed_forward_is_gone(service, folder, echo_server, workers):
    """So the next reload can bring it back: its address is free."""
    keep = {"keep": (f"unix:{folder}/keep.sock", echo_server.endpoint)}
    where = f"{folder}/a.sock"
    service.start(keep, program=f"workers = {workers}")
    for turn in range(30):
        service.write({**keep, f"a{turn}": (f"unix:{where}", echo_server.endpoint)})
        assert service.reload().returncode == 0
        assert ask(where) == b"hello"
        service.write(keep)
        assert service.reload().returncode == 0
        assert refuses(where)


def serve_two(service, folder, target, program):
    """A relay with a session on each of two forwards: (both, one, clients, servers)."""
    keep = {"keep": (f"unix:{folder}/keep.sock", endpoint_of(target))}
    gone = {"gone": (f"unix:{folder}/gone.sock", endpoint_of(target))}
    service.start({**keep, **gone}, program=program)
    clients, streams = [], []
    for name in ("gone", "keep"):
        clients.append(connect(f"{folder}/{name}.sock"))
        streams.append(accept(target))
    return keep, clients, streams


def passes(client, server):
    """Does a byte pass each way?"""
    for one, other in ((client, server), (server, client)):
        one.sendall(b"x")
        assert read_exactly(other, 1) == b"x"


@pytest.mark.parametrize("workers", [1, 3])
def test_a_removed_forward_takes_nobody_new(service, folder, workers):
    """Its sessions may end by themselves, for drain_timeout; those of others go on."""
    with listen() as target:
        program = f"drain_timeout = 300ms\nworkers = {workers}"
        keep, clients, streams = serve_two(service, folder, target, program)
        service.change(keep)
        service.relay.wait_log("forward 'gone': removed, 1 sessions may end")
        assert refuses(f"{folder}/gone.sock")
        for stream in (clients[0], streams[0]):
            is_reset(stream)  # or an end in order: a unix socket has no reset
        service.relay.wait_log("session 1: .*: its forward was removed by a reload")
        passes(clients[1], streams[1])
        for stream in clients + streams:
            stream.close()
    assert service.relay.stop() == 0
    assert sum("removed by a reload" in line for line in service.relay.log) == 1


def test_without_a_drain_timeout_sessions_go_on(service, folder):
    """Off is no limit, not none at all: the first time, and where it was set before."""
    with listen() as target:
        keep, clients, streams = serve_two(service, folder, target, "drain_timeout = off")
        service.change(keep)
        passes(clients[0], streams[0])
        again = {**keep, "again": (f"unix:{folder}/again.sock", endpoint_of(target))}
        service.change(again, program="drain_timeout = 50ms")
        clients.append(connect(f"{folder}/again.sock"))
        streams.append(accept(target))
        service.change(keep, program="drain_timeout = off")
        clients.append(connect(f"{folder}/keep.sock"))
        streams.append(accept(target))
        time.sleep(0.3)
        for pair in zip(clients, streams):
            passes(*pair)
        service.relay.signal(signal.SIGTERM)
        # those of removed forwards among them
        service.relay.wait_log("asked to stop: .*, 4 sessions may end")
        time.sleep(0.3)
        for pair in zip(clients, streams):
            passes(*pair)
            for stream in pair:
                stream.close()
    assert service.relay.wait() == 0


@pytest.mark.parametrize("by", ["command", "signal"])
@pytest.mark.parametrize(
    "lines, complaint, code",
    [
        (
            "[forward a]\nlisten = nonsense\nconnect = tcp:127.0.0.1:1\n",
            r":\d+: listen: 'nonsens",
            2,
        ),
        ("mistake = 1\n", r":\d+: unknown key 'mistake'", 2),
        (
            "[forward b]\nlisten = unix:/no/such/b\nconnect = unix:@x\n",
            "the folder does not exist",
            1,
        ),
    ],
)
def test_mistakes_change_nothing(service, folder, echo_server, by, lines, complaint, code):
    """A mistake in the file is 2, what fails at run time 1."""
    good = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    relay = service.start(good)
    before = socket_number(f"{folder}/a.sock")
    service.write({"new": (f"unix:{folder}/new.sock", echo_server.endpoint)})
    with open(service.path, "a") as file:
        file.write(lines)
    if by == "command":
        done = service.reload()
        assert (done.returncode, done.stdout) == (code, "")
        assert re.search(complaint, done.stderr)
        assert "nothing was changed" in done.stderr
    else:
        relay.signal(signal.SIGHUP)
    relay.wait_log("error: reload: .*" + complaint)
    relay.wait_log("error: reload: .*nothing was changed")
    assert not os.path.lexists(f"{folder}/new.sock")
    assert socket_number(f"{folder}/a.sock") == before
    assert ask(f"{folder}/a.sock") == b"hello"
    service.write(good)
    assert service.reload().returncode == 0


def test_settings_of_the_program_change(service, folder, echo_server):
    good = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    relay = service.start(good)
    assert ask(f"{folder}/a.sock") == b"hello"
    relay.wait_log("session 1: ")
    service.write(good, program="log_level = error\nlog_format = json")
    assert service.reload().returncode == 0
    assert ask(f"{folder}/a.sock") == b"hello"
    assert relay.stop() == 0
    assert not any("session 2" in line for line in relay.log)


@pytest.mark.parametrize("where", ["forward", "program"])
@pytest.mark.parametrize("workers", [1, 4])
def test_limits_change(service, folder, clients, servers, where, workers):
    """Clients that wait come in if there is more room, each time it changes, and not before."""
    server = servers()

    def change(limit, make=service.change):
        line = f"max_sessions = {limit}"
        forward = [f"unix:{folder}/a.sock", server.endpoint]
        if where == "forward":
            make({"a": (*forward, line)}, f"workers = {workers}")
        else:
            make({"a": forward}, f"workers = {workers}\n{line}")

    change(1, make=service.start)
    crowd = [clients(f"{folder}/a.sock") for _ in range(12)]
    for limit in (1, 2, 5, 3, "off"):
        change(limit)
        most = {3: 5, "off": 12}.get(limit, limit)
        eventually(lambda most=most: server.served >= most, f"{most} sessions")
        time.sleep(0.05)
        assert server.served == most
    for client in crowd:
        assert exchange(client, b"hello") == b"hello"
    change(1)
    crowd = [clients(f"{folder}/a.sock") for _ in range(3)]
    eventually(lambda: server.served == 13, "one session")
    for served, client in enumerate(crowd):
        assert server.served == 13 + served
        assert exchange(client, b"hello") == b"hello"
        client.close()
        eventually(lambda served=served: server.served >= min(14 + served, 15), "the next one")


def test_max_pending_changes(service, folder, clients):
    """The target does not answer: nobody but the pending ones gets as far as a dial."""
    with silent_target() as target:
        port = target.getsockname()[1]
        forward = (f"unix:{folder}/a.sock", f"tcp:127.0.0.1:{port}", "connect_timeout = 60s")
        relay = service.start({"a": (*forward, "max_pending = 1")}, program="workers = 1")
        for _ in range(4):
            clients(f"{folder}/a.sock")
        for most in (1, 3):
            service.change({"a": (*forward, f"max_pending = {most}")})
            eventually(lambda most=most: dials_to(port, relay) >= most, f"{most} dials")
            time.sleep(0.05)
            assert dials_to(port, relay) == most
        relay.expect("refused|stopping now")
        for _ in range(2):
            relay.signal(signal.SIGTERM)
            relay.wait_log("asked to stop")


@pytest.mark.parametrize("rate", [1000, "off"])
def test_accept_rate_changes(service, folder, clients, echo_server, rate):
    """At one a second 30 clients would take half a minute."""
    forward = (f"unix:{folder}/a.sock", echo_server.endpoint)
    service.start({"a": (*forward, "accept_rate = 1")}, program="workers = 2")
    crowd = [clients(f"{folder}/a.sock") for _ in range(30)]
    eventually(lambda: echo_server.served >= 1, "the first one")
    begin = time.monotonic()
    service.change({"a": (*forward, f"accept_rate = {rate}")})
    for client in crowd:
        assert exchange(client, b"hello") == b"hello"
    assert time.monotonic() - begin < 10


def test_access_rules_change(service, folder, echo_server):
    service.start({"a": ("tcp:127.0.0.1:0", echo_server.endpoint)})
    where = service.relay.address("a")
    assert ask(where) == b"hello"
    service.write({"a": ("tcp:127.0.0.1:0", echo_server.endpoint, "deny = all")})
    assert service.reload().returncode == 0

    def denied():
        try:
            ask(where)  # where the old rules still let it in, it ends in order
        except ConnectionError:
            return True
        return False

    service.relay.expect("denied")
    eventually(denied, "the rule")
    service.relay.wait_log("forward 'a': tcp:127.*: denied by its access rules")


@pytest.mark.parametrize(
    "program, named",
    [("workers = 3", "'workers' stays 2 until a restart, the file says 3"), (None, "'control'")],
)
def test_what_takes_a_restart_is_named(service, folder, echo_server, program, named):
    """All else is applied, and it is named until there was one."""
    forwards = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    relay = service.start(forwards, program="workers = 2")
    forwards["b"] = (f"unix:{folder}/b.sock", echo_server.endpoint)
    for count in (1, 2):
        if program:
            service.write(forwards, program)
            done = service.reload()
            assert (done.returncode, done.stdout) == (1, "")
            assert named in done.stderr and len(done.stderr.splitlines()) == 1
        else:
            service.write(forwards, control=False)
            relay.signal(signal.SIGHUP)
        relay.wait_log(f"error: reload: {named}", count)
        relay.wait_log("info: reloaded .*: 2 forwards", count)
    assert ask(f"{folder}/b.sock") == b"hello"
    service.change(forwards, program="workers = 2")


def test_a_log_file_that_cannot_be_opened_changes_nothing(service, folder, echo_server):
    forwards = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    relay = service.start(forwards, program="max_sessions = 1")
    more = {**forwards, "b": (f"unix:{folder}/b.sock", echo_server.endpoint)}
    bad = "max_sessions = 2\nlog_level = error\nlog_file = /no/such/folder/log"
    service.write(more, program=bad)
    done = service.reload()
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was changed: cannot open the log file '/no/such/folder/log'" in done.stderr
    assert refuses(f"{folder}/b.sock")
    with connect(f"{folder}/a.sock") as first, connect(f"{folder}/a.sock") as second:
        assert exchange(first, b"hello") == b"hello"
        relay.wait_log("session 1: ")  # the level is still info
        first.close()
        assert exchange(second, b"hello") == b"hello"
    service.change(more, program="max_sessions = 2")
    assert ask(f"{folder}/b.sock") == b"hello"


def test_the_log_moves_to_a_file_and_back(service, folder, echo_server):
    forwards = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    relay = service.start(forwards)
    service.change(forwards)  # the first one opens what stays open
    relay.wait_log("info: reloaded")
    before = len(relay.descriptors())
    for turn in range(3):
        service.change(forwards, program=f"log_file = {folder}/log{turn}")
        eventually(lambda: len(relay.descriptors()) == before + 1, "one descriptor more")
        with open(f"{folder}/log{turn}") as file:
            eventually(lambda file=file: "info: reloaded" in file.read(), "the line")
    service.change(forwards, program="")
    eventually(lambda: len(relay.descriptors()) == before, "that one's end")
    relay.wait_log("info: reloaded", 2)


@pytest.mark.parametrize("what", ["no file", "no control", "nobody there"])
def test_whom_to_ask_is_not_known(service, folder, what):
    if what != "no file":
        service.write({"a": ("unix:@a", "unix:@b")}, control=what != "no control")
    done = service.reload()
    assert done.stdout == ""
    if what == "nobody there":
        assert done.returncode == 1
        assert f"cannot connect to 'unix:{service.control}'" in done.stderr
    else:
        assert done.returncode == 2
        assert done.stderr.startswith(f"hvrelay: {service.path}: ")


def test_the_control_socket_is_for_its_user(service, folder, echo_server):
    relay = service.start({"a": (f"unix:{folder}/a.sock", echo_server.endpoint)})
    assert os.lstat(service.control).st_mode & 0o777 == 0o600
    for request in (b"\n", b"nonsense\n", b"reload", b"x" * 10000):
        with connect(service.control) as client:
            try:
                answer = exchange(client, request)
            except ConnectionResetError:
                answer = b""
            assert answer in (b"", b"unknown request\nfailed\n")
    assert ask(f"{folder}/a.sock") == b"hello"
    assert relay.stop() == 0
    assert not os.path.lexists(service.control)


@pytest.mark.parametrize("how", ["arguments", "standard input"])
def test_there_is_nothing_to_reload(how, relays, echo_server):
    """A relay without a file goes on as it is. Standard input is not read a second time."""
    if how == "arguments":
        relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint)
    else:
        relay = relays.run(
            f"[forward forward]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
        )
    relay.signal(signal.SIGHUP)
    relay.wait_log("error: reload: there is nothing to reload: the configuration is no file")
    assert ask(relay.address()) == b"hello"
