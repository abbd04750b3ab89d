"""System calls of a relay that fail as told: the kernel asks us about each of them (seccomp's user
notification), and we answer with an error, or let it be done.

usage: faults.py SOCKET CALL... -- COMMAND ARGUMENT...   (Faults does that)
"""

import fcntl
import os
import select
import socket
import struct
import sys
import threading

import pytest

seccomp = pytest.importorskip("seccomp", reason="python3-seccomp is not installed")

# linux/seccomp.h
NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, call, architecture, place, arguments
ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
RECEIVE = 0xC0502100
SEND = 0xC0182101
CONTINUE = 1


def number_of(call):
    return seccomp.resolve_syscall(seccomp.Arch.NATIVE, call)


class Faults:
    """One relay's. `options` start it so; calls must be named before."""

    def __init__(self, *calls):
        self.calls = calls
        self.failed = 0  # calls so far
        self._errors = {}  # number of the call -> error number
        self._ours, self._theirs = socket.socketpair()
        self._stop = os.eventfd(0)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def options(self):
        number = self._theirs.fileno()
        program = [sys.executable, "-B", os.path.abspath(__file__)]
        return {"wrapper": [*program, str(number), *self.calls, "--"], "pass_fds": [number]}

    def fail(self, call, error):
        """From here on."""
        self._errors = {**self._errors, number_of(call): error}

    def relent(self):
        self._errors = {}

    def _serve(self):
        self._ours.setblocking(False)
        listener = None
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        poll.register(self._ours, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._stop in ready:
                break
            if listener is None:
                _, files, _, _ = socket.recv_fds(self._ours, 1, 1)
                listener = files[0]
                poll.unregister(self._ours)
                poll.register(listener, select.POLLIN)
            elif ready[listener] & select.POLLIN:
                self._answer(listener)
            else:
                break  # the relay has ended
        if listener is not None:
            os.close(listener)

    def _answer(self, listener):
        notification = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, RECEIVE, notification)
            identity, _, _, call, *_ = NOTIFICATION.unpack(notification)
            error = self._errors.get(call, 0)
            self.failed += error != 0
            answer = ANSWER.pack(identity, 0, -error, 0 if error else CONTINUE)
            fcntl.ioctl(listener, SEND, bytearray(answer))
        except FileNotFoundError:
            pass  # whoever called was interrupted by a signal

    def close(self):
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._stop)
        self._ours.close()
        self._theirs.close()


def main(number, *words):
    end = words.index("--")
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for call in words[:end]:
        if number_of(call) >= 0:
            rules.add_rule(seccomp.NOTIFY, call)
    connection = socket.socket(fileno=int(number))
    rules.load()
    socket.send_fds(connection, [b"x"], [rules.get_notify_fd()])
    connection.close()
    os.execvp(words[end + 1], words[end + 1 :])


if __name__ == "__main__":
    main(*sys.argv[1:])
