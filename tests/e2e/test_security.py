"""The claims of contrib/SECURITY.md that no other test stands for."""

import os
import pwd
import re
import signal
import stat
import time

import pytest

from deadline import eventually
from peers import (
    ask,
    connect,
    echo,
    endpoint_of,
    is_turned_away,
    listen,
    read_exactly,
    read_to_end,
    reset,
)
from program import hvrelay

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user, too")
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug): .")
WORKERS = 2


def sockets(relay):
    return sum("socket" in link for link in relay.descriptors().values())


# A hostile guest, or a peer on the TCP side


@pytest.mark.parametrize("on_limit", ["wait", "refuse"])
def test_a_flood_stays_within_its_forward(relays, servers, clients, on_limit):
    """However many come to one forward, it holds its own share only, and the others serve."""
    silent = servers(serve=lambda stream: stream.recv(1))
    busy = servers()
    relay = relays.run(
        f"[hvrelay]\nworkers = {WORKERS}\n"
        "[forward flooded]\nlisten = tcp:127.0.0.1:0\nmax_sessions = 5\n"
        f"on_limit = {on_limit}\nconnect = {silent.endpoint}\n"
        f"[forward other]\nlisten = tcp:127.0.0.1:0\nconnect = {busy.endpoint}\n"
    )
    if on_limit == "refuse":
        relay.expect("'flooded': .*turned away").expect("a client was turned away at a limit")
    before = sockets(relay)
    flood = []
    for _ in range(200):
        try:
            flood.append(clients(relay.address("flooded")))
        except ConnectionResetError:
            pass  # turned away
    eventually(lambda: silent.served == 5, "the sessions that have room")
    assert ask(relay.address("other")) == b"hello"
    # One more for each worker may be on its way out.
    assert sockets(relay) <= before + 2 * 5 + WORKERS
    for client in flood:
        client.close()
    eventually(lambda: sockets(relay) <= before, "the end of the flood")
    assert silent.served <= 200


@pytest.mark.parametrize(
    "words",
    [
        b"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET http://{host}:{port}/ HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 {host} {host} 1 {port}\r\n",
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01{raw}",
        b"tcp:{host}:{port}\n",
        b"reload\n",
        b"\x00" * 100,
    ],
)
def test_no_word_of_a_client_changes_its_target(relays, echo_server, words):
    """All bytes are the session's own: they reach the target that is configured, unread."""
    with listen() as forbidden:
        host, port = forbidden.getsockname()
        words = words.replace(b"{host}", host.encode()).replace(b"{port}", str(port).encode())
        words = words.replace(b"{raw}", port.to_bytes(2, "big"))
        relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint)
        assert ask(relay.address(), words) == words
        assert echo_server.served == 1
        forbidden.settimeout(0)
        with pytest.raises(BlockingIOError):
            forbidden.accept()


def test_what_is_sent_never_reaches_the_log(relays, servers):
    """Neither side can write a line of its own there."""
    forged = b"\n2026-01-01T00:00:00.000Z error: forged\r\n\x1b[2J"
    server = servers(serve=lambda stream: (read_to_end(stream), stream.sendall(forged)))
    relay = relays.forward("tcp:127.0.0.1:0", server.endpoint, "log_level=debug")
    assert ask(relay.address(), forged) == forged
    with connect(relay.address()) as client:
        client.sendall(forged)  # and leaves
    assert relay.stop() == 0
    assert all(LINE.match(line) for line in relay.log)
    assert not any("forged" in line for line in relay.log)


@pytest.mark.parametrize("how", ["denied", "turned away", "refused", "broken"])
def test_at_level_warning_no_client_fills_the_log(relays, servers, clients, how):
    """A hundred of each are a line or two."""
    with listen() as somebody:
        target = endpoint_of(somebody)
    if how != "refused":
        target = servers(serve=reset if how == "broken" else echo).endpoint
    settings = {"denied": ["deny=all"], "turned away": ["max_sessions=1", "on_limit=refuse"]}
    relay = relays.forward(
        "tcp:127.0.0.1:0", target, "log_level=warning", *settings.get(how, [])
    )
    relay.expect(f"{how}|nobody listens there")
    if how == "broken":  # where the reset is faster than the dial
        relay.expect("connection reset by peer$").expect("a session was refused")
    if how == "turned away":
        client = clients(relay.address())
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    for _ in range(100):
        assert is_turned_away(relay.address())
    relay.signal(signal.SIGTERM)
    relay.signal(signal.SIGINT)
    assert relay.wait() == 0
    assert sum(len(line) for line in relay.log) < 2000, relay.log
    assert len(relay.log) <= 4


