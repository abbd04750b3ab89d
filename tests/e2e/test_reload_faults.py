"""A reload is all or nothing: the N-th call that can fail fails, for N = 1, 2, ... until none is
left. After each the state is the one before, or the new one as a whole."""

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import stat
import struct

import pytest

from deadline import eventually
from peers import accept, connect, endpoint_of, listen, read_exactly
from program import ENVIRONMENT, is_sanitized
from sockets import free_port, listening, own_sockets, shared

LIBRARY = os.environ.get("INJECT_LIBRARY", "")

pytestmark = pytest.mark.skipif(
    not os.access(LIBRARY, os.R_OK), reason="this build has no library of faults"
)

ANY = -2
MOST = 2000  # calls of a reload; it ends long before
USER_TIMEOUT, TCP_INFO, SACKED = 18, 11, 28  # the last: the backlog, where it listens


class Inject(ctypes.Structure):
    """The beginning of struct inject, tests/fault/inject.h."""

    _fields_ = [
        ("armed", ctypes.c_bool),
        ("call", ctypes.c_int),
        ("error", ctypes.c_int),
        ("starting", ctypes.c_bool),
        ("first", ctypes.c_int),
        ("count", ctypes.c_int),
        ("hits", ctypes.c_int),
        ("seen_any", ctypes.c_int),
    ]


@contextlib.contextmanager
def injection(folder):
    """The structure, and the environment of a relay that obeys it."""
    path = f"{folder}/inject"
    with open(path, "w+b") as file:
        file.truncate(mmap.PAGESIZE)
        memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
    environment = {**ENVIRONMENT, "LD_PRELOAD": LIBRARY, "HVRELAY_INJECT_FILE": path}
    if is_sanitized():
        environment["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + os.environ.get(
            "ASAN_OPTIONS", ""
        )
    yield Inject.from_buffer(memory), environment


