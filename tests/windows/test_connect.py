"""`hvrelay connect` on pipes, as OpenSSH starts a ProxyCommand."""
import hashlib
import os
import select
import threading

import pytest

from harness import (BLOCK, DEADLINE, GUEST_PORT, LATE, MEGABYTE, Relay, Server, echo, free_port, hvrelay,
                     reset, service_id, wait_for)

SIZE = 20 * MEGABYTE


class Proxy(Relay):
    """The command with its pipes in the hands of the test."""

    def __init__(self, target, *options, world=None, pipes=("--overlapped",)):
        super().__init__("connect", *options, target, world=world, pipes=pipes)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()

    def read_some(self):
        out = self.process.stdout
        assert select.select([out], [], [], DEADLINE)[0], "waited in vain for output"
        return os.read(out.fileno(), 1 << 18)

    def read(self, size=None):
        """So many bytes, or all until the end, which comes when the program has ended."""
        data = b""
        while (size is None or len(data) < size) and (block := self.read_some()):
            data += block
        return data


def tcp(server):
    return f"tcp:127.0.0.1:{server.address[1]}"


def check_bulk(proxy):
    """20 MB each way at once, with checksums."""
    def send():
        for _ in range(SIZE // len(BLOCK)):
            proxy.send(BLOCK)
        proxy.end()

    expected, digest, count = hashlib.sha256(), hashlib.sha256(), 0
    for _ in range(SIZE // len(BLOCK)):
        expected.update(BLOCK)
    sender = threading.Thread(target=send)
    sender.start()
    while block := proxy.read_some():
        digest.update(block)
        count += len(block)
    sender.join()
    assert count == SIZE
    assert digest.digest() == expected.digest()


@pytest.mark.parametrize("pipes", [[], ["--overlapped"]])
def test_bulk_to_tcp(pipes):
    with Server(echo) as server, Proxy(tcp(server), pipes=pipes) as proxy:
        check_bulk(proxy)
        assert proxy.wait() == 0
        assert proxy.log.lines == ["pipes: the output has ended"]


def test_bulk_to_a_vm(world):
    vm = world.add_vm("build box")
    port = world.add_service(GUEST_PORT)
    world.write()
    with Server(echo, vm[1], port), \
            Proxy(f"hyperv:name=build box:{GUEST_PORT}", world=world) as proxy:
        check_bulk(proxy)
        assert proxy.wait() == 0
        assert proxy.log.having("closed early") == []


def test_a_dialogue():
    """Each word arrives by itself, while both directions stay open."""
    with Server(echo) as server, Proxy(tcp(server)) as proxy:
        for word in (b"SSH-2.0-client\r\n", b"x", b"yes"):
            proxy.send(word)
            assert proxy.read(len(word)) == word
        proxy.end()
        assert proxy.read() == b""
        assert proxy.wait() == 0


def test_the_end_of_input_does_not_end_the_answer():
    def answer_late(client):
        asked = client.makefile("rb").read()
        go_on.wait(LATE)
        client.sendall(asked.upper())

    go_on = threading.Event()
    with Server(answer_late) as server, Proxy(tcp(server)) as proxy:
        proxy.send(b"question")
        proxy.end()
        assert proxy.read() == b"QUESTION"
        assert proxy.wait() == 0


def test_the_target_may_end_first():
    """Its end ends the output; what is typed after that still arrives."""
    def end_first(client):
        client.sendall(b"greeting")
        client.shutdown(1)
        heard.append(client.makefile("rb").read())

    heard = []
    with Server(end_first) as server, Proxy(tcp(server)) as proxy:
        assert proxy.read(8) == b"greeting"
        proxy.log.wait("the output has ended")
        proxy.send(b"thanks")
        proxy.end()
        wait_for(lambda: heard, "what the target has read")
        assert heard == [b"thanks"]
        assert proxy.wait() == 0


def test_a_target_that_refuses():
    with Proxy(f"tcp:127.0.0.1:{free_port()}") as proxy:
        assert proxy.wait() == 1
        assert "nobody listens there" in proxy.log.wait("cannot connect to 'tcp:")


def test_a_vm_that_refuses(world):
    world.add_vm("build box")
    world.add_service(GUEST_PORT)
    world.lines = [f"fault connect * {service_id(GUEST_PORT)} 10060 timeout"]
    world.write()
    with Proxy(f"hyperv:name=build box:{GUEST_PORT}", "-o", "connect_timeout=300ms",
               world=world) as proxy:
        assert proxy.wait() == 1
        assert "WSA 10060" in proxy.log.wait("cannot connect to 'hyperv:")


def test_a_target_that_resets():
    def hang_up(client):
        client.recv(1)
        reset(client)

    with Server(hang_up) as server, Proxy(tcp(server)) as proxy:
        proxy.send(b"x")
        assert proxy.read() == b""
        assert proxy.wait() == 1
        assert "connection reset" in proxy.log.wait("session 1:")


def test_standard_streams_that_are_none():
    """`hvrelay()` gives it a file to write to."""
    with Server(echo) as server:
        code, text = hvrelay("connect", tcp(server))
    assert code == 1
    assert "standard input and output must be pipes or a console here" in text


def test_a_pipe_that_is_none():
    """Wine takes a pipe of Linux for one of Windows until it is used as such."""
    with Server(echo) as server, Relay("connect", tcp(server)) as relay:
        assert relay.wait() == 1
        assert "a client was refused" in relay.log.wait("forward 'connect'")


@pytest.mark.parametrize("target", ["nonsense", "tcp:*:22", "hyperv:any:22"])
def test_a_mistake(target):
    with Proxy(target) as proxy:
        assert proxy.wait() == 2
        assert "is not an endpoint to connect to" in proxy.log.wait("hvrelay")
