"""As a service of systemd: readiness, status, watchdog, and sockets that are handed over."""

import contextlib
import os
import signal
import socket

import pytest

from deadline import PATIENCE, eventually
from peers import ask, connect, is_reset, is_turned_away, listen
from program import ENVIRONMENT, hvrelay


class Manager:
    """The socket where a service tells how it stands (sd_notify(3))."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.environment = {**ENVIRONMENT, "NOTIFY_SOCKET": path}

    def wait(self, word):
        """The next message that has this line, as a dictionary."""
        while word not in (lines := self.socket.recv(4096).decode().split("\n")):
            pass
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(params=["{folder}/notify", "@{folder}"])
def manager(request, folder):
    opened = Manager(request.param.format(folder=folder))
    yield opened
    opened.socket.close()


def hand_over(listeners):
    """A wrapper and options that start a program as systemd starts it for {socket: name}."""
    numbers = [listener.fileno() for listener, _ in listeners]
    moves = " ".join(f"{3 + place}<&{number}" for place, number in enumerate(numbers))
    names = ":".join(name for _, name in listeners)
    script = (
        f"export LISTEN_PID=$$ LISTEN_FDS={len(numbers)} LISTEN_FDNAMES={names}; "
        f'exec "$@" {moves}'
    )
    return {"wrapper": ["bash", "-c", script, "bash"], "pass_fds": numbers}


def test_it_tells_when_it_is_ready_and_when_it_stops(relays, echo_server, manager):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, env=manager.environment)
    assert "sessions" in manager.wait("READY=1")["STATUS"]
    assert relay.stop() == 0
    assert manager.wait("STOPPING=1")["STATUS"]


def test_it_tells_that_it_reloads(relays, echo_server, manager, folder):
    path = f"{folder}/hvrelay.conf"
    with open(path, "w") as file:
        file.write(f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n")
    relay = relays.start("run", "-c", path, env=manager.environment).wait_ready()
    manager.wait("READY=1")
    relay.signal(1)
    assert int(manager.wait("RELOADING=1")["MONOTONIC_USEC"]) > 0
    manager.wait("READY=1")
    assert ask(relay.address("a")) == b"hello"


def extension(manager):
    """The next one, in seconds."""
    while True:
        lines = manager.socket.recv(4096).decode().split("\n")
        for line in lines:
            if line.startswith("EXTEND_TIMEOUT_USEC="):
                return int(line.split("=")[1]) / 1e6


@pytest.mark.parametrize("timeout", ["1h", "off"])
def test_a_stop_asks_for_the_time_that_it_takes(relays, echo_server, manager, timeout):
    """Else systemd kills the sessions after TimeoutStopSec=. Not after drain_timeout, nor after a
    second signal: then a stop that hangs is killed."""
    text = f"[hvrelay]\ndrain_timeout = {timeout}\n"
    text += f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
    relay = relays.run(text, env=manager.environment)
    with connect(relay.address("a")) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        relay.signal(signal.SIGTERM)
        manager.wait("STOPPING=1")
        for _ in range(3):
            assert 20 < extension(manager) < 60
        relay.signal(signal.SIGTERM)
        assert is_reset(client)
    assert relay.wait() == 0
    last = None
    manager.socket.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while True:
            last = extension(manager)
    assert 0 < last <= 20


def test_a_stop_asks_for_no_more_than_drain_timeout(relays, echo_server, manager):
    text = "[hvrelay]\ndrain_timeout = 3s\n"
    text += f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
    relay = relays.run(text, env=manager.environment)
    with connect(relay.address("a")) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        relay.expect("stopping now: 1 sessions are reset")
        relay.signal(signal.SIGTERM)
        first, second = extension(manager), extension(manager)
        assert second < first <= 3 + 20
        assert is_reset(client)
    assert relay.wait() == 0


def test_it_is_alive(relays, echo_server, manager):
    environment = {**manager.environment, "WATCHDOG_USEC": "300000"}
    relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, env=environment)
    for _ in range(3):
        manager.wait("WATCHDOG=1")


def test_a_watchdog_of_another_process(relays, echo_server, manager):
    environment = {**manager.environment, "WATCHDOG_USEC": "3000", "WATCHDOG_PID": "1"}
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, env=environment)
    for _ in range(20):
        assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    while "STOPPING" not in (lines := manager.socket.recv(4096).decode()):
        assert "WATCHDOG" not in lines


@pytest.mark.parametrize("path", ["/no/such/socket", "nonsense", "", "/" + "x" * 300])
def test_a_manager_that_is_not_there(relays, echo_server, path):
    environment = {**ENVIRONMENT, "NOTIFY_SOCKET": path}
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, env=environment)
    assert ask(relay.address()) == b"hello"


@pytest.mark.parametrize("workers", [1, 3])
def test_sockets_are_handed_over_by_name(relays, servers, folder, workers):
    web, shell = servers(), servers(serve=lambda stream: stream.sendall(b"shell"))
    with listen() as a, listen(f"{folder}/b.sock") as b, listen() as c:
        addresses = [listener.getsockname() for listener in (a, b, c)]
        relay = relays.run(
            f"[hvrelay]\nworkers = {workers}\n"
            f"[forward w]\nlisten = systemd:web\nconnect = {web.endpoint}\n"
            f"[forward s]\nlisten = systemd:shell\nconnect = {shell.endpoint}\n",
            **hand_over([(a, "web"), (b, "shell"), (c, "web")]),
        )
    for _ in range(5):
        assert ask(addresses[0]) == b"hello"
        assert ask(addresses[1], b"") == b"shell"
        assert ask(addresses[2]) == b"hello"
    assert relay.output == ["listening w systemd:web", "listening s systemd:shell", "ready"]
    assert relay.stop() == 0
    assert os.path.lexists(addresses[1])  # systemd's, not ours to remove


def test_a_name_has_any_number_of_sockets(relays, echo_server):
    """Seen: the ninth and those after it were never accepted from."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(listen()) for _ in range(40)]
        addresses = [listener.getsockname() for listener in sockets]
        relays.forward(
            "systemd:web", echo_server.endpoint, **hand_over([(one, "web") for one in sockets])
        )
    for address in addresses:
        assert ask(address) == b"hello"


