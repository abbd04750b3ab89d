"""Sessions of those who are gone end, and those of who has only ended one half go on."""

import socket
import time

import pytest

from deadline import eventually
from peers import (
    accept,
    connect,
    endpoint_of,
    listen,
    read_exactly,
    read_to_end,
)

PUMPS = ["auto", "splice", "copy", "stream"]
FAMILIES = ["tcp", "unix"]


def where_of(family, path):
    return ("127.0.0.1", 0) if family == "tcp" else path


def sockets(relay):
    return sum("socket" in link for link in relay.descriptors().values())


def start(relays, folder, front, target, *settings):
    """A relay, and where its clients come."""
    listening = "tcp:127.0.0.1:0" if front == "tcp" else f"unix:{folder}/front"
    relay = relays.forward(listening, target, *settings)
    return relay, relay.address() if front == "tcp" else f"{folder}/front"


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("back", FAMILIES)
@pytest.mark.parametrize("pump", PUMPS)
def test_a_unix_client_that_is_gone(relays, folder, pump, back, when):
    """A target that takes no notice of its end does not hold the session. What was sent arrives."""
    with listen(where_of(back, f"{folder}/back")) as target:
        relay, where = start(relays, folder, "unix", endpoint_of(target), f"pump={pump}")
        client = connect(where)
        with accept(target) as server:
            client.sendall(b"last words")
            if when == "later":
                client.shutdown(socket.SHUT_WR)
                assert read_to_end(server) == b"last words"
                assert not any("session 1" in line for line in relay.log)
            client.close()
            relay.wait_log("session 1: .*: done after .* s, 10 B up, 0 B down")
            assert when == "later" or read_to_end(server) == b"last words"


@pytest.mark.parametrize("answer", [b"answer", b""])
@pytest.mark.parametrize("pump", PUMPS)
def test_what_a_unix_client_has_sent_before_it_left(relays, folder, pump, answer):
    """To a target that takes it slowly: all of it arrives, or the session is said to be broken."""
    size = 4 << 20
    with listen() as target:
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        relay, where = start(relays, folder, "unix", endpoint_of(target), f"pump={pump}",
                             "send_buffer=4MiB")
        with connect(where) as client:
            client.sendall(bytes(size))
        with accept(target) as server:
            time.sleep(0.2)  # the relay has written all, and the client is gone
            server.sendall(answer)
            if not answer:
                assert not any("session 1" in line for line in relay.log)
                assert len(read_to_end(server)) == size
            match = relay.wait_log("session 1: .*: (done|broken) after")
            assert match[1] == ("broken" if answer else "done")


@pytest.mark.parametrize("pump", PUMPS)
def test_a_unix_target_that_is_gone(relays, folder, pump):
    """A client that takes no notice of its end does not hold the session."""
    with listen(f"{folder}/back") as target:
        relay, where = start(relays, folder, "tcp", endpoint_of(target), f"pump={pump}")
        with connect(where) as client:
            with accept(target) as server:
                server.sendall(b"last words")
            assert read_to_end(client) == b"last words"
            relay.wait_log("session 1: .*: done after .* s, 0 B up, 10 B down")


@pytest.mark.parametrize("front", FAMILIES)
@pytest.mark.parametrize("pump", PUMPS)
def test_a_half_close_is_no_end(relays, folder, pump, front):
    with listen() as target:
        _, where = start(relays, folder, front, endpoint_of(target), f"pump={pump}")
        with connect(where) as client, accept(target) as server:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(server) == b"question"
            for _ in range(3):
                time.sleep(0.1)
                server.sendall(b"x")
                assert read_exactly(client, 1) == b"x"


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_a_tcp_client_that_is_gone(relays, pump):
    """On loopback, too: its socket is away after a while, and then keepalive finds nobody."""
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), f"pump={pump}",
                               "keepalive=3s")
        client = connect(relay.address())
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
        with accept(target):
            client.sendall(b"last words")
            client.close()
            relay.wait_log("session 1: .*: broken after .*, 10 B up, 0 B down: client: ")


def one_is_left(relay, before):
    first = sockets(relay)
    time.sleep(0.2)
    return first == sockets(relay) == before + 1


@pytest.mark.parametrize("front", FAMILIES)
def test_clients_that_leave_before_there_is_a_target(relays, clients, folder, front):
    """Their places are free as soon as a first round has failed."""
    path = f"{folder}/back"
    relay, where = start(relays, folder, front, f"unix:{path}", "connect_retry=1h",
                         "max_sessions=20")
    relay.expect("refused after .*: the client left")
    relay.expect(r"a session was refused \d+ more times")
    before = sockets(relay)
    for _ in range(20):
        connect(where).close()
    last = clients(where)
    relay.wait_log("refused after .*: the client left before the target answered")
    eventually(lambda: one_is_left(relay, before), "the end of all sessions but the last one")
    with listen(path) as target, accept(target) as server:
        last.sendall(b"x")
        assert read_exactly(server, 1) == b"x"
        last.close()


@pytest.mark.parametrize("sent", [b"question", b""])
@pytest.mark.parametrize("front", FAMILIES)
def test_clients_that_wait_for_their_answer(relays, folder, front, sent):
    """Ended, but not gone: as `nc -N` does. A TCP client that has sent nothing could as well be
    gone: it is waited for as long as the target is tried for the first time."""
    path = f"{folder}/back"
    relay, where = start(relays, folder, front, f"unix:{path}", "connect_retry=1h")
    if front == "tcp" and not sent:
        relay.expect("refused after .*: the client")
    with connect(where) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        time.sleep(1)  # some rounds
        with listen(path) as target:
            if front == "tcp" and not sent:
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
                return
            with accept(target) as server:
                assert read_to_end(server) == sent
                server.sendall(b"answer")
            assert read_to_end(client) == b"answer"


def test_half_close_timeout_is_for_quiet_sessions(relays):
    """What still comes is not cut off, however long it takes."""
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), "half_close_timeout=2s")
        with connect(relay.address()) as client:
            with accept(target) as server:
                client.shutdown(socket.SHUT_WR)
                for _ in range(30):
                    time.sleep(0.1)
                    server.sendall(b"x")
            assert read_to_end(client) == b"x" * 30
        relay.wait_log("session 1: .*: done after")
