"""The log: a line per session in text or JSON, on standard error or in a file."""

import json
import os
import re
import signal
import socket

import pytest

from deadline import eventually
from peers import accept, answer_longer, ask, connect, endpoint_of, is_turned_away, listen
from program import hvrelay


def test_json_lines_have_fields(relays, servers):
    server = servers(answer_longer)
    relay = relays.forward("tcp:127.0.0.1:0", server.endpoint, "log_format=json")
    assert ask(relay.address()) == b"hello..."
    relay.wait_log('"session":1')
    assert relay.stop() == 0
    events = [json.loads(line) for line in relay.log]
    assert all({"time", "level", "message"} <= set(event) for event in events)
    session = next(event for event in events if "session" in event)
    assert session["forward"] == "forward"
    assert session["client"].startswith("tcp:127.0.0.1:")
    assert session["target"] == server.endpoint
    assert (session["outcome"], session["reason"]) == ("done", "")
    assert (session["bytes_up"], session["bytes_down"]) == (5, 8)
    assert isinstance(session["duration_ms"], int)
    assert session["level"] == "info"


def test_json_of_a_refused_session(relays):
    with listen() as somebody:
        target = endpoint_of(somebody)
    relay = relays.forward("tcp:127.0.0.1:0", target, "log_format=json")
    assert is_turned_away(relay.address())
    session = json.loads(relay.wait_log('"session":1').string)
    assert (session["outcome"], session["level"]) == ("refused", "warning")
    assert "nobody listens there" in session["reason"]


@pytest.mark.parametrize("name", ['quote"back\\slash', "tab\there", "caf\u00e9", b"bytes\xff\xfe"])
def test_json_of_odd_names(relays, folder, name):
    """A path is any bytes; the line stays one JSON object."""
    path = os.fsencode(folder) + b"/" + os.fsencode(name)
    relay = relays.start(
        "forward", "tcp:127.0.0.1:0", b"unix:" + path, "-o", "log_format=json"
    ).wait_ready()
    assert is_turned_away(relay.address())
    relay.wait_log('"session":1')
    assert relay.stop() == 0
    for line in relay.log:
        assert json.loads(line.encode())["level"]  # encode: UTF-8, and nothing else


def test_a_log_file_takes_all(relays, echo_server, folder):
    path = f"{folder}/log"
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"log_file={path}")
    assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    assert relay.log == []
    with open(path) as file:
        assert "session 1" in file.read()


def log_files(relay, folder):
    """Those that it has open."""
    return [link for link in relay.descriptors().values() if link.startswith(folder)]


def test_a_log_file_is_moved_away(relays, echo_server, folder):
    """logrotate: rename, SIGUSR1."""
    path = f"{folder}/log"
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"log_file={path}")
    assert ask(relay.address()) == b"hello"
    for turn in range(3):
        assert ask(relay.address()) == b"hello"
        os.rename(path, f"{path}.{turn}")
        relay.signal(signal.SIGUSR1)
        eventually(lambda: os.path.exists(path), "the new file")
        eventually(lambda: log_files(relay, folder) == [path], "the end of the old file")
    assert relay.stop() == 0
    lines = []
    for name in sorted(os.listdir(folder)):
        with open(f"{folder}/{name}") as file:
            lines += [line for line in file if "session " in line]
    assert len(lines) == echo_server.served


def test_a_log_file_that_cannot_be_had():
    done = hvrelay(
        "forward", "tcp:127.0.0.1:0", "tcp:127.0.0.1:1", "-o", "log_file=/no/such/folder/log"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot open the log file '/no/such/folder/log': no such file or" in done.stderr


def test_refusals_do_not_fill_the_log(relays):
    with listen() as somebody:
        target = endpoint_of(somebody)
    relay = relays.forward("tcp:127.0.0.1:0", target)
    relay.expect("nobody listens there").expect("a session was refused 49 more times")
    for _ in range(50):
        assert is_turned_away(relay.address())
    assert relay.stop() == 0
    assert sum("nobody listens there" in line for line in relay.log) == 1
    assert any("a session was refused 49 more times" in line for line in relay.log)


STRANGER = "127.0.0.2"


class Refusals:
    """A relay with two forwards: one denies and refuses, the other one denies and is full."""

    # What is told of one, and of those that were not told.
    KINDS = {
        "refused": ("'shut' session .*: refused after", "'shut': a session was refused"),
        "denied": ("'shut': .*: denied by its", "'shut': a client was denied"),
        "denied_too": ("'full': .*: denied by its", "'full': a client was denied"),
        "full": ("'full': .*: turned away", "'full': a client was turned away at a limit"),
    }

    def __init__(self, relays, target, nobody):
        common = f"listen = tcp:127.0.0.1:0\ndeny = {STRANGER}\n"
        self.relay = relays.run(
            "[hvrelay]\nworkers = 1\n"  # a place is free again before the next client is seen
            f"[forward shut]\nconnect = {nobody}\n{common}"
            f"[forward full]\nconnect = {endpoint_of(target)}\n{common}"
            "max_sessions = 1\non_limit = refuse\n"
        )
        for patterns in self.KINDS.values():
            for pattern in patterns:
                self.relay.expect(pattern)
        self.target = target

    def come(self, refused, denied, denied_too, full):
        for name, host, count in (
            ("shut", "127.0.0.1", refused),
            ("shut", STRANGER, denied),
            ("full", STRANGER, denied_too),
        ):
            for _ in range(count):
                assert is_turned_away(self.relay.address(name), source=host)
        with connect(self.relay.address("full")) as inside, accept(self.target) as server:
            for _ in range(full):
                assert is_turned_away(self.relay.address("full"))
            inside.shutdown(socket.SHUT_WR)
            assert server.recv(1) == b""

    def summaries(self):
        return sum("more times" in line for line in self.relay.log)

    def wait_told(self, **counts):
        eventually(lambda: all(self.told()[kind] >= count for kind, count in counts.items()),
                   f"the count {counts} in {self.relay.log}")
        assert self.told() == counts

    def told(self):
        """How many of each kind the log accounts for."""
        log = list(self.relay.log)
        counts = {}
        for kind, (one, more) in self.KINDS.items():
            matches = [re.search(f"{more} (\\d+) more times$", line) for line in log]
            counts[kind] = sum(bool(re.search(one, line)) for line in log)
            counts[kind] += sum(int(match[1]) for match in matches if match)
        return counts


def test_what_repeats_is_counted_while_it_runs(relays):
    """Ten seconds later, for each kind; and so is what comes after that, and nothing twice."""
    with listen() as target, listen() as somebody:
        nobody = endpoint_of(somebody)
        somebody.close()
        refusals = Refusals(relays, target, nobody)
        refusals.come(refused=6, denied=7, denied_too=8, full=9)
        first = {"refused": 6, "denied": 7, "denied_too": 8, "full": 9}
        refusals.wait_told(**first)
        assert refusals.summaries() == 4
        refusals.come(refused=12, denied=22, denied_too=32, full=42)
        both = {"refused": 18, "denied": 29, "denied_too": 40, "full": 51}
        refusals.wait_told(**both)
        assert refusals.relay.stop() == 0
    assert refusals.told() == both
    assert refusals.summaries() == 8
