"""The sockets of a relay, as the system tells of them."""

import contextlib
import ctypes
import os
import re
import socket

PIDFD_GETFD = 438
LISTENING, SYN_SENT = "0A", "02"


def own_sockets(relay):
    """Inode -> number of the descriptor."""
    return {
        match[1]: number
        for number, link in relay.descriptors().items()
        if (match := re.fullmatch(r"socket:\[(\d+)\]", link))
    }


def tcp_sockets(relay):
    """(number, state, own port, peer's port) of each. The system may tell of one twice."""
    own = own_sockets(relay)
    found = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}") as lines:
            for fields in (line.split() for line in list(lines)[1:]):
                if fields[9] in own:
                    ports = (int(field.rsplit(":", 1)[1], 16) for field in fields[1:3])
                    found.add((own[fields[9]], fields[3], *ports))
    return found


def listening(relay):
    """The numbers of its listening sockets, TCP and UNIX."""
    own = own_sockets(relay)
    with open("/proc/net/unix") as lines:
        fields = [line.split() for line in list(lines)[1:]]
    local = [own[line[6]] for line in fields if line[3] == "00010000" and line[6] in own]
    return local + [number for number, state, *_ in tcp_sockets(relay) if state == LISTENING]


@contextlib.contextmanager
def shared(relay, number):
    """A socket of the relay's, as one of ours. It must not be closed meanwhile: the relay's epoll
    would not notice as long as we have it."""
    pidfd = os.pidfd_open(relay.pid)
    ours = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, number, 0)
    os.close(pidfd)
    assert ours >= 0, f"it has no descriptor {number}"
    with socket.socket(fileno=ours) as one:
        yield one


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
