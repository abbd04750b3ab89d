"""Real programs at both ends: curl, OpenSSH, PostgreSQL, iperf3. Each is skipped where missing."""

import functools
import http.server
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

import namespace
from deadline import eventually
from peers import payload, refuses
from program import HVRELAY

BULK = 20 << 20
LONG = 60  # seconds; only ever ends a hang


def need(*names):
    """The paths of programs, or a skip."""
    paths = [shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") for name in names]
    missing = [name for name, path in zip(names, paths) if path is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    return paths[0] if len(paths) == 1 else paths


def run(*words, **options):
    done = subprocess.run(words, **{"capture_output": True, "timeout": LONG, **options})
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port():
    """A port that was free a moment ago, for servers that can't choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """A server in the foreground, up once its port answers; `command(port)` starts it."""

    def __init__(self, command, log, **options):
        self.log = log
        for _ in range(5):  # somebody may have taken the port meanwhile
            self.port = free_port()
            with open(log, "w") as file:
                outputs = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
                self.process = subprocess.Popen(command(self.port), **outputs, **options)
            eventually(self._is_decided, "the server's start")
            if self.process.poll() is None:
                return
        with open(log) as file:
            pytest.fail(f"the server does not start: {file.read()}")

    def _is_decided(self):
        return self.process.poll() is not None or not refuses(("127.0.0.1", self.port))

    def stop(self, number=15):
        self.process.send_signal(number)
        self.process.wait(LONG)


@pytest.fixture
def web(folder):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.func.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"tcp:127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_curl(relays, web, folder, pump):
    curl = need("curl")
    data = payload(BULK)
    with open(f"{folder}/big", "wb") as file:
        file.write(data)
    relay = relays.forward("tcp:127.0.0.1:0", web, f"pump={pump}")
    host, port = relay.address()
    fetched = run(curl, "-sS", "--fail", f"http://{host}:{port}/big")
    assert fetched == data
    several = [word for _ in range(10) for word in ("-o", "/dev/null", f"http://{host}:{port}/")]
    run(curl, "-sS", "--fail", "--parallel", *several)
    inner = relays.forward(f"unix:{folder}/web.sock", relay.endpoint())  # two relays in a row
    fetched = run(curl, "-sS", "--fail", "--unix-socket", inner.endpoint()[5:], "http://x/big")
    assert fetched == data


class Ssh:
    """An sshd of our own, for this user and this test only."""

    def __init__(self, folder):
        sshd, keygen, self.ssh = need("sshd", "ssh-keygen", "ssh")
        self.user = pwd.getpwuid(os.geteuid())
        if self.user.pw_shell.endswith(("nologin", "false")):
            pytest.skip(f"the user {self.user.pw_name} can't log in")
        for name in ("host_key", "user_key"):
            run(keygen, "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}")
        os.rename(f"{folder}/user_key.pub", f"{folder}/authorized_keys")
        self.folder = folder
        wrapper = []
        if os.geteuid() == 0:  # it insists on a folder that only a started system has
            namespace.require()
            wrapper = namespace.script("mount -t tmpfs none /run", "mkdir -m 755 /run/sshd")

        def command(port):
            with open(f"{folder}/sshd_config", "w") as file:
                file.write(
                    f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_key\n"
                    f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nUsePAM no\n"
                    "StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n"
                )
            return [*wrapper, sshd, "-D", "-e", "-f", f"{folder}/sshd_config"]

        self.daemon = Daemon(command, f"{folder}/sshd.log")

    def command(self, *options):
        return [
            *(self.ssh, "-F", "none", "-q", "-T", "-i", f"{self.folder}/user_key"),
            *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *options,
            self.user.pw_name + "@127.0.0.1",
        ]


@pytest.fixture
def ssh(folder):
    server = Ssh(folder)
    yield server
    server.daemon.stop()


def assert_carries_bulk(command):
    """20 MB each way at once, through `cat` at the other end."""
    data = payload(BULK)
    assert run(*command, "cat", input=data) == data
    assert run(*command, "echo done").decode().split() == ["done"]


def test_ssh_with_a_proxy_command(ssh):
    proxy = f"ProxyCommand={HVRELAY} connect tcp:%h:%p"
    assert_carries_bulk(ssh.command("-o", proxy, "-p", str(ssh.daemon.port)))


def test_ssh_with_a_proxy_command_tells_the_exit_code_and_nothing_else(ssh):
    proxy = f"ProxyCommand={HVRELAY} connect tcp:%h:%p"
    command = ssh.command("-o", proxy, "-p", str(ssh.daemon.port))
    done = subprocess.run([*command, "exit 7"], timeout=LONG, capture_output=True)
    assert done.returncode == 7
    assert done.stderr == b""  # ssh ends its proxy by SIGHUP, which is no news to the user


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_ssh_through_a_forward(relays, ssh, pump):
    target = f"tcp:127.0.0.1:{ssh.daemon.port}"
    relay = relays.forward("tcp:127.0.0.1:0", target, f"pump={pump}")
    assert_carries_bulk(ssh.command("-p", str(relay.address()[1])))


@pytest.fixture
def postgres():
    initdb, server, psql = need("initdb", "postgres", "psql")
    as_user = {}
    folder = tempfile.mkdtemp(prefix="hvrelay-")
    if os.geteuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    environment = {**os.environ, "HOME": folder, "LC_ALL": "C"}
    options = {"cwd": folder, "env": environment, **as_user}
    data = f"{folder}/data"
    run(initdb, "-D", data, "-U", "test", "-A", "trust", "--no-sync", **options)

    def command(port):
        return [server, "-D", data, "-F", "-h", "127.0.0.1", "-p", str(port), "-k", folder]

    daemon = Daemon(command, f"{folder}/log", **options)

    def query(port, sql, **options):
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", "test", "-d", "postgres"]
        return run(psql, "-X", "-q", "-A", "-t", *where, "-c", sql, **options)

    yield daemon, query
    daemon.stop(2)
    shutil.rmtree(folder)


def test_postgresql(relays, postgres):
    daemon, query = postgres
    eventually(lambda: is_up(query, daemon.port), "the database")
    relay = relays.forward("tcp:127.0.0.1:0", f"tcp:127.0.0.1:{daemon.port}")
    port = relay.address()[1]
    lines = b"".join(b"%d\n" % number for number in range(1000000))
    query(port, "CREATE TABLE t (n int)")
    query(port, "COPY t FROM STDIN", input=lines)
    assert query(port, "SELECT count(*), sum(n) FROM t").decode().strip() == "1000000|499999500000"
    assert query(port, "COPY t TO STDOUT") == lines


def is_up(query, port):
    try:
        return query(port, "SELECT 1").strip() == b"1"
    except AssertionError:
        return False  # starting up


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("direction", [[], ["--reverse"], ["--bidir", "--parallel", "2"]])
def test_iperf3(relays, tmp_path, pump, direction):
    iperf3 = need("iperf3")

    def command(port):
        return [iperf3, "-s", "-B", "127.0.0.1", "-p", str(port)]

    daemon = Daemon(command, tmp_path / "log")
    try:
        target = f"tcp:127.0.0.1:{daemon.port}"
        relay = relays.forward("tcp:127.0.0.1:0", target, f"pump={pump}", "workers=2")
        host, port = relay.address()
        words = [iperf3, "-c", host, "-p", str(port), "-n", "40M", "--json", *direction]
        report = eventually(lambda: report_of(words), "a whole run")
        if "--bidir" not in direction:  # there the faster direction ends the other
            assert report["end"]["sum_sent"]["bytes"] >= 40 << 20
        assert report["end"]["sum_received"]["bytes"] > 0
    finally:
        daemon.stop()


def report_of(words):
    """What a run tells; None while the server is still busy with the one before."""
    done = subprocess.run(words, capture_output=True, timeout=LONG)
    report = json.loads(done.stdout)
    return None if "error" in report else report
