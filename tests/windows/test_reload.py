"""Reload, drain and resets, with Hyper-V sockets in the emulator and with named pipes."""
import contextlib
import signal
import socket
import uuid

import pytest

from harness import (GUEST_PORT, HOST_PORT, Relay, Server, check_echo, connect, echo, hvrelay, reset,
                     wait_for, windows_path)


class Config:
    """A file that a relay reads, and reads again on request."""

    def __init__(self, folder, control=True):
        self.path = folder / "relay.ini"
        self.program = {"log_level": "debug"}
        if control:
            self.program["control"] = f"npipe:hvrelay-{uuid.uuid4()}"
        self.forwards = {}

    def write(self):
        sections = {"hvrelay": self.program}
        sections |= {f"forward {name}": keys for name, keys in self.forwards.items()}
        self.path.write_text("".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
            for name, keys in sections.items()))

    def run(self, world):
        self.write()
        return Relay("run", "-c", windows_path(self.path), world=world)

    def reload(self):
        """Exit code and output of `hvrelay reload`."""
        self.write()
        return hvrelay("reload", "-c", windows_path(self.path))


@pytest.fixture
def config(tmp_path):
    return Config(tmp_path)


def to_guest(vm):
    return {"listen": "tcp:127.0.0.1:0", "connect": f"hyperv:{vm[0]}:{GUEST_PORT}"}


def to_host(port):
    return {"listen": f"hyperv:any:{HOST_PORT}", "connect": f"tcp:127.0.0.1:{port}"}


@contextlib.contextmanager
def running(world, config, serve=echo):
    """A relay with the forward `out` to a VM that serves its clients by `serve`; and where they
    come."""
    vm = world.add_vm()
    guest = world.add_service(GUEST_PORT)
    world.write()
    config.forwards["out"] = to_guest(vm)
    with Server(serve, vm[1], guest), config.run(world) as relay:
        relay.ready()
        yield relay, ("127.0.0.1", relay.port("out"))
        assert relay.stop() == 0


def speaks(client, word):
    client.sendall(word)
    return client.recv(len(word)) == word


def refuses(address, source=None):
    """Nobody listens there, or who does resets its clients."""
    try:
        with connect(address, source) as client:
            return client.recv(1) == b""
    except ConnectionError:
        return True


# --- reload ---


def test_reload_keeps_what_stays(world, config):
    """A forward that is in both files goes on without a gap, its sessions too; one that is gone
    accepts nobody and its session may end; a target that has changed serves new clients."""
    vm = world.add_vm()
    guest, host = world.add_service(GUEST_PORT), world.add_service(HOST_PORT)
    world.write()

    def shout(client):
        while block := client.recv(1 << 16):
            client.sendall(block.upper())

    with Server(echo, vm[1], guest), Server(echo) as first, Server(shout) as second:
        config.forwards = {"out": to_guest(vm), "in": to_host(first.address[1]),
                           "gone": to_guest(vm)}
        with config.run(world) as relay:
            relay.ready()
            out, gone = (("127.0.0.1", relay.port(name)) for name in ("out", "gone"))
            inward = (world.host, host)
            with connect(out) as a, connect(inward, vm[1]) as b, connect(gone) as c:
                assert speaks(a, b"a1") and speaks(b, b"b1") and speaks(c, b"c1")
                del config.forwards["gone"]
                config.forwards["in"] = to_host(second.address[1])
                assert config.reload() == (0, "")
                assert speaks(a, b"a2") and speaks(b, b"b2") and speaks(c, b"c2")
                with connect(inward, vm[1]) as new:
                    new.sendall(b"hello")
                    assert new.recv(5) == b"HELLO"
                check_echo(out, 100000)
                wait_for(lambda: refuses(gone), "the end of the removed forward")
            assert relay.stop() == 0


def test_many_reloads_under_load(world, config):
    """No client of a listener that stays is lost, however often the file is read."""
    vm = world.add_vm()
    host = world.add_service(HOST_PORT)
    world.write()
    with Server(echo) as server:
        config.forwards = {"in": to_host(server.address[1])}
        with config.run(world) as relay:
            relay.ready()
            for round_number in range(5):
                config.forwards["in"]["idle_timeout"] = f"{round_number + 60}s"
                assert config.reload() == (0, "")
                for size in range(20):
                    check_echo((world.host, host), size, vm[1])
            assert relay.stop() == 0


def test_reload_adds_a_forward(world, config):
    with running(world, config) as (relay, _):
        # port 0 asked for twice is the same listener: another address is another one
        config.forwards["two"] = config.forwards["out"] | {"listen": "tcp:127.0.0.2:0"}
        assert config.reload() == (0, "")
        assert "2 forwards" in relay.log.wait("reloaded")


def test_reload_with_mistakes_changes_nothing(world, config):
    with running(world, config) as (_, address):
        config.forwards["out"] = {"listen": "nonsense"}
        code, text = config.reload()
        assert code == 2
        assert "nothing was changed" in text and "nonsense" in text
        check_echo(address, 1000)


def test_reload_without_a_program(config):
    config.forwards = {"x": {"listen": "tcp:127.0.0.1:0", "connect": "tcp:127.0.0.1:9"}}
    code, text = config.reload()
    assert code == 1
    assert "no such pipe" in text


# --- drain ---


@pytest.mark.parametrize("inward", [False, True])
def test_stop_drains_hyperv(world, config, inward):
    """Sessions go on after the first request, in both directions; clients are not accepted."""
    vm = world.add_vm()
    guest, host = world.add_service(GUEST_PORT), world.add_service(HOST_PORT)
    world.write()
    with Server(echo, vm[1], guest), Server(echo) as server:
        config.forwards = {"out": to_guest(vm), "in": to_host(server.address[1])}
        with config.run(world) as relay:
            relay.ready()
            out = ("127.0.0.1", relay.port("out"))
            address, source = ((world.host, host), vm[1]) if inward else (out, None)
            with connect(address, source) as client:
                assert speaks(client, b"one")
                relay.process.send_signal(signal.SIGINT)
                relay.log.wait("no more clients")
                wait_for(lambda: refuses(address, source), "the end of the listener")
                assert speaks(client, b"two")
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
            assert relay.wait() == 0


def test_drain_timeout_resets_the_rest(world, config):
    config.program["drain_timeout"] = "200ms"
    with running(world, config) as (relay, address), connect(address) as client:
        assert speaks(client, b"one")
        relay.process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert relay.wait() == 0


def test_second_request_stops_at_once(world, config):
    config.program["drain_timeout"] = "1h"
    with running(world, config) as (relay, address), connect(address) as client:
        assert speaks(client, b"one")
        relay.process.send_signal(signal.SIGINT)
        relay.log.wait("no more clients")
        relay.process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert relay.wait() == 0


# --- resets ---


def test_reset_of_the_client_reaches_the_vm(world, config):
    """A Hyper-V socket has no reset to send: the VM sees the stream end, the log what it was."""
    ended = []

    def until_the_end(client):
        try:
            echo(client)
        except ConnectionError:
            pass
        ended.append(True)

    with running(world, config, until_the_end) as (relay, address):
        client = connect(address)
        assert speaks(client, b"some")
        reset(client)
        wait_for(lambda: ended, "the VM to see the end")
        assert "connection reset" in relay.log.wait("session 1:")


def test_reset_of_the_vm_reaches_the_client(world, config):
    def hang_up(client):
        client.recv(1)
        reset(client)

    with running(world, config, hang_up) as (_, address), connect(address) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
