"""Time-outs that are set together: each ends the session when it is due, and none does before."""

import socket
import time

import pytest

from peers import accept, connect, endpoint_of, listen, read_exactly

PAIRS = [
    ("session_timeout=300ms", "idle_timeout=1h"),
    ("idle_timeout=300ms", "session_timeout=1h"),
    ("half_close_timeout=300ms", "idle_timeout=1h"),
    ("idle_timeout=300ms", "half_close_timeout=1h"),
    ("session_timeout=300ms", "half_close_timeout=1h"),
    ("half_close_timeout=300ms", "session_timeout=1h"),
]


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("short, long", PAIRS)
def test_each_of_two_ends_the_session(relays, pump, short, long):
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), f"pump={pump}", short, long)
        with connect(relay.address()) as client, accept(target):
            client.shutdown(socket.SHUT_WR)
            relay.wait_log("session 1: .*: broken after .*: " + short.split("=")[0])


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_one_that_was_busy_may_get_idle(relays, pump):
    """The moment at which it would have been due for the first time is not the last."""
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), f"pump={pump}",
                               "idle_timeout=1500ms")
        with connect(relay.address()) as client, accept(target) as server:
            time.sleep(0.3)
            client.sendall(b"busy")
            assert server.recv(4) == b"busy"
            duration = relay.wait_log(r"session 1: .*: broken after (\S+) s.*: idle_timeout")[1]
            assert float(duration) >= 1.75


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_half_close_timeout_is_not_for_whole_sessions(relays, echo_server, pump):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"pump={pump}",
                           "half_close_timeout=200ms")
    with connect(relay.address()) as client:
        for pause in (0, 0.6):
            time.sleep(pause)
            client.sendall(b"hello")
            assert read_exactly(client, 5) == b"hello"
