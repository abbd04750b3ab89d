"""The relays that are compared: how each is found, configured and started.

All get the same: one worker (socat, which has none, forks a process per connection), TCP_NODELAY,
a long backlog, no log line per connection (hvrelay has one where `logged`), no time-outs that a run
could meet; the rest are each program's own defaults. `large` gives the peers the largest buffers
and pipes that they can have; hvrelay keeps its defaults even then."""

import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parent.parent / "build" / "peers"
DEADLINE = 30  # seconds, for a relay that does not start
SESSIONS = 8100  # the most that a relay is asked to hold


class Unavailable(Exception):
    """This relay can't run here, or can't do what is asked; the reason is for people."""


def find(command):
    """The path of a peer's program: installed, or unpacked by ./setup."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/lib/systemd"]
    places += [PEERS / part for part in ("usr/bin", "usr/sbin", "usr/lib/systemd", "lib/systemd")]
    path = shutil.which(command, path=":".join(map(str, places)))
    if not path:
        raise Unavailable(f"there is no {command} here: run tests/bench/setup")
    return path


def environment():
    """Libraries that ./setup unpacked are found last."""
    folders = [str(path) for path in PEERS.glob("usr/lib/*-linux-gnu")] + ["/usr/lib/systemd"]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders), "LC_ALL": "C"}


def free_port():
    """A TCP port that the system has chosen and nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fresh(family, folder):
    """An endpoint of that family that nobody uses."""
    if family == "tcp":
        return f"tcp:127.0.0.1:{free_port()}"
    if family == "unix":
        return f"unix:{folder}/relay"
    return f"vsock:1:{free_port()}"


def split(endpoint):
    """The family, and the rest: a path, or host and port."""
    family, rest = endpoint.split(":", 1)
    return (family, rest) if family == "unix" else (family, *rest.rsplit(":", 1))


def is_listening(endpoint):
    """Asked of the kernel: a connection would reach the load, which counts them."""
    family, *rest = split(endpoint)
    if family == "unix":
        with open("/proc/net/unix", encoding="utf-8") as table:  # HAProxy binds NAME.PID.tmp
            return os.path.exists(rest[0]) and any(
                f" {rest[0]}" in line and line.split()[3] == "00010000" for line in table)
    wanted = f":{int(rest[1]):04X} 00000000:0000 0A "
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(wanted in line for line in table)


class Relay:
    """A running relay: `process` is the root of its processes, `endpoint` where it listens."""
    name = ""
    program = ""
    sessions = SESSIONS  # the most that it can hold here
    logs = False  # can be started with a log line for each connection
    families = ("tcp", "unix")

    def __init__(self):
        self.process = self.endpoint = None
        self.logged = False

    def version(self):
        """One line."""
        output = subprocess.run([find(self.program), *self.version_option()], env=environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                check=True).stdout
        return next(line for line in output.splitlines() if any(map(str.isdigit, line))).strip()

    @staticmethod
    def version_option():
        return ["--version"]

    def command(self, target, folder, large):
        """What to run, and which descriptors to leave open."""
        raise NotImplementedError

    @staticmethod
    def load_family(experiment):
        """Where the load listens."""
        return experiment.target

    def spawn(self, target, folder, family="tcp", large=False, logged=False):
        """Starts it in an empty folder, and does not wait."""
        if logged and not self.logs:
            raise Unavailable(f"{self.name} logs no connections here")
        self.logged = logged
        if family not in self.families or split(target)[0] not in self.families:
            raise Unavailable(f"{self.name} has no {family} to {split(target)[0]}")
        self.endpoint = fresh(family, folder)
        command, keep = self.command(target, folder, large)
        with open(folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, env=environment(), pass_fds=keep, cwd=folder,
                                            stdin=subprocess.DEVNULL, stdout=self.output(),
                                            stderr=log, start_new_session=True)
        for descriptor in keep:
            os.close(descriptor)

    @staticmethod
    def output():
        return subprocess.DEVNULL

    def wait(self, folder):
        """Until it listens."""
        end = time.monotonic() + DEADLINE
        while not is_listening(self.endpoint):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not start: {(folder / 'log').read_text()}")
            time.sleep(0.002)

    def stop(self):
        """Ends it and its children, whatever they do."""
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)  # its own group: start_new_session
            except ProcessLookupError:
                pass
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
        self.process = None


class Hvrelay(Relay):
    families = ("tcp", "unix", "vsock")
    logs = True

    def __init__(self, program, name="hvrelay", pump=None, workers=1):
        super().__init__()
        self.program, self.name, self.pump, self.workers = program, name, pump, workers

    def command(self, target, folder, large):
        lines = ["[hvrelay]", f"workers = {self.workers}",
                 f"log_level = {'info' if self.logged else 'warning'}",
                 "[forward bench]", f"listen = {self.endpoint}", f"connect = {target}"]
        if self.pump:
            lines.append(f"pump = {self.pump}")
        (folder / "hvrelay.conf").write_text("\n".join(lines) + "\n")
        return [find(self.program), "run", "-c", folder / "hvrelay.conf"], ()

    @staticmethod
    def output():
        return subprocess.PIPE

    def wait(self, folder):
        for line in self.process.stdout:
            if line.rstrip() == b"ready":  # Windows ends it with a carriage return
                return
        raise RuntimeError(f"{self.name} does not start: {(folder / 'log').read_text()}")


