"""The OpenRC script, run by OpenRC itself, in namespaces where it finds a system of its own."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from deadline import PATIENCE, eventually
from peers import ask, refuses
from program import ENVIRONMENT, HVRELAY

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.realpath(f"{HERE}/../../contrib/hvrelay.openrc")
NOBODY = 65534

# Over the machine's files, in memory: what OpenRC needs at boot, the script and the program.
SYSTEM = """
mount -t tmpfs none /run
mkdir -p /run/over/{etc,bin}/{new,work}
mkdir -p /run/openrc/{daemons,exclusive,failed,hotplugged,inactive,options,scheduled}
mkdir -p /run/openrc/{started,starting,stopping,tmp,wasinactive}
touch /run/openrc/softlevel
mount -t overlay none -o lowerdir=/etc,upperdir=/run/over/etc/new,workdir=/run/over/etc/work /etc
mount -t overlay none -o \
    lowerdir=/usr/bin,upperdir=/run/over/bin/new,workdir=/run/over/bin/work /usr/bin
mount -t tmpfs none /var/log
install -m 755 "$1" /etc/init.d/hvrelay
install -m 755 "$2" /usr/bin/hvrelay
mkdir -p /etc/hvrelay /etc/conf.d
ln -s "$3" /etc/hvrelay/hvrelay.conf
echo up
sleep infinity &
wait # and reap what has lost its parent
"""


class OpenRc:
    def __init__(self, folder):
        self.folder = folder
        self.config = f"{folder}/hvrelay.conf"
        self._system = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
            + ["bash", "-euc", SYSTEM, "bash", SCRIPT, HVRELAY, self.config],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.is_up = self._system.stdout.readline() == "up\n"

    def _first_process(self):
        with open(f"/proc/{self._system.pid}/task/{self._system.pid}/children") as file:
            return file.read().split()[0]

    def run(self, *command):
        return subprocess.run(
            ["nsenter", f"--target={self._first_process()}", "--mount", "--pid", *command],
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            env=ENVIRONMENT,
        )

    def service(self, what):
        return self.run("rc-service", "--nocolor", "hvrelay", what)

    def succeeds(self, what):
        done = self.service(what)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, target, *names, more=""):
        with open(self.config, "w") as file:
            for name in names:
                file.write(f"[forward {name}]\nlisten = unix:{self.where(name)}\n")
                file.write(f"connect = {target}\n")
            file.write(more)

    def where(self, name):
        return f"@{self.folder}/{name}"

    def relay(self):
        """The process, if there is one: its number outside -> its status file."""
        mine = os.readlink(f"/proc/{self._first_process()}/ns/mnt")
        found = {}
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{number}/cmdline", "rb") as file:
                    is_relay = file.read().startswith(b"/usr/bin/hvrelay\0run\0")
                if is_relay and os.readlink(f"/proc/{number}/ns/mnt") == mine:
                    with open(f"/proc/{number}/status") as file:
                        found[int(number)] = file.read()
            except (FileNotFoundError, ProcessLookupError):
                pass  # gone meanwhile
        return found

    def log(self):
        return self.run("cat", "/var/log/hvrelay.log").stdout

    def close(self):
        self._system.kill()  # and with it all that runs there
        self._system.communicate()


@pytest.fixture
def openrc(relays, folder):
    if not shutil.which("openrc-run", path="/sbin:/usr/sbin"):
        pytest.skip("OpenRC is not installed (Debian: openrc)")
    if os.geteuid() != 0:
        pytest.skip("only root can make a system for OpenRC")
    system = OpenRc(folder)
    if not system.is_up:
        system.close()
        pytest.skip("this machine does not allow the namespaces and overlays")
    yield system
    system.close()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_it_is_a_shell_script(shell):
    done = subprocess.run([shell, "-n", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_life_of_a_service(openrc, echo_server):
    openrc.write(echo_server.endpoint, "a")
    openrc.succeeds("start")
    assert eventually(lambda: try_to_ask(openrc.where("a"))) == b"hello"
    assert "started" in openrc.succeeds("status")
    (status,) = openrc.relay().values()
    assert re.search(rf"^Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}$", status, re.M)

    openrc.write(echo_server.endpoint, "a", "b")
    openrc.succeeds("reload")
    assert eventually(lambda: try_to_ask(openrc.where("b"))) == b"hello"

    openrc.write(echo_server.endpoint, "c", more="mistake = 1\n")
    for what in ("check", "reload"):
        done = openrc.service(what)
        assert done.returncode != 0
        assert "unknown key 'mistake'" in done.stderr
    assert ask(openrc.where("a")) == b"hello"

    openrc.succeeds("stop")
    assert refuses(openrc.where("a"))
    assert openrc.relay() == {}
    assert openrc.service("status").returncode != 0
    assert re.search("listening on.*reloaded.*asked to stop", openrc.log(), re.S)


def test_it_comes_back_after_a_crash(openrc, echo_server):
    openrc.write(echo_server.endpoint, "a")
    openrc.succeeds("start")
    (first,) = eventually(openrc.relay)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: openrc.relay().keys() - {first}, "another relay")
    assert eventually(lambda: try_to_ask(openrc.where("a"))) == b"hello"


def test_it_does_not_start_with_mistakes(openrc, echo_server):
    openrc.write(echo_server.endpoint, "a", more="mistake = 1\n")
    done = openrc.service("start")
    assert done.returncode != 0
    assert "unknown key 'mistake'" in done.stderr
    assert openrc.relay() == {}


def try_to_ask(where):
    try:
        return ask(where)
    except ConnectionRefusedError:
        return None  # not listening yet
