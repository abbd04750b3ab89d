"""A log that nobody reads: sessions go on, what is lost is counted, and the end comes in time."""

import fcntl
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import termios
import threading

import pytest

import namespace
from deadline import PATIENCE, eventually
from journal import Journal
from load import Load
from peers import ask, connect, read_exactly
from program import HVRELAY, hvrelay, is_sanitized

PIPE = 4096
QUEUE = 1 << 20  # LOG_QUEUE in src/base/log_queue.h
SESSIONS = 8000  # whose lines are more than the queue and the pipe hold
BOUND = 10  # seconds; an end takes 1.5 at most, and this machine may be busy
SETTINGS = ("workers=2", "max_sessions=1000")


def fill(writer):
    """Until nothing fits any more; the reader will see empty lines."""
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"\n")
    except BlockingIOError:
        os.set_blocking(writer, True)


def small_pipe():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
    return reader, writer


class Stalled:
    """Nobody reads before read(). `options` and `settings` start a relay whose log comes here."""

    options = {}
    settings = ()

    def __init__(self):
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read_all)

    def started(self):
        """The relay has what it needs."""

    def read(self):
        self._thread.start()

    def _read_all(self):
        while piece := os.read(self.reader, 65536):
            self.data += piece

    def messages(self):
        """Of the whole lines so far: text or JSON, with or without the journal's prefix."""
        lines = bytes(self.data).decode().split("\n")[:-1]
        lines = [re.sub("^<[0-7]>", "", line) for line in lines if line]
        return [
            json.loads(line)["message"] if line[0] == "{" else line.split(": ", 1)[1]
            for line in lines
        ]

    def close(self):
        if self._thread.ident:
            self._thread.join(PATIENCE)
        os.close(self.reader)


class Stderr(Stalled):
    def __init__(self, folder):
        super().__init__()
        self.reader, self.writer = small_pipe()
        self.options = {"stderr": self.writer}

    def started(self):
        os.close(self.writer)


class Fifo(Stalled):
    def __init__(self, folder):
        super().__init__()
        self.path = f"{folder}/fifo"
        os.mkfifo(self.path)
        self.reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self.reader, True)
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, PIPE)
        self.settings = (f"log_file={self.path}",)


class Datagrams(Stalled):
    """The journal's own protocol."""

    def __init__(self, folder):
        super().__init__()
        namespace.require()
        self.journal = Journal(folder)
        self.options = self.journal.options()
        self.events = []

    def _read_all(self):
        while "at the end" not in (event := self.journal.wait_event("")):
            self.events.append(event["MESSAGE"])

    def messages(self):
        return list(self.events)

    def close(self):
        if self._thread.ident:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"MESSAGE=\nat the end=", f"{self.journal.folder}/socket")
            self._thread.join(PATIENCE)
        self.journal.close()


class Stream(Datagrams):
    """Standard error of a service: JSON does not go by the protocol."""

    def _read_all(self):
        while piece := self.journal.stderr.recv(65536):
            self.data += piece

    def messages(self):
        return Stalled.messages(self)

    def started(self):
        self.journal.relays_stderr.close()

    def close(self):
        self.journal.stderr.shutdown(socket.SHUT_RDWR)
        if self._thread.ident:
            self._thread.join(PATIENCE)
        self.journal.close()


KINDS = [
    (Stderr, "text"),
    (Stderr, "json"),
    (Fifo, "text"),
    (Fifo, "json"),
    (Datagrams, "text"),
    (Stream, "json"),
]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0].__name__}-{kind[1]}")
def stalled(request, relays, folder):
    kind, form = request.param
    log = kind(folder)
    log.settings = (*log.settings, f"log_format={form}")
    yield log
    log.close()


@pytest.fixture
def fifo(relays, folder):
    log = Fifo(folder)
    yield log
    log.close()


def start(relays, target, log):
    """A relay whose log goes there."""
    settings = (*SETTINGS, *log.settings)
    relay = relays.forward("tcp:127.0.0.1:0", target, *settings, **log.options)
    log.started()
    return relay


