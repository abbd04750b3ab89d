"""The pipes of a relay that is no root: a user may have 64 MiB of them (pipe-user-pages-soft), and
the user's other programs want some, too."""

import contextlib
import os
import subprocess
import sys

import pytest

from deadline import eventually
from peers import accept, connect, listen

USER = 54321  # of whom there is nothing else, in no other test either
STALLED = 100

# What another program of that user gets: the sizes of a few pipes, and of one that it enlarges.
PROBE = """
import fcntl, os
ends = [os.pipe() for _ in range(16)]
print(min(fcntl.fcntl(write, 1032) for _, write in ends))
print(fcntl.fcntl(ends[0][1], 1031, 1 << 20))
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as another user")


def pipes(relay):
    return sum(link.startswith("pipe:") for link in relay.descriptors().values())


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("pump", ["auto", "splice"])
def test_stalled_sessions_leave_pipes_to_others(relays, folder, pump, workers):
    """A hundred downloads whose clients do not read."""
    os.chmod(folder, 0o777)
    identity = {"user": USER, "group": USER, "extra_groups": []}
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(listen(f"{folder}/target"))
        os.chmod(f"{folder}/target", 0o666)
        relay = relays.run(
            f"[hvrelay]\nworkers = {workers}\n[forward a]\nlisten = unix:{folder}/in\n"
            f"connect = unix:{folder}/target\npump = {pump}\n",
            **identity,
        )
        before = pipes(relay)
        for _ in range(STALLED):
            client = stack.enter_context(connect(f"{folder}/in"))
            server = stack.enter_context(accept(target))
            server.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                while True:
                    server.send(bytes(1 << 18))
            stack.enter_context(client)
        eventually(lambda: pipes(relay) > before + 20, "pipes of stalled sessions")
        words = [sys.executable, "-c", PROBE]
        probe = subprocess.run(words, **identity, capture_output=True, text=True)
        assert probe.stdout.split() == ["65536", "1048576"], probe
