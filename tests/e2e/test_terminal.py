"""A terminal, or a pipe, as standard input and output: others have it open too, and what is set for
one description of it (O_NONBLOCK) is set for all."""

import fcntl
import os
import pty
import pwd
import select
import subprocess
import termios

import pytest

from deadline import PATIENCE
from peers import accept, endpoint_of, is_reset, listen, read_exactly

END_OF_FILE = b"\x04"


class Terminal:
    """A pseudo terminal: `user` is where somebody types, `fd` what programs have open."""

    def __init__(self):
        self.user, self.fd = pty.openpty()
        attributes = termios.tcgetattr(self.fd)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.before = self.state()

    def state(self):
        return fcntl.fcntl(self.fd, fcntl.F_GETFL), termios.tcgetattr(self.fd)

    def is_as_before(self):
        return self.state() == self.before

    def type(self, data):
        os.write(self.user, data)

    def read(self, size):
        data = b""
        while len(data) < size:
            data += os.read(self.user, size - len(data))
        return data

    def read_until(self, text):
        """A terminal gives what it has, which may be a part."""
        data = b""
        while text not in data:
            ready, _, _ = select.select([self.user], [], [], PATIENCE)
            assert ready, f"no {text} in {data}"
            data += os.read(self.user, 65536)

    def close(self):
        os.close(self.user)
        os.close(self.fd)


@pytest.fixture
def terminal():
    opened = Terminal()
    yield opened
    opened.close()


def nobody():
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return pwd.getpwnam("nobody").pw_uid


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_a_terminal_is_left_as_it_was(relays, terminal, pump):
    with listen() as target:
        relay = relays.start(
            "connect",
            endpoint_of(target),
            "-o",
            f"pump={pump}",
            stdin=terminal.fd,
            stdout=terminal.fd,
        )
        with accept(target) as server:
            terminal.type(b"hello\n")
            assert read_exactly(server, 6) == b"hello\n"
            server.sendall(b"you")
            assert terminal.read(3) == b"you"
            assert terminal.is_as_before()  # while it runs, too
            terminal.type(END_OF_FILE)
            assert server.recv(1) == b""
    assert relay.wait() == 0
    assert terminal.is_as_before()


def test_a_terminal_of_another_user(relays, terminal, folder):
    """`sudo -u nobody hvrelay connect`: it may use the terminal, but not open it."""
    with listen() as target:
        relay = relays.start(
            "connect",
            endpoint_of(target),
            stdin=terminal.fd,
            stdout=terminal.fd,
            user=nobody(),
            extra_groups=[],
        )
        with accept(target) as server:
            terminal.type(b"hello\n")
            assert read_exactly(server, 6) == b"hello\n"
            terminal.type(END_OF_FILE)
            assert server.recv(1) == b""
    assert relay.wait() == 0
    assert terminal.is_as_before()


def test_a_terminal_that_hangs_up(relays):
    terminal = Terminal()
    with listen() as target:
        relay = relays.start(
            "connect", endpoint_of(target), stdin=terminal.fd, stdout=terminal.fd
        )
        with accept(target) as server:
            terminal.type(b"hello\n")
            assert read_exactly(server, 6) == b"hello\n"
            terminal.close()
            is_reset(server)  # or an end in order: a terminal tells it either way
            server.close()
            assert relay.wait() in (0, 1)


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_pipes_that_others_have_open(relays, pump):
    """A pipeline in a shell script: what comes after us goes on with the same pipes."""
    from_us, to_them = os.pipe(), os.pipe()
    shared = [from_us[0], to_them[1]]
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in shared]

    def now():
        return [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in shared]

    with listen() as target:
        relay = relays.start(
            "connect",
            endpoint_of(target),
            "-o",
            f"pump={pump}",
            stdin=shared[0],
            stdout=shared[1],
        )
        with accept(target) as server:
            os.write(from_us[1], b"hello")
            assert read_exactly(server, 5) == b"hello"
            assert now() == before
            os.close(from_us[1])
            assert server.recv(1) == b""
            server.sendall(b"bye")
    assert relay.wait() == 0
    assert os.read(to_them[0], 10) == b"bye"
    assert now() == before
    for fd in (*shared, to_them[0]):
        os.close(fd)


def test_a_terminal_on_standard_error_only(relays, terminal, echo_server):
    """The log goes there; nothing is set on it."""
    relay = relays.start(
        "connect",
        echo_server.endpoint,
        "-o",
        "log_level=info",
        stdin=subprocess.DEVNULL,
        stderr=terminal.fd,
    )
    assert relay.wait() == 0
    terminal.read_until(b"session 1")
    assert terminal.is_as_before()
