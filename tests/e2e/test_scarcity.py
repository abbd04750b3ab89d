"""When the system is out of something: the rest goes on, and nothing needs a restart afterwards."""

import errno
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from deadline import PATIENCE, eventually
from faults import Faults
from peers import accept, ask, connect, endpoint_of, listen, payload, read_exactly, read_to_end
from program import HVRELAY, WITHOUT_LEAKS, Relay, is_sanitized

BIG = payload(2_000_000)
FAILURES = 4
SCARCE = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS]


def name_of(value):
    return errno.errorcode[value] if isinstance(value, int) else None


@pytest.fixture
def faults(relays):
    opened = []

    def start(*calls):
        opened.append(Faults(*calls))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


class Old:
    """A session from better days."""

    def __init__(self, where, target):
        self.client, self.server = connect(where), accept(target)
        self.works()

    def works(self):
        for one, other in ((self.client, self.server), (self.server, self.client)):
            one.sendall(b"x" * 1000)
            assert read_exactly(other, 1000) == b"x" * 1000

    def close(self):
        self.client.close()
        self.server.close()


class Try:
    """A client that comes while something is short: it is served, or reset, and nothing else. It
    sends by itself: the kernel tells a reset only once, to a writer or to a reader."""

    def __init__(self, where, data):
        self.client = socket.socket()
        self.client.settimeout(PATIENCE)
        self.data = data
        try:
            self.client.connect(where)
            self.client.sendall(data)
            self.client.shutdown(socket.SHUT_WR)
            self.was_reset = False
        except OSError as error:
            assert error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
            self.was_reset = True

    def result(self):
        try:
            answer = b"" if self.was_reset else read_to_end(self.client)
        except ConnectionResetError:
            self.was_reset = True
        finally:
            self.client.close()
        assert self.was_reset or answer == self.data
        return "reset" if self.was_reset else "served"


# Where libuv has to wait for something new and can't, it aborts: so each loop must have begun before
# epoll_ctl fails, and that is known of a single worker only.
@pytest.mark.parametrize(
    "call, workers",
    [("epoll_ctl", 1)] + [(call, n) for call in ("accept4", "socket", "pipe2") for n in (1, 3)],
)
@pytest.mark.parametrize("number", SCARCE, ids=name_of)
def test_a_call_that_fails_for_a_while(relays, echo_server, faults, call, number, workers):
    fault = faults(call)
    with listen() as target:
        relay = relays.run(
            f"[hvrelay]\nworkers = {workers}\n"
            f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
            f"[forward old]\nlisten = tcp:127.0.0.1:0\nconnect = {endpoint_of(target)}\n",
            **fault.options(),
        )
        assert ask(relay.address("a")) == b"hello"  # without a pipe that could be used again
        eventually(lambda: any("'a' session 1" in line for line in relay.log))
        relay.signal(signal.SIGHUP)
        relay.wait_log("nothing to reload")  # so the main loop has begun, too
        before = relay.sockets()
        old = Old(relay.address("old"), target)
        fault.fail(call, number)
        relay.expect("cannot accept for now: ")
        if call == "epoll_ctl":
            relay.expect("'a': a client was refused: ").expect("'a': a session was refused")
        tries = [Try(relay.address("a"), b"hello") for _ in range(4)]
        while call == "pipe2" and fault.failed < FAILURES:  # wanted once there is much at a time
            assert ask(relay.address("a"), BIG) == BIG
        eventually(lambda: fault.failed >= FAILURES, "the failures")  # so it tries again, and again
        old.works()
        fault.relent()
        results = [one.result() for one in tries]
        if call != "epoll_ctl":  # a client that is in already, and can't be waited for
            assert results == ["served"] * 4
        for _ in range(5):
            assert ask(relay.address("a"), BIG) == BIG
        old.works()
        old.close()
    eventually(lambda: relay.sockets() <= before, "the end of all sessions")
    assert relay.stop() == 0
    told = sum("cannot accept for now" in line for line in relay.log)
    assert told <= workers and (told > 0 or call != "accept4")


