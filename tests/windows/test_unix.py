"""UNIX sockets on Windows. Wine 8 has none, so they are the emulator's, which keeps the port of the
TCP socket under each in its file; and what is said where there are none at all."""
import os

import pytest

from harness import (Relay, Server, check_half_closes, check_load, connect, echo, free_port, hvrelay,
                     wait_for, windows_path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "app.sock"


@pytest.fixture
def unix(path):
    return "unix:" + windows_path(path).replace("\\", "/")


class UnixServer(Server):
    """`later` makes every connect take a moment."""

    def __init__(self, path, serve, later=False):
        super().__init__(serve)
        self.path = path
        path.write_text(f"unix {self.address[1]}{' later' if later else ''}\n")

    def __exit__(self, *unused):
        super().__exit__()
        self.path.unlink()


def address_of(path):
    return "127.0.0.1", int(path.read_text().split()[1])


def forward(world, listen, target, *options):
    world.write()
    return Relay("forward", listen, target, *options, world=world)


def fails(world, listen):
    """What the log says of a listener that can't be opened."""
    with forward(world, listen, "tcp:127.0.0.1:9") as relay:
        assert relay.wait() == 1
        return relay.log.wait("cannot listen on")


@pytest.mark.parametrize("later", [False, True])
def test_tcp_to_unix(world, path, unix, later):
    with forward(world, "tcp:127.0.0.1:0", unix) as relay:
        relay.ready()
        address = ("127.0.0.1", relay.port())
        with UnixServer(path, echo, later):
            check_load(address)
        check_half_closes(lambda: connect(address), lambda serve: UnixServer(path, serve, later))
        assert bool(relay.log.having("connects later")) == later
        assert relay.stop() == 0


def test_unix_to_tcp(world, path, unix):
    target = free_port()
    with forward(world, unix, f"tcp:127.0.0.1:{target}") as relay:
        relay.ready()
        assert relay.out.having(f"listening forward {unix}")
        address = address_of(path)
        with Server(echo, port=target):
            check_load(address)
        check_half_closes(lambda: connect(address), lambda serve: Server(serve, port=target))
        assert relay.stop() == 0
        assert relay.log.having("session 1: unix:pid=4242 ->")
    assert not path.exists()


def test_nobody_listens(world, path, unix):
    with forward(world, "tcp:127.0.0.1:0", unix) as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        line = relay.log.wait("cannot connect to 'unix:")
        assert "nobody listens on it, or there is no such socket" in line
        assert relay.stop() == 0


def test_nobody_listens_any_more(world, path, unix):
    """That the connect does not end at once makes no difference."""
    path.write_text(f"unix {free_port()} later\n")
    with forward(world, "tcp:127.0.0.1:0", unix) as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert "nobody listens on it" in relay.log.wait("cannot connect to 'unix:")
        assert relay.stop() == 0


# --- the socket's file ---


def test_a_stale_file_is_replaced(world, path, unix):
    path.write_text(f"unix {free_port()}\n")
    with Server(echo) as server:
        with forward(world, unix, f"tcp:127.0.0.1:{server.address[1]}") as relay:
            relay.ready()
            with connect(address_of(path)) as client:
                client.sendall(b"hello")
                assert client.recv(5) == b"hello"
            assert relay.stop() == 0
    assert not path.exists()


def test_a_socket_in_use_is_left_alone(world, path, unix):
    with UnixServer(path, echo):
        assert "another process listens there" in fails(world, unix)
        assert path.exists()


def test_what_is_no_socket_is_never_removed(world, path, unix):
    path.write_text("precious")
    assert "there is a file of that name, which is no socket" in fails(world, unix)
    assert path.read_text() == "precious"


def test_the_file_of_somebody_else_is_not_removed(world, path, unix):
    with forward(world, unix, "tcp:127.0.0.1:9") as relay:
        relay.ready()
        other = path.with_suffix(".new")
        other.write_text("unix 9\n")
        os.replace(other, path)
        assert relay.stop() == 0
    assert path.read_text() == "unix 9\n"


def test_a_folder_that_is_not_there(world, path, unix):
    line = fails(world, unix.replace("app.sock", "none/app.sock"))
    assert "is there such a folder" in line


# --- what there is not ---


@pytest.mark.parametrize("option", ["socket_mode=0660", "socket_owner=me"])
def test_mode_and_owner_are_refused(world, path, unix, option):
    with forward(world, unix, "tcp:127.0.0.1:9", "-o", option) as relay:
        assert relay.wait() == 1
        assert "set the permissions of its folder" in relay.log.wait("cannot listen on")
    assert not path.exists()


@pytest.mark.parametrize("endpoint, reason", [
    ("unix:@name", "Windows has no abstract names"),
    ("unix:/run/app.sock", "the drive is missing"),
])
def test_mistakes(endpoint, reason):
    for pair in ([endpoint, "tcp:127.0.0.1:9"], ["tcp:127.0.0.1:0", endpoint]):
        code, text = hvrelay("forward", *pair)
        assert code == 2
        assert reason in text
        assert "'unix:C:/Users/me/app.sock'" in text


def test_a_windows_without_them(path, unix):
    """To listen, and to connect: the same sentence."""
    sentence = "WSA 10047: UNIX sockets need Windows 10 1803"
    code, text = hvrelay("forward", unix, "tcp:127.0.0.1:9")
    assert code == 1
    assert sentence in text
    with Relay("forward", "tcp:127.0.0.1:0", unix) as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert sentence in relay.log.wait("cannot connect to 'unix:")
        assert relay.stop() == 0
    assert not path.exists()