class Scene:
    """A relay between two states, "one" and "two", which differ in all that a reload can change;
    a session on each of three forwards, of which state two keeps one."""

    LIMITS = {"one": 7, "two": 5}

    def __init__(self, service, folder, target, stack):
        self.service, self.folder, self.target, self.stack = service, folder, target, stack
        self.ports = [free_port() for _ in range(5)]
        self.sessions = []
        self.state = "one"
        self.marks = {"one": 0, "two": 0}

    def socket_of(self, name):
        return f"{self.folder}/{name}.sock"

    def forwards(self, state):
        to = endpoint_of(self.target)
        owner = {"one": "root:adm", "two": "nobody:nogroup"}[state]
        owned = [f"socket_owner = {owner}"] if os.geteuid() == 0 else []
        kept, moved, lost, gone, new = (
            f"unix:{self.socket_of(name)}" for name in ("kept", "moved", "lost", "gone", "new")
        )
        a, b, c, d, e = self.ports
        if state == "one":
            return {
                "kept": (kept, to, "socket_mode = 0666", *owned, "max_pending = 100"),
                "before": (moved, to, "socket_mode = 0660", *owned),
                "lost": (lost, to),
                "gone": (gone, to),
                "options": (
                    f"tcp:127.0.0.1:{a}",
                    to,
                    "receive_buffer = 8KiB",
                    "user_timeout = 7s",
                    "backlog = 10",
                ),
                "wider": (f"tcp:127.0.0.1:{b}", to, "allow = all"),
                "named": (f"tcp:127.0.0.1:{c}", to),
                "left": (f"tcp:127.0.0.1:{d}", to),
            }
        return {
            "kept": (kept, to, "socket_mode = 0606", *owned, "accept_rate = 1000"),
            "after": (moved, to, "socket_mode = 0600", *owned),
            "lost": (lost, to, "socket_mode = 0640"),
            "new": (new, to),
            "options": (f"tcp:127.0.0.1:{a}", to, "backlog = 20"),
            "wider": (f"tcp:*:{b}", to, "allow = all"),
            "named": (f"tcp:localhost:{c}", to, "send_buffer = 8KiB"),
            "fresh": (f"tcp:127.0.0.1:{e}", to),
        }

    def program(self, state):
        return "\n".join(
            (
                f"log_file = {self.log_of(state)}",
                "workers = 2",
                f"max_sessions = {self.LIMITS[state]}",
                f"drain_timeout = {'off' if state == 'one' else '1h'}",
                f"log_format = {'text' if state == 'one' else 'json'}",
            )
        )

    def log_of(self, state):
        return f"{self.folder}/log-{state}"

    def begin(self, environment):
        self.relay = self.service.start(
            self.forwards("one"), self.program("one"), env=environment
        )
        for where in (
            self.socket_of("kept"),
            self.socket_of("gone"),
            ("127.0.0.1", self.ports[1]),
        ):
            self.sessions.append(self.session(where, self.stack))

    def session(self, where, stack):
        client = stack.enter_context(connect(where))
        return client, stack.enter_context(accept(self.target))

    def check_sessions(self):
        for client, server in self.sessions:
            client.sendall(b"up")
            assert read_exactly(server, 2) == b"up"
            server.sendall(b"down")
            assert read_exactly(client, 4) == b"down"

    def check_limit(self):
        """As many come in at a time as this state allows, on every forward that it has."""
        names = list(self.forwards(self.state))
        wheres = []
        for name in names:
            where = self.forwards(self.state)[name][0]
            if where.startswith("unix:"):
                wheres.append(where[len("unix:") :])
            else:
                wheres.append(("127.0.0.1", int(where.rsplit(":", 1)[1])))
        if not os.path.lexists(self.socket_of("lost")):
            wheres.remove(self.socket_of("lost"))
        room = self.LIMITS[self.state] - len(self.sessions)
        for start in range(0, len(wheres), room):
            with contextlib.ExitStack() as some:
                for where in wheres[start : start + room]:
                    client, server = self.session(where, some)
                    client.sendall(b"x")
                    assert read_exactly(server, 1) == b"x"

    def check_log(self):
        """Lines go where they should, and nowhere else."""
        other = {"one": "two", "two": "one"}[self.state]
        before = self.size_of(other)
        where = self.log_of(self.state)
        with open(where) as file:
            file.seek(0, os.SEEK_END)
            with contextlib.ExitStack() as stack:
                client, server = self.session(self.socket_of("kept"), stack)
                client.sendall(b"x")
                assert read_exactly(server, 1) == b"x"
            text = ""

            def said():
                nonlocal text
                text += file.read()
                return "session" in text

            eventually(said, f"a line in {where}")
            assert text.startswith("{") == (self.state == "two")
        assert self.size_of(other) == before

    def size_of(self, state):
        try:
            return os.stat(self.log_of(state)).st_size
        except FileNotFoundError:
            return 0

    def files(self):
        found = {}
        for name in os.listdir(self.folder):
            info = os.lstat(f"{self.folder}/{name}")
            if stat.S_ISSOCK(info.st_mode):
                found[name] = (info.st_ino, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
        return found

    def listeners(self):
        """Number -> what is set about the socket."""
        found = {}
        for number in listening(self.relay):
            with shared(self.relay, number) as theirs:
                found[number] = self.settings_of(theirs)
        return found

    @staticmethod
    def settings_of(theirs):
        options = [
            theirs.getsockopt(socket.SOL_SOCKET, option)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF, socket.SO_KEEPALIVE)
        ]
        if theirs.family != socket.AF_UNIX:
            info = theirs.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 104)
            options += [
                theirs.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT),
                theirs.getsockopt(socket.IPPROTO_TCP, USER_TIMEOUT),
                struct.unpack_from("I", info, SACKED)[0],
            ]
        return theirs.getsockname(), *options

    def snapshot(self):
        """All that can be seen from outside, once no session is left but the three."""
        pipes = "pipe:"  # a few are kept for the next session

        def over():
            others = len(own_sockets(self.relay)) - len(listening(self.relay))
            return others == 2 * len(self.sessions)

        eventually(over, "the end of the others")
        return {
            *((n, link) for n, link in self.relay.descriptors().items() if pipes not in link),
            *self.listeners().items(),
            *self.files().items(),
        }

    def reload(self, state):
        """By the signal, so that all that is called is the reload's. Returns whether it is done."""
        marks = {name: self.size_of(name) for name in ("one", "two")}
        self.service.write(self.forwards(state), self.program(state))
        self.relay.signal(1)

        def outcome():
            for name, mark in marks.items():
                if self.size_of(name) > mark:
                    with open(self.log_of(name)) as file:
                        file.seek(mark)
                        text = file.read()
                    if "reloaded " in text:
                        return "done"
                    if "nothing was changed" in text:
                        return "failed"
            return None

        done = eventually(outcome, "an outcome") == "done"
        if done:
            self.state = state
        return done

    def lose(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket_of("lost"))


@pytest.mark.parametrize(
    "before, after, error", [("one", "two", errno.ENOMEM), ("two", "one", errno.EPERM)]
)
def test_each_call_of_a_reload_fails(service, folder, before, after, error):
    with injection(folder) as (inject, environment), listen() as target:
        with contextlib.ExitStack() as stack:
            scene = Scene(service, folder, target, stack)
            inject.starting = True
            scene.begin(environment)
            inject.starting = False
            for state in ("two", "one", before):
                assert scene.reload(state)
            failures = 0
            for number in range(1, MOST):
                scene.lose()
                state = scene.snapshot()
                inject.call, inject.error = ANY, error
                inject.first, inject.count = number, 1
                inject.hits = inject.seen_any = 0
                inject.armed = True
                done = scene.reload(after)
                inject.armed = False
                hit = inject.hits > 0
                if not done:
                    assert hit, "it failed by itself"
                    failures += 1
                    assert scene.snapshot() ^ state == set()
                scene.check_sessions()
                scene.check_log()
                if not done:
                    scene.check_limit()
                    assert scene.reload(after)
                    scene.check_sessions()
                    scene.check_log()
                assert scene.reload(before)
                if not hit:
                    break
            assert not hit and failures > 50
            for pair in scene.sessions:
                for stream in pair:
                    stream.close()
    assert service.relay.stop() == 0
