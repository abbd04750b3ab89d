"""Under the very system call filters of contrib/hvrelay.service."""

import os
import re
import signal
import subprocess
import sys

import pytest

import namespace
from deadline import PATIENCE, eventually
from peers import ask, connect, exchange, is_turned_away, payload
from program import WITHOUT_LEAKS, Relay, hvrelay, is_sanitized

pytest.importorskip("seccomp", reason="python3-seccomp is not installed")

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.path.join(HERE, "../../contrib/hvrelay.service")
BIG = payload(3_000_000)  # enough for a direction to turn to splice


def under(how, *left_out):
    """A wrapper for a command line (sandbox.py)."""
    options = [f"-{call}" for call in left_out]
    return [sys.executable, "-B", f"{HERE}/sandbox.py", how, *options, UNIT]


def test_systemd_rates_the_unit_as_hardened():
    """2.0 of 10 at most: systemd-analyze counts in tenths."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def try_python(text, how="errno"):
    """Python code under the filters."""
    return subprocess.run(
        [*under(how), sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE
    )


def refusal(text):
    """The error number's name with which the code fails."""
    code = f"import ctypes, errno, mmap, os, socket\ntry:\n {text}\n"
    code += "except OSError as e:\n print(errno.errorcode[e.errno])\n"
    done = try_python(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "text, number",
    [
        ("os.setuid(65534)", "EPERM"),
        ("os.setpriority(os.PRIO_PROCESS, 0, 5)", "EPERM"),
        ("os.chroot('/')", "EPERM"),
        ("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))", "EPERM"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EAFNOSUPPORT"),
        ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "EAFNOSUPPORT"),
        ("mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", "EPERM"),
        ("os.mkdir('/tmp', 0o4755)", "EPERM"),
    ],
)
def test_what_is_outside_the_filters_is_refused(text, number):
    assert refusal(text) == number


def test_what_is_inside_the_filters_is_not():
    for family in ("AF_INET", "AF_INET6", "AF_UNIX"):
        assert refusal(f"socket.socket(socket.{family})") == ""
    assert refusal("mmap.mmap(-1, 4096)") == ""


def test_kill_ends_whoever_asks_for_more():
    done = try_python("import os; os.setuid(0)", how="kill")
    assert done.returncode == -signal.SIGSYS


def test_a_relay_that_needs_more_than_the_filters_is_noticed(echo_server):
    """So that the tests below can fail."""
    options = {"wrapper": under("kill", "accept4"), "env": WITHOUT_LEAKS}
    relay = Relay("forward", "tcp:127.0.0.1:0", echo_server.endpoint, **options)
    try:
        relay.wait_ready()
        assert is_turned_away(relay.address())
    finally:
        relay.signal(signal.SIGTERM)
        assert relay.wait() == -signal.SIGSYS


HOW = pytest.mark.parametrize("how", ["errno", "kill"])


@pytest.fixture
def sandboxed(how):
    """A wrapper, and the options that go with it."""
    if how == "kill" and is_sanitized():
        pytest.skip("a sanitizer calls what the relay does not")
    return {"wrapper": under(how), "env": WITHOUT_LEAKS}


@HOW
@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_every_pump(relays, servers, folder, sandboxed, pump):
    """TCP to UNIX and back, on several workers."""
    inner = servers(where=f"{folder}/echo.sock")
    relay = relays.run(
        f"[hvrelay]\nworkers = 3\n[defaults]\npump = {pump}\n"
        f"[forward out]\nlisten = unix:{folder}/a.sock\nconnect = {inner.endpoint}\n"
        f"socket_mode = 0660\nallow = user={os.getuid()}\n"
        f"[forward in]\nlisten = tcp:127.0.0.1:0\nconnect = unix:{folder}/a.sock\n",
        **sandboxed,
    )
    for _ in range(3):
        assert ask(relay.address("in"), BIG) == BIG
    assert relay.stop() == 0
    assert_nothing_refused(relay)