def resident(relay):
    with open(f"/proc/{relay.pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def ping(client, count=100):
    for _ in range(count):
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


def sessions_in(messages):
    return sum(bool(re.search(r"\bsession \d+: ", message)) for message in messages)


def lost_in(messages):
    matches = [re.match(r"(\d+) lines lost: ", message) for message in messages]
    return sum(int(match[1]) for match in matches if match)


@pytest.fixture
def load():
    opened = Load(SESSIONS)
    yield opened
    opened.close()


def test_sessions_go_on_and_each_line_is_read_or_counted(relays, load, stalled):
    """Goal: with more lines than fit, sessions are served, memory grows by the queue alone, and
    once somebody reads, not a line is unaccounted for."""
    relay = start(relays, load.endpoint, stalled)
    before = resident(relay)
    load.start(relay.endpoint())
    load.wait()
    slack = 64 if is_sanitized() else 1
    assert resident(relay) - before < QUEUE + (slack << 20)
    stalled.read()
    eventually(
        lambda: sessions_in(stalled.messages()) + lost_in(stalled.messages()) >= SESSIONS,
        "the rest of the log",
    )
    messages = stalled.messages()
    assert lost_in(messages) > 0
    assert sessions_in(messages) + lost_in(messages) == SESSIONS
    assert relay.stop() == 0


def test_an_established_session_goes_on(relays, echo_server, stalled):
    relay = start(relays, echo_server.endpoint, stalled)
    with connect(relay.address()) as client:
        ping(client)
        for _ in range(200):
            assert ask(relay.address()) == b"hello"
            ping(client, 1)


def test_it_stops_in_time(relays, echo_server, stalled):
    """Goal: SIGTERM, with a log that nobody will ever read."""
    relay = start(relays, echo_server.endpoint, stalled)
    for _ in range(200):
        assert ask(relay.address()) == b"hello"
    relay.signal(signal.SIGTERM)
    assert relay.process.wait(BOUND) == 0


def test_connect_moves_its_bytes(echo_server):
    """Goal: standard error is full before it begins, and a line is due at its start and end."""
    reader, writer = small_pipe()
    fill(writer)
    done = hvrelay(
        *("connect", echo_server.endpoint, "-o", "log_level=info"),
        text=False,
        input=b"hello",
        stderr=writer,
    )
    os.close(writer)
    os.close(reader)
    assert (done.returncode, done.stdout) == (0, b"hello")


def test_connect_says_what_was_wrong_before_it_ends(relays):
    """Goal: the queue is empty before the process is gone."""
    done = hvrelay("connect", "unix:/no/such/socket", input="hello")
    assert done.returncode == 1
    assert "/no/such/socket" in done.stderr


def test_a_terminal_that_is_stopped(relays, echo_server):
    """Goal: Ctrl-S, and a write to it that does not return, not even at the end."""
    ours, theirs = pty.openpty()
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, stderr=theirs)
    termios.tcflow(theirs, termios.TCOOFF)
    for _ in range(20):
        assert ask(relay.address()) == b"hello"
    relay.signal(signal.SIGTERM)
    code = relay.process.wait(BOUND)
    termios.tcflow(theirs, termios.TCOON)
    os.close(theirs)
    os.close(ours)
    assert code == 0


def test_a_fifo_without_a_reader_is_no_log_file(folder):
    os.mkfifo(f"{folder}/fifo")
    done = hvrelay(
        *("forward", "tcp:127.0.0.1:0", "tcp:127.0.0.1:1"), "-o", f"log_file={folder}/fifo"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "/fifo': no such device or address (a pipe needs a reader first)" in done.stderr


class Configured:
    """A relay by a file, which can be changed."""

    def __init__(self, relays, folder, echo_server):
        self.path = f"{folder}/hvrelay.conf"
        self.control = f"control = unix:{folder}/control"
        self.target = echo_server.endpoint
        self.folder = folder

    def write(self, log_file):
        with open(self.path, "w") as file:
            file.write(
                f"[hvrelay]\n{self.control}\nlog_file = {log_file}\n"
                f"[forward echo]\nlisten = tcp:127.0.0.1:0\nconnect = {self.target}\n"
            )

    def reload(self):
        return hvrelay("reload", "-c", self.path)


@pytest.fixture
def configured(relays, folder, echo_server):
    return Configured(relays, folder, echo_server)


def test_a_reload_does_not_wait_for_a_reader(relays, configured, folder):
    log, pipe = f"{folder}/log", f"{folder}/pipe"
    configured.write(log)
    relay = relays.start("run", "-c", configured.path).wait_ready()
    os.mkfifo(pipe)
    configured.write(pipe)
    assert "a pipe needs a reader first" in configured.reload().stderr
    assert ask(relay.address("echo")) == b"hello"
    assert relay.stop() == 0
    with open(log) as file:
        assert "session 1" in file.read()


def test_another_log_file_ends_the_stall(relays, configured, folder, fifo):
    log = f"{folder}/log"
    configured.write(fifo.path)
    relay = relays.start("run", "-c", configured.path).wait_ready()
    for _ in range(200):
        assert ask(relay.address("echo")) == b"hello"
    configured.write(log)
    assert configured.reload().returncode == 0
    eventually(lambda: os.path.exists(log) and "session 200" in open(log).read(), "its lines")
    assert relay.stop() == 0


def test_a_file_that_cannot_be_opened_anew(relays, echo_server, folder):
    """Goal: SIGUSR1, and in its place there is a FIFO that nobody reads: it goes on in the old
    file, and says so there and on standard error."""
    log = f"{folder}/log"
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"log_file={log}")
    os.rename(log, f"{log}.1")
    os.mkfifo(log)
    relay.signal(signal.SIGUSR1)
    relay.wait_log("cannot open the log file .*a pipe needs a reader first")
    assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    with open(f"{log}.1") as file:
        lines = file.read()
    assert "cannot open the log file" in lines
    assert "session 1" in lines