# Not pipe2: where libuv can't have its pipe for signals it aborts.
CALLS_OF_A_START = ["epoll_create1", "epoll_ctl", "eventfd2", "socket", "bind", "listen", "clone"]
CALLS_OF_A_START += ["rt_sigaction", "prlimit64", "getrandom"]


def start_or_fail(*arguments, **options):
    """A relay that either serves, or says in one line why it does not and ends with 1: it never
    hangs and never crashes. Returns it, if it serves."""
    relay = Relay("forward", "tcp:127.0.0.1:0", *arguments, **options)
    eventually(lambda: relay.process.poll() is not None or "ready" in relay.output, "an answer")
    if relay.process.poll() is None:
        return relay
    assert relay.wait() == 1, relay.log
    assert relay.output == []
    assert re.search(" error: ", relay.log[-1]), relay.log
    return None


@pytest.mark.parametrize("call", CALLS_OF_A_START)
@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM], ids=name_of)
def test_a_call_that_fails_at_the_start(echo_server, faults, call, number):
    if is_sanitized() and call in ("clone", "rt_sigaction", "prlimit64"):
        pytest.skip("a sanitizer can't do without")
    fault = faults(call, "clone3")
    fault.fail(call, number)
    fault.fail("clone3", errno.ENOSYS)  # then it is clone that makes threads
    relay = start_or_fail(echo_server.endpoint, "-o", "workers=3", **fault.options())
    assert fault.failed > 0
    if relay:
        fault.relent()
        assert ask(relay.address()) == b"hello"
        assert relay.stop() == 0
    else:
        assert call not in ("prlimit64", "getrandom")


def test_no_thread_can_be_had(echo_server):
    """RLIMIT_NPROC, for a user of whom nothing else runs, in no other test either."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    user = ["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups"]
    wrapper = ["prlimit", "--nproc=3:3", *user]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(HVRELAY, folder)
        words = ["forward", "tcp:127.0.0.1:0", echo_server.endpoint, "-o", "workers=8"]
        done = subprocess.run(
            [*wrapper, program, *words], capture_output=True, text=True, timeout=PATIENCE
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot start a worker: cannot create a thread: " in done.stderr


@pytest.mark.parametrize("mebibytes", [12, 16, 20, 28, 36, 44, 52, 60, 68, 76, 100, 200])
def test_little_address_space(echo_server, mebibytes):
    """RLIMIT_AS: eight workers, whose stacks are 8 MiB each."""
    if is_sanitized():
        pytest.skip("a sanitizer wants all the address space")
    size = mebibytes << 20
    wrapper = ["prlimit", f"--as={size}:{size}", f"--stack={8 << 20}"]
    relay = start_or_fail(echo_server.endpoint, "-o", "workers=8", wrapper=wrapper)
    if relay:
        assert mebibytes >= 68
        for _ in range(5):
            assert ask(relay.address()) == b"hello"
        assert relay.stop() == 0
    else:
        assert mebibytes <= 100


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_descriptors_that_are_taken_away(relays, echo_server, pump):
    """The limit sinks below what is open while it runs, and rises again."""
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"pump={pump}", "workers=2")
    assert ask(relay.address()) == b"hello"
    soft, hard = resource.prlimit(relay.pid, resource.RLIMIT_NOFILE)
    for _ in range(3):
        resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (8, hard))
        tries = [Try(relay.address(), b"hello") for _ in range(5)]
        relay.wait_log("cannot accept for now: too many open files")
        resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert [one.result() for one in tries] == ["served"] * 5
        assert ask(relay.address(), BIG) == BIG


def test_it_stops_in_good_order_without_descriptors(relays, echo_server, folder):
    """None is needed to end sessions, to drain, and to remove what it made."""
    relay = relays.forward(f"unix:{folder}/a.sock", echo_server.endpoint, env=WITHOUT_LEAKS)
    with connect(f"{folder}/a.sock") as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (3, 3))
        relay.signal(signal.SIGTERM)
        relay.wait_log("asked to stop")
        client.sendall(b"y")
        assert read_exactly(client, 1) == b"y"
    assert relay.wait() == 0
    relay.wait_log("session 1: .*: done after")
    assert not os.path.lexists(f"{folder}/a.sock")