def assert_nothing_refused(relay):
    for line in relay.log:
        assert not re.search("not permitted|not supported|not implemented", line), relay.log


@HOW
@pytest.mark.parametrize("owner", ["nobody", ":nogroup"])
def test_a_socket_is_given_away(relays, echo_server, folder, sandboxed, owner):
    """Seen: "operation not permitted", and the service did not start."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a socket away")
    relay = relays.forward(
        *(f"unix:{folder}/a.sock", echo_server.endpoint, f"socket_owner={owner}"), **sandboxed
    )
    info = os.lstat(f"{folder}/a.sock")
    assert 65534 in (info.st_uid, info.st_gid)
    assert ask(f"{folder}/a.sock") == b"hello"
    assert relay.stop() == 0


@HOW
def test_names_are_looked_up(relays, servers, folder, sandboxed):
    """Of hosts, in the file and by asking a name server (where nobody answers); of users."""
    namespace.require()
    server = servers()
    with open(f"{folder}/resolv.conf", "w") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    sandboxed["wrapper"] = [
        *namespace.script(f"mount --bind '{folder}/resolv.conf' /etc/resolv.conf"),
        *sandboxed["wrapper"],
    ]
    relay = relays.run(
        f"[forward known]\nlisten = tcp:localhost:0\nconnect = tcp:localhost:{server.port}\n"
        "[forward unknown]\nlisten = tcp:127.0.0.1:0\nconnect = tcp:no-such-host.example:1\n"
        f"[forward users]\nlisten = unix:{folder}/u.sock\nconnect = {server.endpoint}\n"
        "allow = user=root\ndeny = all\n",
        **sandboxed,
    )
    assert ask(relay.address("known")) == b"hello"
    assert is_turned_away(relay.address("unknown"))
    relay.wait_log("'unknown' session .*: refused .*no-such-host.example")
    if os.getuid() == 0:
        assert ask(f"{folder}/u.sock") == b"hello"
    assert relay.stop() == 0
    assert_nothing_refused(relay)


@HOW
def test_the_life_of_a_service(relays, servers, folder, sandboxed):
    """Reload by signal and by the control socket, the log file anew, and a stop that drains."""
    server = servers()
    path, control, log = f"{folder}/hvrelay.conf", f"{folder}/control.sock", f"{folder}/log"

    def write(*names):
        with open(path, "w") as file:
            file.write(f"[hvrelay]\ncontrol = unix:{control}\nlog_file = {log}\n")
            for name in names:
                file.write(f"[forward {name}]\nlisten = unix:{folder}/{name}.sock\n")
                file.write(f"connect = {server.endpoint}\n")

    write("a")
    relay = relays.start("run", "-c", path, **sandboxed).wait_ready()
    assert ask(f"{folder}/a.sock") == b"hello"
    write("a", "b")
    assert hvrelay("reload", "-c", path, **sandboxed).returncode == 0
    assert ask(f"{folder}/b.sock") == b"hello"
    write("a", "c")
    relay.signal(signal.SIGHUP)
    eventually(lambda: os.path.exists(f"{folder}/c.sock"), "the new forward")
    eventually(lambda: not os.path.exists(f"{folder}/b.sock"), "the end of the old one")
    os.rename(log, f"{log}.1")
    relay.signal(signal.SIGUSR1)
    eventually(lambda: os.path.exists(log), "the new log file")
    with connect(f"{folder}/a.sock") as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        relay.signal(signal.SIGTERM)
        eventually(lambda: not os.path.exists(f"{folder}/a.sock"), "the end of listening")
        assert exchange(client, b"hello") == b"hello"
    assert relay.wait() == 0
    for name in (f"{log}.1", log):
        with open(name) as file:
            relay.log += file.read().splitlines()
    assert any("done after" in line for line in relay.log)
    assert_nothing_refused(relay)
