"""Reloading: what the old and the new configuration both have goes on without a gap."""

import os
import re
import signal

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
from program import hvrelay


class Service:
    """A relay that runs with a file, which the test rewrites."""

    def __init__(self, relays, folder):
        self.path = f"{folder}/hvrelay.conf"
        self.control = f"{folder}/control.sock"
        self.relays = relays
        self.folder = folder

    def write(self, forwards, program="", control=True):
        """`forwards`: {name: (listen, connect, more lines...)}"""
        with open(self.path, "w") as file:
            file.write("[hvrelay]\n" + program + "\n")
            if control:
                file.write(f"control = unix:{self.control}\n")
            for name, (where, target, *more) in forwards.items():
                file.write(f"[forward {name}]\nlisten = {where}\nconnect = {target}\n")
                file.write("".join(line + "\n" for line in more))

    def start(self, forwards, program="", **options):
        self.write(forwards, program)
        self.relay = self.relays.start("run", "-c", self.path, **options).wait_ready()
        return self.relay

    def reload(self):
        return hvrelay("reload", "-c", self.path)


@pytest.fixture
def service(relays, folder):
    return Service(relays, folder)


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
    """Port 0 names no socket: each forward keeps the one it got."""

    def say(name):
        return lambda stream: stream.sendall(stream.recv(100) and name.encode())

    targets = {name: servers(serve=say(name)) for name in ("a", "b")}
    forwards = {name: ("tcp:127.0.0.1:0", target.endpoint) for name, target in targets.items()}
    relay = service.start(forwards)
    assert service.reload().returncode == 0
    for name in forwards:
        assert ask(relay.address(name)) == name.encode()


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


def test_a_removed_forward_takes_nobody_new(service, folder):
    """Its sessions may end by themselves, for drain_timeout."""
    with listen() as target:
        keep = {"keep": (f"unix:{folder}/keep.sock", endpoint_of(target))}
        gone = {"gone": (f"unix:{folder}/gone.sock", endpoint_of(target))}
        relay = service.start({**keep, **gone}, program="drain_timeout = 300ms")
        with connect(f"{folder}/gone.sock") as client, accept(target) as server:
            service.write(keep, program="drain_timeout = 300ms")
            assert service.reload().returncode == 0
            relay.wait_log("forward 'gone': removed, 1 sessions may end")
            eventually(lambda: refuses(f"{folder}/gone.sock"), "the end of its socket")
            for stream in (client, server):
                is_reset(stream)  # or an end in order: a unix socket has no reset
        relay.wait_log("forward 'gone' session 1: .*: its forward was removed by a reload")


@pytest.mark.parametrize("by", ["command", "signal"])
@pytest.mark.parametrize(
    "lines, complaint",
    [
        ("[forward a]\nlisten = nonsense\nconnect = tcp:127.0.0.1:1\n", r":\d+: listen: 'nonsens"),
        ("mistake = 1\n", r":\d+: unknown key 'mistake'"),
        ("[forward b]\nlisten = unix:/no/such/b\nconnect = unix:@x\n", "the folder does not exist"),
    ],
)
def test_mistakes_change_nothing(service, folder, echo_server, by, lines, complaint):
    good = {"a": (f"unix:{folder}/a.sock", echo_server.endpoint)}
    relay = service.start(good)
    before = socket_number(f"{folder}/a.sock")
    service.write({"new": (f"unix:{folder}/new.sock", echo_server.endpoint)})
    with open(service.path, "a") as file:
        file.write(lines)
    if by == "command":
        done = service.reload()
        assert (done.returncode, done.stdout) == (1, "")
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


def test_limits_change(service, folder, servers):
    """Whoever waits comes in when there is more room."""
    server = servers()
    one = {"a": (f"unix:{folder}/a.sock", server.endpoint, "max_sessions = 1")}
    service.start(one)
    with connect(f"{folder}/a.sock") as first, connect(f"{folder}/a.sock") as second:
        first.sendall(b"x")
        assert read_exactly(first, 1) == b"x"
        second.sendall(b"y")
        assert server.served == 1
        service.write({"a": (f"unix:{folder}/a.sock", server.endpoint, "max_sessions = 2")})
        assert service.reload().returncode == 0
        assert read_exactly(second, 1) == b"y"


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

    eventually(denied, "the rule")
    service.relay.wait_log("forward 'a': tcp:127.*: denied by its access rules")


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
