"""Who has a place, who waits for one, and that it is given back whatever happens."""

import errno
import os
import select
import signal
import time

import pytest

from deadline import eventually
from faults import Faults
from peers import accept, ask, connect, endpoint_of, is_turned_away, listen, read_exactly, reset
from program import ENVIRONMENT


def sockets(relay):
    return sum("socket" in link for link in relay.descriptors().values())


def has_ended(client):
    return bool(select.select([client], [], [], 0)[0])


def test_max_pending_is_exact(relays, folder):
    """Many workers see a client at the same time, and one of them lets it in. (Or none, where the one
    that held the place comes too late: the others have turned all clients away by then.)"""
    relay = relays.forward("tcp:127.0.0.1:0", f"unix:{folder}/nobody", "max_pending=1", "workers=8",
                           "on_limit=refuse", "connect_retry=1h")
    relay.expect("turned away").expect("the client left before").expect("a session was refused")
    before = sockets(relay)
    for _ in range(200):
        with relay.frozen():
            clients = [connect(relay.address()) for _ in range(32)]
        eventually(lambda: sum(map(has_ended, clients)) >= len(clients) - 1, "all refusals but one")
        for client in clients:
            reset(client)
        eventually(lambda: sockets(relay) == before, "the end of the session")
    relay.signal(signal.SIGTERM)
    assert relay.wait() == 0


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_place_goes_to_whoever_waits(relays, clients, workers):
    """Whichever worker has seen it come. (Once each of them has seen one they all wait: so a new relay
    is tried again and again.)"""
    for _ in range(8):
        with listen() as target:
            relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), "max_sessions=1",
                                   f"workers={workers}")
            relay.expect("nobody listens there")  # for the last one
            inside = clients(relay.address())
            for _ in range(4):
                with accept(target) as server:
                    inside.sendall(b"x")
                    assert read_exactly(server, 1) == b"x"
                    waiting = clients(relay.address())
                    inside.close()
                inside = waiting
            inside.close()


@pytest.mark.parametrize("workers", [1, 4])
def test_an_answer_lets_the_next_one_in(relays, clients, folder, workers):
    """What max_pending holds back is woken as a target answers, not as a session ends."""
    path = f"{folder}/late"
    relay = relays.forward("tcp:127.0.0.1:0", f"unix:{path}", "max_pending=1", "connect_retry=1h",
                           f"workers={workers}")
    waiting = [clients(relay.address()) for _ in range(8)]
    with listen(path) as target:
        servers = [accept(target) for _ in waiting]
        for server in servers:
            server.close()


@pytest.fixture
def aborting(relays):
    faults = Faults("accept4")
    yield faults
    faults.close()


def test_clients_that_leave_before_they_are_accepted(relays, echo_server, aborting):
    """Each costs nothing: no place, no descriptor, no pause and no line of the log."""
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, "max_sessions=1", "workers=1",
                           **aborting.options())
    assert ask(relay.address()) == b"hello"
    aborting.fail("accept4", errno.ECONNABORTED)
    with connect(relay.address()) as client:
        eventually(lambda: aborting.failed > 100, "failures")
        aborting.relent()
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    assert ask(relay.address()) == b"hello"
    assert relay.stop() == 0
    assert not any("cannot accept" in line for line in relay.log)


def reload(relay, path, text):
    with open(path, "w") as file:
        file.write(text)
    relay.signal(signal.SIGHUP)


def section(name, target, *settings):
    return "\n".join([f"[forward {name}]", "listen = tcp:127.0.0.1:0", f"connect = {target}",
                      *settings, ""])


def test_a_forward_that_goes_while_a_client_waits_for_its_rate(relays, echo_server, clients, folder):
    """Nothing of its gate is used any more. (What is freed is filled with garbage.)"""
    path = f"{folder}/hvrelay.conf"
    kept = section("kept", echo_server.endpoint)
    with open(path, "w") as file:
        file.write(kept + section("gone", echo_server.endpoint, "accept_rate = 2"))
    relay = relays.start("run", "-c", path, env={**ENVIRONMENT, "MALLOC_PERTURB_": "165"})
    relay.wait_ready()
    for _ in range(4):
        clients(relay.address("gone"))
    reload(relay, path, kept)
    relay.wait_log("reloaded")
    time.sleep(1)  # by then the next one would have been let in
    assert ask(relay.address("kept")) == b"hello"


def test_a_removed_forward_takes_no_other_session_with_it(relays, clients, folder):
    """After drain_timeout its own are reset, and nobody else's."""
    path = f"{folder}/hvrelay.conf"
    with listen() as target:
        kept = "[hvrelay]\ndrain_timeout = 100ms\n" + section("kept", endpoint_of(target))
        with open(path, "w") as file:
            file.write(kept + section("gone", endpoint_of(target)))
        relay = relays.start("run", "-c", path).wait_ready()
        bystander = clients(relay.address("kept"))
        with accept(target) as one:
            gone = clients(relay.address("gone"))
            with accept(target):
                reload(relay, path, kept)
                relay.wait_log("forward 'gone' session .*: broken after .*: drain_timeout")
                with pytest.raises(ConnectionResetError):
                    gone.recv(1)
                for _ in range(10):
                    bystander.sendall(b"x")
                    assert read_exactly(one, 1) == b"x"
            bystander.close()
