"""Inherited descriptors: a listening socket, or one connected stream."""

import os
import socket
import struct

import pytest

from deadline import PATIENCE
from peers import (
    accept,
    ask,
    connect,
    exchange,
    is_reset,
    is_turned_away,
    listen,
    payload,
    read_exactly,
    tcp_pair,
)
from program import ENVIRONMENT, hvrelay


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


OPTIONS = {
    "TCP_NODELAY": (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    "SO_KEEPALIVE": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "TCP_KEEPIDLE": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 7),
    "TCP_USER_TIMEOUT": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 9000),
    "SO_OOBINLINE": (socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),
    "SO_SNDBUF": (socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * 100 * 1024),
}
KEYS = ["keepalive=7s", "user_timeout=9s", "send_buffer=100KiB"]


@pytest.mark.parametrize("how", ["fd", "stdio", "target"])
def test_a_connected_stream_is_set_as_an_accepted_one(relays, clients, echo_server, how):
    ours, its = tcp_pair()
    with ours, its:
        words = [word for key in KEYS for word in ("-o", key)]
        number = its.fileno()
        if how == "stdio":
            relay = relays.start("connect", echo_server.endpoint, *words, stdin=its, stdout=its)
        elif how == "fd":
            relay = relays.forward(f"fd:{number}", echo_server.endpoint, *KEYS, pass_fds=[number])
        else:
            relay = relays.forward("tcp:127.0.0.1:0", f"fd:{number}", *KEYS, pass_fds=[number])
            clients(relay.address()).sendall(b"x")
        ours.sendall(b"x")
        assert read_exactly(ours, 1) == b"x"
        found = {name: its.getsockopt(*option[:2]) for name, option in OPTIONS.items()}
        assert found == {name: option[2] for name, option in OPTIONS.items()}
        assert its.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
        ours.shutdown(socket.SHUT_WR)
        if how != "target":
            relay.wait()


@pytest.mark.parametrize("pump", ["auto", "stream"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_stream_that_others_hold_open_too(relays, clients, echo_server, kind, pump):
    """It stays open as its session ends, and what happens to it then is none of the relay's business.
    (What is freed is filled with garbage.)"""
    ours, its = tcp_pair() if kind == "tcp" else pair()
    with ours, its:
        relay = relays.run(
            f"[defaults]\npump = {pump}\n"
            f"[forward one]\nlisten = fd:{its.fileno()}\nconnect = {echo_server.endpoint}\n"
            f"[forward more]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n",
            pass_fds=[its.fileno()], env={**ENVIRONMENT, "MALLOC_PERTURB_": "165"})
        ours.sendall(b"x")
        assert read_exactly(ours, 1) == b"x"
        ours.shutdown(socket.SHUT_WR)
        relay.wait_log("forward 'one' session .*: done after")
        ours.close()
        for _ in range(20):
            assert ask(relay.address("more")) == b"hello"


def single(relays, how, its, target, *settings):
    """A relay for that one stream."""
    if how == "stdio":
        words = [word for setting in settings for word in ("-o", setting)]
        return relays.start("connect", target, *words, stdin=its, stdout=its)
    return relays.forward(f"fd:{its.fileno()}", target, *settings, pass_fds=[its.fileno()])


RULES = [
    ("tcp", ["deny=127.0.0.0/8"], False),
    ("tcp", ["allow=127.0.0.1"], True),
    ("tcp", ["allow=10.0.0.0/8"], False),
    ("tcp", ["deny=::ffff:127.0.0.1"], False),
    ("tcp6", ["deny=::1"], False),
    ("tcp6", ["allow=::1"], True),
    ("unix", ["deny=user={me}"], False),
    ("unix", ["allow=user={me}"], True),
    ("unix", ["allow=127.0.0.1"], False),
]


@pytest.mark.parametrize("kind, rules, allowed", RULES)
@pytest.mark.parametrize("how", ["fd", "stdio"])
def test_rules_hold_for_a_connected_stream(relays, echo_server, how, kind, rules, allowed):
    """Whoever accepted it: inetd, or systemd with Accept=yes."""
    if kind == "unix":
        ours, its = pair()
    else:
        with listen(("::1" if kind == "tcp6" else "127.0.0.1", 0)) as listener:
            ours, its = connect(listener.getsockname()[:2]), accept(listener)
    with ours:
        rules = [rule.format(me=os.geteuid()) for rule in rules]
        with its:
            relay = single(relays, how, its, echo_server.endpoint, *rules, "log_level=info")
        if allowed:
            assert exchange(ours, b"hello") == b"hello"
        else:
            assert is_reset(ours) == (kind != "unix")
        assert relay.wait() == (0 if allowed else 1)
    who = {"tcp": r"tcp:127\.0\.0\.1:", "tcp6": r"tcp:\[::1\]:", "unix": "unix:uid="}[kind]
    relay.wait_log(f"session 1: {who}" if allowed else f"{who}.*: denied by its access rules")
    assert echo_server.served == allowed


def test_rules_for_pipes(relays, echo_server):
    """Nothing is known of who is at their other ends."""
    done = hvrelay("connect", echo_server.endpoint, "-o", "deny=127.0.0.1", input="hello")
    assert (done.returncode, done.stdout) == (0, "hello")
    done = hvrelay("connect", echo_server.endpoint, "-o", "allow=127.0.0.1", input="hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert "stdio: denied by its access rules" in done.stderr


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
        relay.expect("is not an open stream socket").expect("a session was refused 2 more times")
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
