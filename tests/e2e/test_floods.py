"""Floods: more than anybody should send. What the relay uses stays bounded, others are served
meanwhile, and after it all is as before. The figures are printed; only the bounds are asserted."""

import re
import resource
import signal
import socket
import statistics
import subprocess
import threading
import time

import pytest

from deadline import PATIENCE, eventually
from peers import (
    accept,
    ask,
    connect,
    endpoint_of,
    is_turned_away,
    listen,
    payload,
    reset,
)
from program import ENVIRONMENT, HVRELAY, hvrelay

KIB, MIB = 1 << 10, 1 << 20
SMALL_BUFFERS = ("send_buffer = 64KiB", "receive_buffer = 64KiB")  # of the kernel

with open(HVRELAY, "rb") as program:
    SANITIZED = re.search(rb"__[at]san_init", program.read()) is not None

# A sanitizer keeps memory of its own for each piece, and what was freed, for a while.
SLACK = 32 if SANITIZED else 1


def resident(relay):
    with open(f"/proc/{relay.pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def latency(where, count=200):
    """The median of as many exchanges of a byte, in microseconds."""
    with connect(where) as client:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


@pytest.fixture
def descriptors():
    """The limit on them, here and for the relay: raised to what the largest flood needs, or as far
    as this machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 21000), max(hard, 21000)))
    except (PermissionError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limit))


class Flooded:
    """A relay with a forward to be flooded and one for everybody else, and how it was before."""

    def __init__(self, relays, target, echo_server, capsys, settings=()):
        lines = "".join(setting + "\n" for setting in settings)
        self.relay = relays.run(
            f"[hvrelay]\nworkers = 2\nlog_level = warning\n"
            f"[forward flooded]\nlisten = tcp:127.0.0.1:0\nconnect = {target}\n{lines}"
            f"[forward other]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n",
            # One heap that grows: a limit on memory would not meet the reserve of a heap a thread.
            env={**ENVIRONMENT, "MALLOC_ARENA_MAX": "1"},
        )
        self.relay.expect("forward 'flooded'")
        self.flooded = self.relay.address("flooded")
        self.other = self.relay.address("other")
        self.capsys = capsys
        assert ask(self.other, payload(MIB)) == payload(MIB)  # what is made once
        self.calm = latency(self.other)
        self.descriptors = self.count_descriptors()
        self.resident = resident(self.relay)

    def count_descriptors(self):
        return sum("pipe" not in link for link in self.relay.descriptors().values())

    def grown(self):
        return resident(self.relay) - self.resident

    def tell(self, what):
        with self.capsys.disabled():
            print(f"\n  {what}", end="", flush=True)

    def serves_others(self):
        flooded = latency(self.other)
        assert ask(self.other, payload(MIB)) == payload(MIB)
        self.tell(
            f"others: {self.calm:.0f} us a byte there and back before, {flooded:.0f} us amid it; "
            f"memory {self.grown() / MIB:+.1f} MiB"
        )

    def recovers(self):
        eventually(
            lambda: self.count_descriptors() <= self.descriptors,
            f"the {self.descriptors} descriptors of before",
        )
        assert ask(self.other) == b"hello"
        self.tell(f"after it: memory {self.grown() / MIB:+.1f} MiB")


@pytest.fixture
def flood(relays, echo_server, capsys):
    return lambda target, *settings: Flooded(relays, target, echo_server, capsys, settings)


def test_ten_thousand_idle_sessions(flood, descriptors):
    count = min(10000, (descriptors - 200) // 2)
    with listen() as target:
        flooded = flood(endpoint_of(target))
        clients, servers = [], []
        try:
            for _ in range(count):
                clients.append(connect(flooded.flooded))
                servers.append(accept(target))
            eventually(lambda: len(flooded.relay.descriptors()) >= 2 * count)
            flooded.tell(
                f"{count} sessions: {flooded.grown() / count:.0f} bytes each"
                f" (limit on descriptors here: {descriptors})"
            )
            assert flooded.grown() < count * 2 * KIB * SLACK
            flooded.serves_others()
            for number in range(0, count, 97):  # each of them still works
                clients[number].sendall(b"%05d" % number)
            assert sorted(read_all_numbers(servers)) == list(range(0, count, 97))
        finally:
            for stream in clients + servers:
                stream.close()
        flooded.recovers()


def read_all_numbers(servers):
    """Which of them got the number of its client; the relay serves them in any order."""
    found = []

    def look():
        for server in servers:
            server.setblocking(False)
            try:
                found.append(int(server.recv(5)))
            except BlockingIOError:
                pass
        return len(found) == len(range(0, len(servers), 97))

    eventually(look, "the bytes of all clients")
    return found


def in_threads(count, work):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_connects_that_close_at_once(flood, servers):
    """They come and go while their targets are still being dialled."""
    target = servers()
    flooded = flood(target.endpoint)

    def storm():
        for number in range(2000):
            client = socket.create_connection(flooded.flooded, PATIENCE)
            if number % 4:
                reset(client)
            else:
                client.close()

    threads = in_threads(3, storm)
    flooded.serves_others()
    for thread in threads:
        thread.join()
    assert flooded.grown() < 8 * MIB * SLACK
    flooded.recovers()
    assert ask(flooded.flooded) == b"hello"


def test_a_target_that_never_reads(flood):
    """What a session holds is a buffer or a pipe; the rest waits at its sender."""
    sessions = 200
    with listen() as target:
        flooded = flood(endpoint_of(target), *SMALL_BUFFERS)
        clients, streams = [], []
        for _ in range(sessions):
            clients.append(connect(flooded.flooded))
            streams.append(accept(target))
        stuck = sum(push(client, 64 * MIB) for client in clients)
        assert stuck < sessions * 64 * MIB
        flooded.tell(f"{stuck / MIB:.0f} MiB were sent and not read")
        flooded.serves_others()
        assert flooded.grown() < sessions * 512 * KIB + 8 * MIB * SLACK
        for stream in clients + streams:
            stream.close()
        flooded.recovers()


def push(client, most):
    """Sends until nothing is taken any more for a moment."""
    client.settimeout(0.02)
    sent, piece = 0, bytes(MIB)
    while sent < most:
        try:
            sent += client.send(piece)
        except TimeoutError:
            break
    return sent


def test_a_target_that_resets_at_once(flood, servers):
    flooded = flood(servers(serve=reset).endpoint)
    outcomes = []

    def storm():
        for _ in range(500):
            outcomes.append(is_turned_away(flooded.flooded))

    threads = in_threads(3, storm)
    flooded.serves_others()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 1500
    assert flooded.grown() < 8 * MIB * SLACK
    flooded.recovers()


def test_slow_clients_of_the_control_socket(relays, folder, echo_server):
    """They are of the same user, and take the command's turn; nothing else suffers from it."""
    path, control = f"{folder}/hvrelay.conf", f"{folder}/control.sock"
    with open(path, "w") as file:
        file.write(
            f"[hvrelay]\ncontrol = unix:{control}\n"
            f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
        )
    relay = relays.start("run", "-c", path).wait_ready()
    assert hvrelay("reload", "-c", path).returncode == 0  # what is made once

    def sockets():
        return sum("socket" in link for link in relay.descriptors().values())

    before = sockets()
    crowd = []
    for _ in range(8):
        crowd.append(connect(control))
        crowd[-1].sendall(b"rel")
    eventually(lambda: sockets() == before + 8, "all that are let in")
    more = [socket.socket(socket.AF_UNIX) for _ in range(30)]
    for client in more:
        client.setblocking(False)
        try:
            client.connect(control)
        except BlockingIOError:
            pass  # the queue is full
    relay.signal(signal.SIGHUP)
    relay.wait_log("info: reloaded", count=2)  # it has been through its loop
    assert sockets() == before + 8
    assert ask(relay.address("a"), payload(MIB)) == payload(MIB)
    assert all(client.recv(1) == b"" for client in crowd), "they were not sent away"
    for client in crowd + more:
        client.close()
    assert hvrelay("reload", "-c", path).returncode == 0
    eventually(lambda: sockets() == before, "the sockets of before")


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs terabytes of address space")
def test_little_memory(flood):
    """Where there is no memory for a session, or for what it holds, that session is broken."""
    with listen() as target:
        flooded = flood(endpoint_of(target), "pump = copy", *SMALL_BUFFERS)
        limit_memory(flooded.relay, 6 * MIB)
        clients, streams, refused = [], [], 0
        for _ in range(200):
            try:
                client = connect(flooded.flooded)
                clients.append(client)
                push(client, 64 * MIB)
            except ConnectionError:
                refused += 1
        target.setblocking(False)
        try:
            while True:
                streams.append(target.accept()[0])
        except BlockingIOError:
            pass
        broken = sum(is_broken(client) for client in clients)
        flooded.tell(f"{refused} clients were refused, {broken} of {len(clients)} broken")
        assert refused + broken > 0, "there was memory for all of them"
        flooded.tell(f"memory {flooded.grown() / MIB:+.1f} MiB")
        for stream in clients + streams:
            stream.close()
        flooded.recovers()
        assert ask(flooded.other, payload(MIB)) == payload(MIB)


def limit_memory(relay, more):
    """What the process has now, and so much more."""
    with open(f"/proc/{relay.pid}/status") as status:
        used = int(re.search(r"^VmSize:\s+(\d+) kB$", status.read(), re.M)[1]) * KIB
    subprocess.run(["prlimit", f"--pid={relay.pid}", f"--as={used + more}"], check=True)


def is_broken(client):
    client.setblocking(False)
    try:
        return client.send(b"x") < 0
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
