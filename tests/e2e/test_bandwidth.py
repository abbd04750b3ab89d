"""Bandwidth: how many bytes have come by when.

What is late for whatever reason, a busy machine for one, can only make less come: so all bounds are
from above, and from below there is nothing but a generous deadline. The sockets are UNIX sockets: a
byte is there as soon as the relay has written it, and no congestion control has a say."""

import contextlib
import os
import select
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deadline import PATIENCE
from peers import accept, connect, listen

RATE = 2 << 20  # bytes a second
DATA = b"x" * (RATE * 3 // 2)


def allowed(sessions, workers):
    """Bytes beyond the rate, over any period. Of the rate, 30 ms worth (base/throttle.h), and the
    10 ms worth that each other worker may take at the same moment, and that each session may have
    in hand as the period begins."""
    return RATE * (30 + 10 * (workers - 1) + 10 * sessions) // 1000


class Timeline:
    """What comes to these sockets, as moments (before, after, total): at some time between the two
    nothing was left to read, and `total` bytes had been read."""

    def __init__(self, *receivers):
        self.receivers = receivers
        self.moments = []
        self._look()

    def total(self):
        return self.moments[-1][2] if self.moments else 0

    def read(self, size):
        """So many more bytes."""
        size += self.total()
        end = time.monotonic() + PATIENCE
        self._look()
        while self.total() < size:
            left = end - time.monotonic()
            assert left > 0, f"only {self.total()} of {size} bytes within {PATIENCE} s"
            select.select(self.receivers, [], [], left)
            self._look()

    def _look(self):
        before = time.monotonic()
        total = self.total() + sum(map(self._take, self.receivers))
        self.moments.append((before, time.monotonic(), total))

    @staticmethod
    def _take(receiver):
        try:
            piece = os.read(receiver.fileno(), 1 << 20)  # does not wait; more than a socket holds
        except BlockingIOError:
            return 0
        assert piece, "it has ended"
        return len(piece)

    def most_beyond(self, rate):
        """The most bytes, over all periods, that came beyond what the rate allows in a period."""
        most, lowest = 0, self.moments[0][2] - rate * self.moments[0][0]
        for before, after, total in self.moments:
            most = max(most, total - rate * after - lowest)
            lowest = min(lowest, total - rate * before)
        return most


@pytest.fixture
def begin(relays, folder):
    """begin(count, *settings): the two ends of so many sessions of one forward."""
    with contextlib.ExitStack() as stack:

        def start(count, *settings):
            target = stack.enter_context(listen(f"{folder}/target"))
            relays.forward(f"unix:{folder}/in", f"unix:{folder}/target", *settings)
            pairs = []
            for _ in range(count):
                client = stack.enter_context(connect(f"{folder}/in"))
                pairs.append((client, stack.enter_context(accept(target))))
            return pairs

        yield start


@pytest.fixture
def background():
    """What is submitted to it runs meanwhile; its sockets' time-outs end it."""
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
@pytest.mark.parametrize("key", ["rate_limit", "session_rate_limit"])
def test_each_direction_is_smooth(begin, background, key, pump):
    """Though both are busy at a time."""
    ((client, server),) = begin(1, f"{key}={RATE}B/s", f"pump={pump}")
    up, down = Timeline(server), Timeline(client)
    for stream in (client, server):
        background.submit(stream.sendall, DATA)
    for done in [background.submit(line.read, len(DATA)) for line in (up, down)]:
        done.result()
    assert up.most_beyond(RATE) <= allowed(sessions=1, workers=1)
    assert down.most_beyond(RATE) <= allowed(sessions=1, workers=1)


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("key", ["rate_limit", "session_rate_limit"])
def test_each_direction_has_the_whole_rate(begin, background, key, pump):
    """Both at a time take as long as one, not twice as long. (What else the machine does may slow one
    try down.)"""
    ((client, server),) = begin(1, f"{key}={RATE}B/s", f"pump={pump}")
    ways = [(client, Timeline(server)), (server, Timeline(client))]

    def seconds(*busy):
        start = time.monotonic()
        for sender, _ in busy:
            background.submit(sender.sendall, DATA[: RATE // 2])
        for done in [background.submit(line.read, RATE // 2) for _, line in busy]:
            done.result()
        return time.monotonic() - start

    assert any(seconds(*ways) < 1.5 * seconds(ways[0]) for _ in range(5))


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("key", ["rate_limit", "session_rate_limit"])
def test_what_a_quiet_direction_does_not_use_is_not_saved_up(begin, background, key, pump):
    ((client, server),) = begin(1, f"{key}={RATE}B/s", f"pump={pump}")
    up, down = Timeline(server), Timeline(client)
    for line, sender in ((up, client), (down, server), (up, client)):
        background.submit(sender.sendall, DATA[: RATE // 2])
        line.read(RATE // 2)
    assert up.most_beyond(RATE) <= allowed(sessions=1, workers=1)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("sender", [0, 1], ids=["up", "down"])
def test_the_sessions_of_a_forward_share_its_rate(begin, background, sender, pump, workers):
    pairs = begin(4, f"rate_limit={RATE}B/s", f"pump={pump}", f"workers={workers}")
    line = Timeline(*(pair[1 - sender] for pair in pairs))
    for pair in pairs:
        background.submit(pair[sender].sendall, DATA[: len(DATA) // 4])
    line.read(len(DATA) // 4 * 4)
    assert line.most_beyond(RATE) <= allowed(sessions=4, workers=workers)


@pytest.mark.parametrize("others", [[], [f"rate_limit={4 * RATE}B/s"]])
def test_each_session_has_a_rate_of_its_own(begin, background, others):
    """And is held to it, where its forward has no limit, or room for more."""
    pairs = begin(2, f"session_rate_limit={RATE}B/s", *others)
    lines = [Timeline(server) for _, server in pairs]
    for client, _ in pairs:
        background.submit(client.sendall, DATA)
    for done in [background.submit(line.read, len(DATA)) for line in lines]:
        done.result()
    for line in lines:
        assert line.most_beyond(RATE) <= allowed(sessions=1, workers=1)


def test_a_rate_of_the_forward_binds_beside_one_of_the_session(begin, background):
    """Neither makes the other one be forgotten."""
    pairs = begin(2, f"session_rate_limit={4 * RATE}B/s", f"rate_limit={RATE}B/s")
    line = Timeline(*(server for _, server in pairs))
    for client, _ in pairs:
        background.submit(client.sendall, DATA[: len(DATA) // 2])
    line.read(len(DATA) // 2 * 2)
    assert line.most_beyond(RATE) <= allowed(sessions=2, workers=1)
