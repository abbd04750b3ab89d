"""The settings of [hvrelay], at the start and after a reload, and what a stop leaves of them."""

import os
import signal
import time

import pytest

from deadline import eventually
from peers import accept, connect, endpoint_of, exchange, listen, read_exactly
from program import hvrelay


def write(folder, program, *forwards):
    """`forwards`: (name, target)"""
    with open(f"{folder}/hvrelay.conf", "w") as file:
        file.write(f"[hvrelay]\ncontrol = unix:{folder}/control.sock\n{program}\n")
        for name, target in forwards:
            file.write(f"[forward {name}]\nlisten = unix:{folder}/{name}.sock\n")
            file.write(f"connect = {target}\n")
    return f"{folder}/hvrelay.conf"


def ends(stream):
    """A unix socket has no reset: an end or a reset, but soon."""
    try:
        return stream.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_auto_is_a_worker_for_each_processor(relays, echo_server):
    def threads(workers):
        relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"workers={workers}")
        return len(os.listdir(f"/proc/{relay.pid}/task"))

    assert threads("auto") - threads(1) == len(os.sched_getaffinity(0)) - 1


def test_a_long_drain_timeout_is_long(relays, folder):
    """Sessions are left alone for seconds, not for thousandths of them."""
    with listen() as target:
        path = write(folder, "drain_timeout = 1m", ("a", endpoint_of(target)))
        relay = relays.start("run", "-c", path).wait_ready()
        with connect(f"{folder}/a.sock") as client, accept(target) as server:
            relay.signal(signal.SIGTERM)
            relay.wait_log("asked to stop")
            time.sleep(0.5)
            client.sendall(b"up")
            assert read_exactly(server, 2) == b"up"


@pytest.mark.parametrize("before", ["off", "1m"])
def test_a_reload_changes_drain_timeout(relays, folder, before):
    with listen() as target:
        forward = ("a", endpoint_of(target))
        path = write(folder, f"drain_timeout = {before}", forward)
        relay = relays.start("run", "-c", path).wait_ready()
        with connect(f"{folder}/a.sock") as client, accept(target):
            write(folder, "drain_timeout = 100ms", forward)
            assert hvrelay("reload", "-c", path).returncode == 0
            relay.signal(signal.SIGTERM)
            relay.wait_log("stopping now: 1 sessions are reset")
            assert ends(client)
        assert relay.wait() == 0


def test_no_reload_amid_a_stop(relays, folder, echo_server):
    path = write(folder, "", ("a", echo_server.endpoint))
    relay = relays.start("run", "-c", path).wait_ready()
    with connect(f"{folder}/a.sock") as client:
        client.sendall(b"here")
        assert read_exactly(client, 4) == b"here"
        write(folder, "", ("a", echo_server.endpoint), ("b", echo_server.endpoint))
        relay.signal(signal.SIGTERM)
        relay.wait_log("asked to stop")
        eventually(lambda: not os.path.lexists(f"{folder}/a.sock"), "the end of the socket")
        relay.signal(signal.SIGHUP)
        relay.wait_log("reload: nothing is reloaded: the program stops")
        assert not os.path.lexists(f"{folder}/a.sock")
        assert not os.path.lexists(f"{folder}/b.sock")
        assert exchange(client, b"end") == b"end"
    assert relay.wait() == 0