def test_accept_rate_bounds_the_lines_of_any_level(relays, echo_server, clients, rate=10):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"accept_rate={rate}")
    start = time.monotonic()
    for client in [clients(relay.address()) for _ in range(100)]:
        client.close()
    relay.wait_log("session ", count=30)
    lines = sum("session " in line for line in relay.log)
    assert lines <= rate * (time.monotonic() - start + 1)


# A hostile local user


@as_root
def test_the_control_socket_is_for_its_user(relays, echo_server, folder):
    path = f"{folder}/control"
    relays.run(
        f"[hvrelay]\ncontrol = unix:{path}\n"
        f"[forward a]\nlisten = unix:{folder}/a.sock\nconnect = {echo_server.endpoint}\n"
    )
    for name in (path, f"{folder}/a.sock"):
        done = hvrelay_as_nobody(name)
        assert (done.returncode, done.stdout) == (1, "")
        assert "permission denied" in done.stderr


def hvrelay_as_nobody(path):
    nobody = pwd.getpwnam("nobody")
    return hvrelay(
        *("connect", f"unix:{path}"), user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[]
    )


def test_silent_clients_do_not_keep_the_control_socket(relays, echo_server, folder, clients):
    path = f"{folder}/hvrelay.conf"
    with open(path, "w") as file:
        file.write(
            f"[hvrelay]\ncontrol = unix:{folder}/control\n"
            f"[forward a]\nlisten = unix:{folder}/a.sock\nconnect = {echo_server.endpoint}\n"
        )
    relay = relays.start("run", "-c", path).wait_ready()
    before = sockets(relay)
    for _ in range(30):
        try:
            clients(f"{folder}/control").sendall(b"relo")
        except BlockingIOError:
            pass  # the queue is full
    assert sockets(relay) <= before + 8
    assert ask(f"{folder}/a.sock") == b"hello"
    # They are hung up on one after the other, in spite of their number.
    eventually(lambda: hvrelay("reload", "-c", path).returncode == 0, "the reload")


@pytest.mark.parametrize("how", ["link", "file", "gone"])
def test_a_replaced_socket_is_left_alone(relays, echo_server, folder, how):
    """Whoever may write to the folder can't have the relay change the mode of another file."""
    precious, path, conf = f"{folder}/precious", f"{folder}/a.sock", f"{folder}/hvrelay.conf"
    with open(precious, "w") as file:
        file.write("precious")
    os.chmod(precious, 0o640)
    text = f"[forward a]\nlisten = unix:{path}\nconnect = {echo_server.endpoint}\n"
    with open(conf, "w") as file:
        file.write(text)
    relay = relays.start("run", "-c", conf).wait_ready()
    os.unlink(path)
    if how == "link":
        os.symlink(precious, path)
    elif how == "file":
        os.link(precious, path)
    with open(conf, "w") as file:
        file.write(text + "socket_mode = 0666\n")
    relay.signal(signal.SIGHUP)
    if how == "gone":
        relay.wait_log("info: reloaded")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    else:
        relay.wait_log("error: reload: nothing was changed: .*: there is a file of that name")
    assert relay.stop() == 0
    assert stat.S_IMODE(os.stat(precious).st_mode) == 0o640
    assert os.path.lexists(path) == (how != "gone")


# A hostile writer of configurations


def test_checking_a_file_is_safe_for_the_terminal(folder):
    text = "[forward a]\nlisten = unix:/\x1b[2J\x07\nconnect = unix:@\x9b\u009bx\n"
    good = hvrelay("check", "-c", "-", input=text)
    assert good.returncode == 0
    assert "unix:/?[2J?" in good.stdout
    bad = hvrelay("check", "-c", "-", input=text + "pump = \x1b[31m\n[\x1b]\n")
    assert bad.returncode == 2
    for output in (good.stdout, good.stderr, bad.stdout, bad.stderr):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", output)


def test_checking_a_file_touches_nothing(folder):
    text = (
        f"[hvrelay]\nlog_file = {folder}/log\ncontrol = unix:{folder}/control\n"
        f"[forward a]\nlisten = unix:{folder}/a.sock\nconnect = tcp:no.such.name.invalid:1\n"
    )
    done = hvrelay("check", "-c", "-", input=text)
    assert done.returncode == 0
    assert os.listdir(folder) == []


def test_the_log_keeps_its_lines_whatever_a_path_is(relays, folder):
    path = f"{folder}/x\n2026-01-01T00:00:00.000Z error: forged\x1b[2J"
    relay = relays.forward("tcp:127.0.0.1:0", f"unix:{path}")
    assert is_turned_away(relay.address())
    relay.wait_log("session 1: .*: refused after .*: no such file")
    assert relay.stop() == 0
    assert all(LINE.match(line) for line in relay.log)
    assert not any("\x1b" in line for line in relay.log)
