"""systemd's journal: events with fields by its own protocol, or lines with their priority."""

import json
import os
import re

import pytest

import namespace
from journal import Journal
from peers import answer_longer, ask, endpoint_of, is_turned_away, listen


@pytest.fixture
def journal(relays, folder):
    namespace.require()
    opened = Journal(folder)
    yield opened
    opened.close()


def test_a_session_is_an_event_with_fields(relays, servers, journal):
    server = servers(answer_longer)
    relay = relays.forward("tcp:127.0.0.1:0", server.endpoint, **journal.options())
    assert ask(relay.address()) == b"hello..."
    event = journal.wait_event("session 1: .*done after")
    assert event["SYSLOG_IDENTIFIER"] == "hvrelay"
    assert event["PRIORITY"] == "6"
    assert event["HVRELAY_FORWARD"] == "forward"
    assert event["HVRELAY_SESSION"] == "1"
    assert event["HVRELAY_CLIENT"].startswith("tcp:127.0.0.1:")
    assert event["HVRELAY_TARGET"] == server.endpoint
    assert (event["HVRELAY_OUTCOME"], event["HVRELAY_REASON"]) == ("done", "")
    assert (event["HVRELAY_BYTES_UP"], event["HVRELAY_BYTES_DOWN"]) == ("5", "8")
    assert event["HVRELAY_DURATION_MS"].isdigit()
    assert relay.stop() == 0
    assert journal.lines() == []


def test_levels_are_priorities(relays, journal):
    with listen() as somebody:
        nobody = endpoint_of(somebody)
    relay = relays.forward("tcp:127.0.0.1:0", nobody, **journal.options())
    assert journal.wait_event("listening on")["PRIORITY"] == "6"
    assert is_turned_away(relay.address())
    assert journal.wait_event("session 1: .*nobody listens there")["PRIORITY"] == "4"
    relay.signal(1)
    assert journal.wait_event("nothing to reload")["PRIORITY"] == "3"


def test_no_value_forges_a_field(relays, journal, folder):
    path = f"{folder}/x\nPRIORITY=0\nHVRELAY_SESSION=9"
    options = journal.options()
    relay = relays.start("forward", "tcp:127.0.0.1:0", f"unix:{path}", **options).wait_ready()
    assert is_turned_away(relay.address())
    event = journal.wait_event("session 1: ")
    assert (event["PRIORITY"], event["HVRELAY_SESSION"]) == ("4", "1")
    assert event["HVRELAY_TARGET"].count("?") == 2


def test_json_lines_have_their_priority_in_front(relays, journal):
    """They are for whoever reads the journal's messages: not taken apart into fields."""
    with listen() as somebody:
        nobody = endpoint_of(somebody)
    relay = relays.forward("tcp:127.0.0.1:0", nobody, "log_format=json", **journal.options())
    assert is_turned_away(relay.address())
    assert relay.stop() == 0
    lines = journal.lines()
    assert len(lines) >= 3
    for line in lines:
        prefix, event = line[:3], json.loads(line[3:])
        assert prefix == {"info": "<6>", "warning": "<4>"}[event["level"]]
    assert any(line.startswith("<4>") for line in lines)
    journal.no_events()


def test_a_journal_that_cannot_be_reached(relays, echo_server, journal):
    """Its socket is gone: lines, then, with their priority."""
    options = journal.options()
    os.unlink(f"{journal.folder}/socket")
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, **options)
    assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    lines = journal.lines()
    assert all(re.match(r"<6>20\d\d-\d\d-\d\dT\S+Z info: ", line) for line in lines)
    assert any("session 1: " in line for line in lines)


@pytest.mark.parametrize("stream", ["1:1", "", "nonsense"])
def test_standard_error_that_is_something_else(relays, echo_server, journal, stream):
    """A shell that was started by a service, say, and has turned it elsewhere."""
    options = journal.options()
    options["env"]["JOURNAL_STREAM"] = stream
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, **options)
    assert relay.stop() == 0
    assert all(re.match(r"20\d\d-", line) for line in journal.lines())
    journal.no_events()


def test_a_log_file_goes_before_the_journal(relays, echo_server, journal, folder):
    relay = relays.forward(
        "tcp:127.0.0.1:0", echo_server.endpoint, f"log_file={folder}/log", **journal.options()
    )
    assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    with open(f"{folder}/log") as file:
        assert all(re.match(r"20\d\d-", line) for line in file)
    assert journal.lines() == []
    journal.no_events()


def test_it_keeps_its_fields_whatever_a_path_is(relays, folder, journal):
    relay = relays.start(
        *("forward", "tcp:127.0.0.1:0", f"unix:{folder}/x\nPRIORITY=0\nFORGED=1"),
        **journal.options(),
    ).wait_ready()
    assert is_turned_away(relay.address())
    event = journal.wait_event("session 1")
    assert (event["PRIORITY"], event["HVRELAY_SESSION"]) == ("4", "1")
    assert event["HVRELAY_TARGET"] == f"unix:{folder}/x?PRIORITY=0?FORGED=1"
    assert "FORGED" not in event
    assert relay.stop() == 0
