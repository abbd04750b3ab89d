"""Inherited descriptors: a listening socket, or one connected stream."""

import os
import socket

import pytest

from deadline import PATIENCE
from peers import (
    ask,
    connect,
    exchange,
    is_turned_away,
    listen,
    payload,
    read_exactly,
    tcp_pair,
)
from program import hvrelay


def pair():
    ours, its = socket.socketpair()
    ours.settimeout(PATIENCE)
    return ours, its


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_listening_socket(relays, echo_server, folder, kind, workers):
    where = f"{folder}/a.sock" if kind == "unix" else ("127.0.0.1", 0)
    with listen(where) as listener:
        address = listener.getsockname()
        relay = relays.forward(
            f"fd:{listener.fileno()}",
            echo_server.endpoint,
            f"workers={workers}",
            pass_fds=[listener.fileno()],
        )
    for _ in range(20):
        assert ask(address) == b"hello"
    assert relay.stop() == 0
    assert kind == "tcp" or os.path.lexists(address)  # it was somebody else who made it


def test_a_connected_stream_is_one_session(relays, echo_server):
    ours, its = pair()
    with ours:
        with its:
            relay = relays.forward(
                f"fd:{its.fileno()}", echo_server.endpoint, pass_fds=[its.fileno()]
            )
        data = payload(100000)
        assert exchange(ours, data) == data
        assert relay.wait() == 0


def test_an_urgent_byte_of_a_connected_stream(relays, echo_server):
    ours, its = tcp_pair()
    with ours:
        with its:
            relays.forward(f"fd:{its.fileno()}", echo_server.endpoint, pass_fds=[its.fileno()])
        ours.send(b"one!", socket.MSG_OOB)
        assert exchange(ours, b"two") == b"one!two"


def test_a_connected_stream_whose_target_refuses(relays):
    with listen() as somebody:
        port = somebody.getsockname()[1]
    ours, its = pair()
    with ours, its:
        relay = relays.forward(
            f"fd:{its.fileno()}", f"tcp:127.0.0.1:{port}", pass_fds=[its.fileno()]
        )
        assert relay.wait() == 1
        relay.wait_log("nobody listens there")


def test_a_connected_stream_as_target(relays):
    ours, its = pair()
    with ours:
        with its:
            relay = relays.forward(
                "tcp:127.0.0.1:0", f"fd:{its.fileno()}", pass_fds=[its.fileno()]
            )
        with connect(relay.address()) as client:
            client.sendall(b"ping")
            assert read_exactly(ours, 4) == b"ping"
            ours.sendall(b"pong")
            assert read_exactly(client, 4) == b"pong"


def test_a_second_client_gets_nothing_of_a_single_target(relays):
    """The number of the descriptor is free by now, and the next that is opened gets it."""
    ours, its = pair()
    with ours:
        with its:
            number = its.fileno()
            relay = relays.forward(
                "tcp:127.0.0.1:0",
                "fd:3",
                pass_fds=[number],
                wrapper=["bash", "-c", f'exec "$@" 3<&{number} {number}<&-', "bash"],
            )
        with connect(relay.address()) as first:
            first.sendall(b"ping")
            assert read_exactly(ours, 4) == b"ping"
            for _ in range(3):
                assert is_turned_away(relay.address())
            ours.sendall(b"pong")
            assert read_exactly(first, 4) == b"pong"


@pytest.mark.parametrize("kind", ["closed", "file", "pipe", "datagram"])
def test_what_is_no_stream_is_refused(tmp_path, kind):
    opened = {
        "closed": lambda: None,
        "file": lambda: open(tmp_path / "file", "w"),
        "pipe": lambda: open(os.pipe()[0], "rb"),
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    }[kind]()
    number = opened.fileno() if opened else 99
    done = hvrelay(
        "forward", f"fd:{number}", "tcp:127.0.0.1:1", pass_fds=[number] if opened else []
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f"cannot listen on 'fd:{number}': descriptor {number} is not an open stream socket"
        in done.stderr
    )
