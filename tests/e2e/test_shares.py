"""The sessions of a forward take turns at its bandwidth: what each of them gets, and how long a small
message waits beside greedy ones. The bounds are those of src/relay/share.h, doubled and with a
fifth of a second for a busy machine; where bytes can be counted instead of time, they are."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time

import pytest

from deadline import PATIENCE
from peers import accept, connect, listen, read_exactly
from program import is_sanitized

KIB, MIB = 1 << 10, 1 << 20
QUANTUM = 4 * KIB  # at most
WINDOW = 5  # seconds


def most_wait(sessions, rate):
    """Seconds, for a message that is no larger than a quantum. A machine that moves 100 MiB/s has other
    reasons to be late."""
    return 2 * (sessions * QUANTUM / rate + 0.02) + (0.2 if rate <= MIB else 1)


SENDER = """
import select, socket, sys
streams = {int(n): socket.socket(fileno=int(n)) for n in sys.argv[1:]}
poll = select.epoll()
for number in streams:
    poll.register(number, select.EPOLLOUT)
piece = bytes(65536)
while True:
    for number, _ in poll.poll():
        try:
            streams[number].send(piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
"""


class Greedy:
    """A process that sends on all these streams as much as they take, until it is closed."""

    def __init__(self, streams):
        numbers = [stream.fileno() for stream in streams]
        words = [sys.executable, "-c", SENDER, *map(str, numbers)]
        self._process = subprocess.Popen(words, pass_fds=numbers)

    def close(self):
        self._process.kill()
        self._process.wait()


class Counts:
    """Reads all that comes on these streams and counts it by stream."""

    def __init__(self, streams):
        self.totals = dict.fromkeys((stream.fileno() for stream in streams), 0)
        self._streams = {stream.fileno(): stream for stream in streams}
        self._buffer = bytearray(256 * KIB)
        self._poll = select.epoll()
        for number in self._streams:
            self._poll.register(number, select.EPOLLIN)

    def look(self, patience=0.05):
        for number, _ in self._poll.poll(patience):
            size = self._streams[number].recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            assert size > 0, "it has ended"
            self.totals[number] += size

    def sum(self):
        return sum(self.totals.values())

    def read_for(self, seconds):
        """What came on each stream in that time, and how long it was."""
        self.look()
        before, begin = dict(self.totals), time.monotonic()
        while time.monotonic() < begin + seconds:
            self.look()
            time.sleep(0.05)  # few large reads: this process must not be what is slow
        return [self.totals[n] - before[n] for n in before], time.monotonic() - begin

    def close(self):
        self._poll.close()


@pytest.fixture
def begin(relays, folder):
    """begin(count, workers, *settings): the two ends of so many sessions of one forward."""
    with contextlib.ExitStack() as stack:

        def start(count, workers, *settings):
            target = stack.enter_context(listen(f"{folder}/target"))
            text = "".join(f"{setting}\n" for setting in settings)
            relay = relays.run(
                f"[hvrelay]\nworkers = {workers}\n[forward a]\nlisten = unix:{folder}/in\n"
                f"connect = unix:{folder}/target\nbacklog = 1000\n{text}"
            )
            pairs = []
            for _ in range(count):
                client = stack.enter_context(connect(f"{folder}/in"))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KIB)
                pairs.append((client, stack.enter_context(accept(target))))
            return relay, pairs

        yield start


@contextlib.contextmanager
def all_busy(pairs):
    """The counts of what comes, once something has come on each."""
    greedy = Greedy([client for client, _ in pairs])
    with contextlib.closing(greedy), contextlib.closing(Counts([s for _, s in pairs])) as counts:
        end = time.monotonic() + PATIENCE
        while min(counts.totals.values()) == 0:
            counts.look()
            assert time.monotonic() < end, f"nothing has come on one: {counts.totals.values()}"
        yield counts


def wait_of_a_byte(pair, counts):
    """Sends one; the seconds until it is there, and the bytes of others that came meanwhile."""
    before, begin = counts.sum(), time.monotonic()
    pair[0].sendall(b"x")
    while True:
        with contextlib.suppress(BlockingIOError):
            assert pair[1].recv(1, socket.MSG_DONTWAIT) == b"x"
            return time.monotonic() - begin, counts.sum() - before
        assert time.monotonic() < begin + PATIENCE, "the byte does not come"
        counts.look(0.002)


FAST = pytest.mark.skipif(is_sanitized(), reason="a sanitizer moves no 100 MiB/s")

# Each pump with each load, and each with one worker and with more.
LOADS = [
    (64 * KIB, 8, "auto", 1),
    (64 * KIB, 8, "splice", 8),
    (64 * KIB, 8, "copy", 1),
    (64 * KIB, 8, "stream", 8),
    (MIB, 100, "auto", 8),
    (MIB, 100, "splice", 1),
    (MIB, 100, "copy", 8),
    (MIB, 100, "stream", 1),
    pytest.param(100 * MIB, 1000, "auto", 8, marks=FAST),
    pytest.param(100 * MIB, 1000, "stream", 1, marks=FAST),
]


@pytest.mark.parametrize("rate, sessions, pump, workers", LOADS)
def test_greedy_sessions_have_equal_shares(begin, rate, sessions, pump, workers):
    _, pairs = begin(sessions, workers, f"rate_limit = {rate}B/s", f"pump = {pump}")
    with all_busy(pairs) as counts:
        shares, seconds = counts.read_for(WINDOW)
    mean = sum(shares) / sessions
    assert min(shares) > 0.9 * mean and max(shares) < 1.1 * mean, sorted(shares)
    least = 0.9 if rate <= MIB else 0.5  # what a busy machine moves of 100 MiB/s is its own affair
    assert least * rate * seconds < sum(shares) < 1.05 * rate * seconds


@pytest.mark.parametrize("rate, sessions, pump, workers", LOADS)
def test_a_small_message_waits_for_one_round(begin, rate, sessions, pump, workers):
    _, pairs = begin(sessions + 1, workers, f"rate_limit = {rate}B/s", f"pump = {pump}")
    with all_busy(pairs[:-1]) as counts:
        counts.read_for(0.5)
        for _ in range(5):
            seconds, others = wait_of_a_byte(pairs[-1], counts)
            assert seconds < most_wait(sessions + 1, rate)
            assert others < rate * most_wait(sessions + 1, rate)
            counts.read_for(0.1)


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_a_large_socket_buffer_is_no_place_in_front(begin, pump):
    """One that has sent 2 MiB ahead is still one of two."""
    rate = 256 * KIB
    _, pairs = begin(
        2, 1, f"rate_limit = {rate}B/s", f"pump = {pump}", "receive_buffer = 4MiB"
    )
    greedy, small = pairs
    greedy[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MIB)
    sender = threading.Thread(target=greedy[0].sendall, args=(bytes(2 * MIB),))
    sender.start()
    with contextlib.closing(Counts([greedy[1]])) as counts:
        counts.read_for(0.3)
        seconds, others = wait_of_a_byte(small, counts)
        assert seconds < most_wait(2, rate)
        assert others < rate * most_wait(2, rate)
        while counts.sum() < 2 * MIB:
            counts.look()
    sender.join()


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_who_waits_for_bandwidth_is_not_idle(begin, pump):
    """A round takes twice as long as one may be idle."""
    relay, pairs = begin(
        60, 1, "rate_limit = 1KiB/s", f"pump = {pump}", "idle_timeout = 300ms"
    )
    with all_busy(pairs) as counts:
        counts.read_for(2)
    assert not any("idle_timeout" in line for line in relay.log), relay.log


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("own, shared, binding", [(64, 1024, 64), (1024, 128, 64)])
def test_the_lower_limit_binds(begin, own, shared, binding, pump):
    """Of a session's own 64 KiB/s or its half of the forward's 128, whatever the other is."""
    _, pairs = begin(
        2,
        1,
        f"rate_limit = {shared}KiB/s",
        f"session_rate_limit = {own}KiB/s",
        f"pump = {pump}",
    )
    with all_busy(pairs) as counts:
        shares, seconds = counts.read_for(WINDOW / 2)
    for share in shares:
        assert 0.75 * binding * KIB < share / seconds < 1.25 * binding * KIB


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_one_that_was_idle_has_nothing_saved_up(begin, pump):
    """It gets its share from when it comes, neither less nor more."""
    rate = 256 * KIB
    _, pairs = begin(3, 1, f"rate_limit = {rate}B/s", f"pump = {pump}")
    with all_busy(pairs[:2]) as counts:
        counts.read_for(2)
    with all_busy(pairs) as counts:
        shares, _ = counts.read_for(2)
    mean = sum(shares) / 3
    assert min(shares) > 0.9 * mean and max(shares) < 1.1 * mean, shares


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_who_goes_leaves_its_share(begin, pump):
    """Of eight, six break off amid it, and the two that stay have all of the rate."""
    rate = 256 * KIB
    relay, pairs = begin(8, 2, f"rate_limit = {rate}B/s", f"pump = {pump}")
    with all_busy(pairs) as counts:
        counts.read_for(0.5)
    for client, server in pairs[2:]:
        server.close()
        client.close()
    relay.wait_log("session", count=6)
    with all_busy(pairs[:2]) as counts:
        shares, seconds = counts.read_for(2)
    assert 0.9 * rate < sum(shares) / seconds < 1.1 * rate


def test_a_reload_changes_the_rate_of_those_that_wait(relays, folder):
    """Sessions that are limited share the new rate from the reload on."""
    path = f"{folder}/hvrelay.conf"

    def write(rate):
        with open(path, "w") as file:
            file.write(
                f"[hvrelay]\ncontrol = unix:{folder}/control.sock\n[forward a]\n"
                f"listen = unix:{folder}/in\nconnect = unix:{folder}/target\nrate_limit = {rate}\n"
            )

    write("1KiB/s")
    with listen(f"{folder}/target") as target:
        relay = relays.start("run", "-c", path).wait_ready()
        with connect(f"{folder}/in") as client, accept(target) as server:
            client.sendall(bytes(64 * KIB))
            read_exactly(server, 100)
            write("10MiB/s")
            relay.signal(1)
            relay.wait_log("reloaded")
            begin = time.monotonic()
            read_exactly(server, 63 * KIB)
            assert time.monotonic() - begin < 10  # a minute at the old rate


@pytest.mark.parametrize("listen_on", ["in", "elsewhere"])
@pytest.mark.parametrize("before", ["off", "1KiB/s"])
@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_a_rate_that_a_reload_brings(service, folder, pump, before, listen_on):
    """Also for a forward that moves to another address by the same reload."""
    lines = f"unix:{folder}/target", f"pump = {pump}"
    with listen(f"{folder}/target") as target:
        service.start({"a": (f"unix:{folder}/in", *lines, f"rate_limit = {before}")})
        service.change({"a": (f"unix:{folder}/{listen_on}", *lines, "rate_limit = 1MiB/s")})
        with connect(f"{folder}/{listen_on}") as client, accept(target) as server:
            client.sendall(bytes(64 * KIB))
            begin = time.monotonic()
            read_exactly(server, 64 * KIB)
            assert time.monotonic() - begin < 10  # a minute at the old rate


def processor_time(relay):
    """Of all its threads, s."""
    total = 0
    for task in os.listdir(f"/proc/{relay.pid}/task"):
        with open(f"/proc/{relay.pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def test_waiting_for_bandwidth_costs_little(begin):
    """It is no busy loop: the relay sleeps most of the time."""
    relay, pairs = begin(200, 2, "rate_limit = 256KiB/s")
    with all_busy(pairs) as counts:
        before = processor_time(relay)
        _, seconds = counts.read_for(3)
        assert processor_time(relay) - before < seconds / 3