class Socat(Relay):
    name = program = "socat"
    families = ("tcp", "unix", "vsock")
    sessions = 200  # each is a process

    @staticmethod
    def version_option():
        return ["-V"]

    def version(self):
        return next(line for line in subprocess.run(
            [find("socat"), "-V"], stdout=subprocess.PIPE, text=True, check=True,
            env=environment()).stdout.splitlines() if line.startswith("socat version"))

    def command(self, target, folder, large):
        family, *rest = split(self.endpoint)
        listen = {"tcp": "TCP-LISTEN:{1},bind={0},nodelay,reuseaddr,backlog=4096,fork",
                  "unix": "UNIX-LISTEN:{0},backlog=4096,fork",
                  "vsock": "VSOCK-LISTEN:{1},backlog=4096,fork"}[family].format(*rest)
        family, *rest = split(target)
        connect = {"tcp": "TCP:{0}:{1},nodelay", "unix": "UNIX-CONNECT:{0}",
                   "vsock": "VSOCK-CONNECT:{0}:{1}"}[family].format(*rest)
        options = ["-b", "262144"] if large else []
        told = ["-d", "-d"] if self.endpoint.startswith("vsock:") else []
        return [find("socat"), *told, *options, listen, connect], ()

    def wait(self, folder):
        if not self.endpoint.startswith("vsock:"):
            super().wait(folder)
            return
        end = time.monotonic() + DEADLINE  # no table of the kernel's shows vsock listeners
        while "listening on" not in (folder / "log").read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"socat does not start: {(folder / 'log').read_text()}")
            time.sleep(0.002)


class Proxyd(Relay):
    name = "proxyd"
    program = "systemd-socket-proxyd"
    sessions = 3000  # six descriptors each

    def command(self, target, folder, large):
        family, *rest = split(self.endpoint)
        listener = socket.socket(socket.AF_UNIX if family == "unix" else socket.AF_INET)
        listener.bind(rest[0] if family == "unix" else (rest[0], int(rest[1])))
        listener.listen(4096)
        descriptor = listener.detach()
        os.set_inheritable(descriptor, True)
        activate = ('exec 3<&"$1"; shift; '
                    'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"')
        return ["sh", "-c", activate, "sh", str(descriptor), find(self.program),
                f"--connections-max={SESSIONS}", target.split(":", 1)[1]], (descriptor,)


class Haproxy(Relay):
    name = program = "haproxy"

    @staticmethod
    def version_option():
        return ["-v"]

    @staticmethod
    def address(endpoint):
        family, *rest = split(endpoint)
        return "unix@" + rest[0] if family == "unix" else ":".join(rest)

    def command(self, target, folder, large):
        (folder / "haproxy.cfg").write_text(f"""\
global
    nbthread 1
    maxconn {SESSIONS}
    maxpipes 1000
    {'tune.pipesize 1048576' if large else ''}
    {'tune.bufsize 262144' if large else ''}
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind {self.address(self.endpoint)} backlog 4096
    server target {self.address(target)}
""")
        return [find("haproxy"), "-db", "-f", folder / "haproxy.cfg"], ()


class Nginx(Relay):
    name = program = "nginx"

    @staticmethod
    def version_option():
        return ["-v"]

    @staticmethod
    def address(endpoint):
        return endpoint if endpoint.startswith("unix:") else endpoint.split(":", 1)[1]

    @staticmethod
    def module():
        for folder in ("/usr/lib/nginx/modules", PEERS / "usr/lib/nginx/modules"):
            path = pathlib.Path(folder) / "ngx_stream_module.so"
            if path.exists():
                return path
        raise Unavailable("nginx has no stream module here: run tests/bench/setup")

    def command(self, target, folder, large):
        (folder / "nginx.conf").write_text(f"""\
load_module {self.module()};
{'user root;' if os.getuid() == 0 else ''}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {2 * SESSIONS + 100}; }}
stream {{
    server {{
        listen {self.address(self.endpoint)} backlog=4096;
        proxy_pass {self.address(target)};
        proxy_timeout 1h;
        {'proxy_buffer_size 256k;' if large else ''}
    }}
}}
""")
        return [find("nginx"), "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"], ()


class Direct(Relay):
    """No relay at all: the limit."""
    name = "direct"
    families = ("tcp", "unix", "vsock")

    @staticmethod
    def load_family(experiment):
        """vsock wherever the relays use it on either side."""
        return "vsock" if experiment.family == "vsock" else experiment.target

    def version(self):
        return "no relay"

    def spawn(self, target, folder, family="tcp", large=False, logged=False):
        if logged:
            raise Unavailable("no relay, no log")
        self.endpoint = target

    def wait(self, folder):
        pass


PEER_KINDS = {kind.name: kind for kind in (Socat, Proxyd, Haproxy, Nginx, Direct)}


def raise_descriptor_limit():
    """For the relays and the load, which inherit it."""
    wanted = 2 * SESSIONS + 2500
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, wanted), max(hard, wanted)))
    except ValueError:
        raise SystemExit(f"{hard} descriptors are too few: allow {wanted} (ulimit -n)") from None
