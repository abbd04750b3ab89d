"""The ready protocol on standard output, and nothing else there."""

import re

import pytest

from peers import ask


def test_each_listener_in_order_and_then_ready(folder, relays, echo_server):
    text = "".join(
        f"[forward {name}]\nlisten = {listen}\nconnect = {echo_server.endpoint}\n"
        for name, listen in (
            ("z", "tcp:127.0.0.1:0"),
            ("a.b-c_d", f"unix:{folder}/a.sock"),
            ("six", "tcp:[::1]:0"),
            ("abstract", f"unix:@{folder}"),
        )
    )
    relay = relays.run(text)
    patterns = [
        r"listening z tcp:127\.0\.0\.1:[1-9]\d*",
        rf"listening a\.b-c_d unix:{re.escape(folder)}/a\.sock",
        r"listening six tcp:\[::1\]:[1-9]\d*",
        rf"listening abstract unix:@{re.escape(folder)}",
        r"ready",
    ]
    assert len(relay.output) == len(patterns)
    for line, pattern in zip(relay.output, patterns):
        assert re.fullmatch(pattern, line)
    for where in (relay.address("z"), f"{folder}/a.sock", relay.address("six"), f"@{folder}"):
        assert ask(where) == b"hello"
    assert relay.stop() == 0
    assert len(relay.output) == len(patterns)


def test_a_single_forward_is_called_forward(relays, echo_server):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint)
    assert re.fullmatch(r"listening forward tcp:127\.0\.0\.1:\d+", relay.output[0])
    assert relay.output[1:] == ["ready"]


@pytest.mark.parametrize("workers", [1, 4])
def test_ready_means_that_clients_may_come(relays, echo_server, workers):
    for _ in range(5):
        relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"workers={workers}")
        assert ask(relay.address()) == b"hello"
        assert relay.stop() == 0


def test_the_log_tells_the_same(relays, echo_server):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint)
    match = relay.wait_log(r"info: forward 'forward': listening on (\S+) for (\S+)$")
    assert match.groups() == (relay.endpoint(), echo_server.endpoint)
