"""The unit of systemd, run by systemd itself: as the first process of namespaces in a guest, whose
files it may change. Nothing in the unit is left out."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from deadline import PATIENCE, eventually
from peers import ask, connect, exchange, refuses
from program import ENVIRONMENT, HVRELAY, is_sanitized

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = os.path.realpath(f"{HERE}/../../contrib/hvrelay.service")
SYSTEMD = "/lib/systemd/systemd"
UNITS, CONFIG = "/etc/units", "/etc/hvrelay/hvrelay.conf"

sys.path.append(f"{HERE}/../guest")
from inside import inside  # noqa: E402

pytestmark = [
    pytest.mark.skipif(not inside(), reason="this runs only inside a guest of tests/guest/boot"),
    pytest.mark.skipif(not os.access(SYSTEMD, os.X_OK), reason="there is no systemd"),
    pytest.mark.skipif(is_sanitized(), reason="a sanitizer needs what the unit forbids"),
]

# What the unit pulls in, of systemd's own units. The machine's others are not for a guest.
OTHERS = ["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"]
OTHERS += [f"{name}.target" for name in ("sysinit", "basic", "network", "sockets", "shutdown")]

SYSTEM = f"""
mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup
export container=guest SYSTEMD_UNIT_PATH={UNITS}
export SYSTEMD_GENERATOR_PATH=/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/none
exec {SYSTEMD} --system --unit=systemd-journald.service --log-target=journal --show-status=no
"""


class Systemd:
    def __init__(self):
        os.makedirs(UNITS)
        for name in OTHERS:
            os.symlink(f"/lib/systemd/system/{name}", f"{UNITS}/{name}")
        shutil.copy(UNIT, UNITS)
        shutil.copy(HVRELAY, "/usr/bin/hvrelay")
        os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
        namespaces = ["--mount", "--pid", "--cgroup", "--fork", "--mount-proc", "--kill-child"]
        self._process = subprocess.Popen(
            ["unshare", *namespaces, "bash", "-euc", SYSTEM], stdin=subprocess.DEVNULL
        )
        eventually(lambda: self.run("test", "-S", "/run/systemd/private").returncode == 0, "systemd")

    def _first_process(self):
        number = self._process.pid
        with open(f"/proc/{number}/task/{number}/children") as file:
            return (file.read().split() or ["0"])[0]

    def run(self, *command):
        return subprocess.run(
            ["nsenter", f"--target={self._first_process()}", "--mount", "--pid", *command],
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            env={**ENVIRONMENT, "SYSTEMD_COLORS": "0"},
        )

    def succeeds(self, *command):
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr + self.journal()
        return done.stdout

    def control(self, *words):
        return self.succeeds("systemctl", *words)

    def show(self, name, unit="hvrelay"):
        return self.control("show", "--value", f"--property={name}", unit).strip()

    def journal(self):
        return self.run("journalctl", "--no-pager", "--output=cat", "--unit=hvrelay").stdout

    def add(self, name, text):
        path = f"{UNITS}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        self.control("daemon-reload")

    def close(self):
        first = self._first_process()
        self._process.kill()  # and with it all that runs there
        self._process.wait()
        eventually(lambda: not os.path.exists(f"/proc/{first}"), "the end of systemd")
        shutil.rmtree(UNITS)


def configure(*forwards, more=""):
    """Each forward is (name, listen, connect)."""
    with open(CONFIG, "w") as file:
        file.write(f"[hvrelay]\ncontrol = unix:/run/hvrelay/control\n{more}")
        for name, listen, target in forwards:
            file.write(f"[forward {name}]\nlisten = {listen}\nconnect = {target}\n")


@pytest.fixture
def systemd(relays):
    system = Systemd()
    yield system
    system.close()


WHERE = ("127.0.0.1", 80)
LISTEN = "tcp:127.0.0.1:80"


def test_the_life_of_a_service(systemd, echo_server):
    """With low ports of both kinds: that is what the one capability is for."""
    inner = ("b", "vsock:any:22", echo_server.endpoint)
    configure(("a", LISTEN, "vsock:local:22"), inner)
    systemd.control("start", "hvrelay")  # which waits until it is ready
    assert ask(WHERE) == b"hello"
    assert systemd.show("StatusText").startswith("relaying, ")
    first = systemd.show("MainPID")

    configure(("a", LISTEN, "vsock:local:22"), inner, ("c", "tcp:127.0.0.1:81", inner[2]))
    systemd.control("reload", "hvrelay")
    assert eventually(lambda: not refuses(("127.0.0.1", 81)))
    assert ask(("127.0.0.1", 81)) == b"hello"
    configure(("a", LISTEN, "vsock:local:22"), inner)
    systemd.succeeds("hvrelay", "reload")
    assert refuses(("127.0.0.1", 81))
    configure(inner, more="mistake = 1\n")
    systemd.control("reload", "hvrelay")
    eventually(lambda: "unknown key 'mistake'" in systemd.journal(), "the complaint")
    assert ask(WHERE) == b"hello"
    assert systemd.show("MainPID") == first

    systemd.control("stop", "hvrelay")
    assert (systemd.show("ActiveState"), systemd.show("Result")) == ("inactive", "success")
    assert refuses(WHERE)
    journal = systemd.journal()
    assert re.search("listening on.*reloaded.*asked to stop", journal, re.S)
    assert "listening a " not in journal  # what standard output tells is told already


def test_what_it_may_do(systemd, echo_server):
    configure(("a", LISTEN, echo_server.endpoint))
    systemd.control("start", "hvrelay")
    status = systemd.succeeds("cat", f"/proc/{systemd.show('MainPID')}/status")
    user = re.search(r"^Uid:\t(\d+)\t", status, re.M)[1]
    assert 61184 <= int(user) <= 65519  # those that DynamicUser= takes
    for kind in ("Prm", "Eff", "Bnd", "Amb"):
        assert re.search(f"^Cap{kind}:\t0000000000000400$", status, re.M), status
    assert re.search("^NoNewPrivs:\t1$", status, re.M)
    assert re.search("^Seccomp:\t2$", status, re.M)
    there = ["nsenter", f"--target={systemd.show('MainPID')}", "--mount"]
    for folder in ("/etc", "/usr", "/var", "/root"):
        assert systemd.run("test", "-w", folder).returncode == 0
        assert systemd.run(*there, "test", "-w", folder).returncode == 1
    assert systemd.succeeds(*there, "ls", "-A", "/tmp") == ""


@pytest.mark.parametrize(
    "owner, settings",
    [
        (":www-data", "SupplementaryGroups=www-data\n"),
        (
            "www-data:www-data",
            "AmbientCapabilities=CAP_CHOWN CAP_FOWNER\nCapabilityBoundingSet=CAP_CHOWN CAP_FOWNER\n",
        ),
    ],
)
def test_a_socket_is_given_away(systemd, echo_server, owner, settings):
    """With what the unit says about it."""
    systemd.add("hvrelay.service.d/owner.conf", f"[Service]\n{settings}")
    configure(
        ("a", "unix:/run/hvrelay/a.sock", f"{echo_server.endpoint}\nsocket_owner = {owner}"),
    )
    systemd.control("start", "hvrelay")
    about = systemd.succeeds("stat", "--format=%U:%G %a", "/run/hvrelay/a.sock").strip()
    assert about.endswith(f"{owner} 600")


def is_up_again(systemd):
    return systemd.show("NRestarts") == "1" and systemd.show("SubState") == "running"


def test_a_crash_and_a_mistake(systemd, echo_server):
    """After the one it is started again, after the other it is not."""
    configure(("a", LISTEN, echo_server.endpoint))
    systemd.control("start", "hvrelay")
    systemd.control("kill", "--signal=KILL", "hvrelay")
    eventually(lambda: is_up_again(systemd), "another start")
    assert ask(WHERE) == b"hello"
    systemd.control("stop", "hvrelay")
    configure(("a", LISTEN, echo_server.endpoint), more="mistake = 1\n")
    assert systemd.run("systemctl", "start", "hvrelay").returncode != 0
    assert (systemd.show("SubState"), systemd.show("ExecMainStatus")) == ("failed", "2")
    assert "unknown key 'mistake'" in systemd.journal()


def test_sessions_may_end_though_it_takes_longer_than_the_unit_says(systemd, echo_server):
    """Seen: killed after TimeoutStopSec=, amid drain_timeout."""
    systemd.add("hvrelay.service.d/stop.conf", "[Service]\nTimeoutStopSec=1\n")
    configure(("a", LISTEN, echo_server.endpoint))
    systemd.control("start", "hvrelay")
    with connect(WHERE) as client:
        systemd.control("--no-block", "stop", "hvrelay")
        eventually(lambda: refuses(WHERE), "the end of listening")
        time.sleep(4)  # more would only be more
        assert exchange(client, b"hello") == b"hello"
    eventually(lambda: systemd.show("ActiveState") != "deactivating", "the end")
    assert (systemd.show("ActiveState"), systemd.show("Result")) == ("inactive", "success")


def test_one_that_hangs(systemd, echo_server):
    systemd.add("hvrelay.service.d/watchdog.conf", "[Service]\nWatchdogSec=1\n")
    configure(("a", LISTEN, echo_server.endpoint))
    systemd.control("start", "hvrelay")
    systemd.control("kill", "--signal=STOP", "hvrelay")
    eventually(lambda: is_up_again(systemd), "another start")
    assert ask(WHERE) == b"hello"


def test_sockets_outlive_restarts(systemd, echo_server):
    """One of TCP and one of vsock. The first client starts the service, and none is lost."""
    for name, address in (("web", "127.0.0.1:80"), ("vm", "vsock::22")):
        systemd.add(
            f"hvrelay-{name}.socket",
            f"[Socket]\nListenStream={address}\nFileDescriptorName={name}\n"
            "Service=hvrelay.service\n",
        )
    configure(("a", "systemd:web", "vsock:local:22"), ("b", "systemd:vm", echo_server.endpoint))
    systemd.control("start", "hvrelay-web.socket", "hvrelay-vm.socket")
    assert systemd.show("ActiveState") == "inactive"
    assert ask(WHERE) == b"hello"
    for _ in range(3):
        first = systemd.show("MainPID")
        systemd.control("--no-block", "restart", "hvrelay")
        while systemd.show("MainPID") in ("0", first):
            assert ask(WHERE) == b"hello"
        assert ask(WHERE) == b"hello"
    assert systemd.show("NRestarts") == "0"
