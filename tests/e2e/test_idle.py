"""Idle sessions cost nothing but memory, whatever time-outs are set: nobody is woken for them."""

import os
import re
import time

import pytest

from peers import accept, connect, endpoint_of, listen
from test_floods import descriptors  # noqa: F401

WATCHED = 6  # seconds

# A dial's deadline is what turns the wheel for the first time: it is short here.
TIMEOUTS = """
connect_timeout = 500ms
idle_timeout = 1h
session_timeout = 2h
half_close_timeout = 30m
keepalive = 1h
"""


def wake_ups(relay):
    """How often its threads have gone to sleep since they began: once for each time they woke."""
    total = 0
    for task in os.listdir(f"/proc/{relay.pid}/task"):
        with open(f"/proc/{relay.pid}/task/{task}/status") as status:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status.read(), re.M)[1])
    return total


def watch(relays, count, workers):
    """Wake-ups a second with so many idle sessions that have come at different times."""
    streams = []
    with listen() as target:
        relay = relays.run(
            f"[hvrelay]\nworkers = {workers}\nlog_level = warning\n[forward a]\n"
            f"listen = tcp:127.0.0.1:0\nconnect = {endpoint_of(target)}\n{TIMEOUTS}"
        )
        try:
            for number in range(count):
                streams.append(connect(relay.address("a")))
                streams.append(accept(target))
                streams[-2].sendall(b"x")
                assert streams[-1].recv(1) == b"x"
                time.sleep(0.002 if number < 1000 else 0)
            time.sleep(2)
            before = wake_ups(relay)
            time.sleep(WATCHED)
            return (wake_ups(relay) - before) / WATCHED
        finally:
            for stream in streams:
                stream.close()


@pytest.mark.parametrize("workers", [1, 8])
def test_idle_sessions_wake_nobody(relays, workers):
    assert watch(relays, 300, workers) < 2


def test_ten_thousand_idle_sessions_wake_nobody(relays, descriptors):  # noqa: F811
    assert watch(relays, min(10000, (descriptors - 200) // 2), workers=2) < 2
