"""A network namespace of our own for a run.

Nobody else's connections are there, closed ones of earlier runs neither, and the congestion control
is one that does not pace: where a system's default is BBR, its timers decide how fast a loopback
transfer is, and relays of very different cost all look alike."""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"


def congestion():
    with open(CONGESTION, encoding="ascii") as file:
        return file.read().strip()


def enter():
    """Moves this process, and so its children to come, into a new namespace with a loopback
    device. Returns what to say about the network of the run."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET if os.getuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER) != 0:
        return (f"the system's own network ({os.strerror(ctypes.get_errno())} for one of ours), "
                f"{congestion()}")
    with socket.socket() as device:
        fcntl.ioctl(device, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    try:
        with open(CONGESTION, "w", encoding="ascii") as file:
            file.write("reno\n")
    except OSError:  # where /proc/sys is read-only: the table tells what it is
        pass
    return f"a network namespace of its own, {congestion()}"
