"""A journal of our own in the place of systemd's."""

import os
import re
import socket

import pytest

import namespace
from deadline import PATIENCE
from program import ENVIRONMENT


class Journal:
    """What stands behind a service's standard error, and the journal's socket, as the relay will
    find it at its usual place."""

    def __init__(self, folder):
        self.folder = f"{folder}/journal"
        os.mkdir(self.folder)
        self.native = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.native.bind(f"{self.folder}/socket")
        self.native.settimeout(PATIENCE)
        self.stderr, self.relays_stderr = socket.socketpair()
        self.stderr.settimeout(PATIENCE)
        info = os.fstat(self.relays_stderr.fileno())
        self.stream = f"{info.st_dev}:{info.st_ino}"

    def options(self):
        place = "/run/systemd/journal"
        mounts = (f"mkdir -p {place}", f"mount --bind '{self.folder}' {place}")
        return {
            "wrapper": namespace.script("mount -t tmpfs none /run", *mounts),
            "env": {**ENVIRONMENT, "JOURNAL_STREAM": self.stream},
            "stderr": self.relays_stderr,
        }

    def wait_event(self, pattern):
        """The next event whose message matches, as a dictionary."""
        while True:
            lines = self.native.recv(65536).decode().splitlines()
            event = dict(line.split("=", 1) for line in lines)
            if re.search(pattern, event["MESSAGE"]):
                return event

    def no_events(self):
        self.native.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.native.recv(1)

    def lines(self):
        """All of standard error, once the relay has ended."""
        self.relays_stderr.close()
        pieces = []
        while piece := self.stderr.recv(65536):
            pieces.append(piece)
        return b"".join(pieces).decode().splitlines()

    def close(self):
        for one in (self.native, self.stderr, self.relays_stderr):
            one.close()