def test_a_socket_that_no_forward_names(relays, echo_server, folder):
    """Its clients do not wait for ever, and a reload may name it, or another one no longer."""
    path = f"{folder}/hvrelay.conf"

    def write(name):
        with open(path, "w") as file:
            file.write(f"[hvrelay]\ncontrol = unix:{folder}/control\n")
            file.write(f"[forward a]\nlisten = systemd:{name}\nconnect = {echo_server.endpoint}\n")

    write("web")
    with listen() as web, listen() as old, listen(f"{folder}/old.sock") as local:
        addresses = {"web": web.getsockname(), "old": old.getsockname()}
        options = hand_over([(web, "web"), (old, "old"), (local, "local")])
        relay = relays.start("run", "-c", path, **options).wait_ready()
    for name in ("old", "local"):
        relay.wait_log(f"warning: .* the socket '{name}', and no forward listens on 'systemd:{name}'")
    relay.expect("the socket 'web', and no forward listens on")
    for served, other in (("web", "old"), ("old", "web"), ("web", "old")):
        write(served)
        assert hvrelay("reload", "-c", path).returncode == 0
        for _ in range(3):
            assert is_turned_away(addresses[other])
            assert ask(addresses[served]) == b"hello"
        assert ask(f"{folder}/old.sock", b"") == b""
    assert relay.stop() == 0


def test_the_queue_of_a_socket_that_no_forward_names_outlives_the_relay(relays, echo_server):
    """It is systemd's: the next start may serve it."""
    with listen() as old, listen() as web:
        options = hand_over([(web, "web"), (old, "old")])
        relay = relays.forward("systemd:web", echo_server.endpoint, **options)
        relay.expect("the socket 'old', and no forward listens on")
        with connect(web.getsockname()) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            relay.signal(signal.SIGTERM)
            relay.wait_log("asked to stop")
            eventually(lambda: is_served_by_others(old), "the end of the resets")
        assert relay.wait() == 0


def is_served_by_others(listener):
    """A client waits in the queue, and is not reset."""
    with connect(listener.getsockname()) as client:
        client.settimeout(0.2)
        try:
            client.recv(1)
        except TimeoutError:
            return True
        except ConnectionResetError:
            pass
    return False


def test_sockets_that_are_handed_over_are_set_as_our_own(relays, echo_server):
    with listen() as inherited:
        relays.forward("systemd:web", echo_server.endpoint, "send_buffer=100KiB",
                       **hand_over([(inherited, "web")])).wait_ready()
        assert inherited.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert inherited.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE) == 1
        assert inherited.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 100 * 1024


def test_systemd_itself_hands_sockets_over(relays, echo_server, folder):
    """It starts the relay as the first client comes, who is not lost."""
    words = [f"--listen={folder}/{name}.sock" for name in "ab"]
    activate = ["systemd-socket-activate", *words, "--fdname=a:b", *passed(ENVIRONMENT)]
    forwards = "".join(
        f"[forward {name}]\nlisten = systemd:{name}\nconnect = {echo_server.endpoint}\n"
        for name in "ab"
    )
    relay = relays.start("run", "-c", "-", text=forwards, wrapper=activate)
    relay.expect("^(Listening on|Communication attempt|Execing) ")
    relay.wait_log("Listening on .*/b.sock")
    assert ask(f"{folder}/a.sock") == b"hello"
    assert ask(f"{folder}/b.sock") == b"hello"
    relay.wait_ready()


def passed(environment):
    """systemd-socket-activate passes on what it is told to, only."""
    return [f"--setenv={name}" for name in environment if name.startswith(("LC_", "ASAN", "TSAN"))]


def test_a_socket_of_no_such_name():
    with listen() as listener:
        options = hand_over([(listener, "web")])
        done = hvrelay("forward", "systemd:ssh", "tcp:127.0.0.1:1", **options)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot listen on 'systemd:ssh'" in done.stderr
    assert "FileDescriptorName=ssh" in done.stderr


def test_a_connected_socket_is_no_listener():
    """Accept=yes hands over one stream: that is `fd:3`, and is said at once."""
    ours, its = socket.socketpair()
    with ours, its:
        options = hand_over([(its, "web")])
        done = hvrelay("forward", "systemd:web", "tcp:127.0.0.1:1", **options)
    assert (done.returncode, done.stdout) == (1, "")
    assert "descriptor 3 is no listening stream socket" in done.stderr


def test_without_a_manager():
    done = hvrelay("forward", "systemd:web", "tcp:127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the service manager has handed over no sockets" in done.stderr
