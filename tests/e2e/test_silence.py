"""Peers on another machine that vanish without a word: TCP itself has to find out. The machine is a
network namespace with a link to the one where the relay is; it vanishes as it loses its address."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from peers import accept, connect, endpoint_of, listen, read_exactly, read_to_end

CLONE_NEWNET = 0x40000000
NEAR, FAR = "10.9.8.1", "10.9.8.2"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can link network namespaces"),
    pytest.mark.skipif(not shutil.which("ip"), reason="there is no ip(8): install iproute2"),
]


class Machine:
    """A network of its own, that of a thread: what it calls and starts is there."""

    def __init__(self):
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._thread.submit(self._leave).result()
        self.thread_id = self.do(threading.get_native_id)

    @staticmethod
    def _leave():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            reason = os.strerror(ctypes.get_errno())
            pytest.skip(f"no network namespace can be had: {reason}")

    def do(self, function, *words, **options):
        return self._thread.submit(function, *words, **options).result()

    def ip(self, text):
        """ip(8), by its words."""
        self.do(subprocess.run, ["ip", *text.split()], check=True)

    def close(self):
        self._thread.shutdown()


@pytest.fixture
def machines(relays):
    """Two that are linked."""
    near, far = Machine(), Machine()
    near.ip(f"link add link0 type veth peer name link0 netns {far.thread_id}")
    for machine, address in ((near, NEAR), (far, FAR)):
        machine.ip(f"address add {address}/24 dev link0")
        machine.ip("link set link0 up")
    yield near, far
    for machine in (near, far):
        machine.close()


@pytest.fixture
def sessions(relays, machines, folder):
    """A session for each of these names of forwards: name -> its two ends, the local one first.
    `out` goes to the far machine, the others come from there."""
    near, far = machines
    with contextlib.ExitStack() as stack:
        inner = stack.enter_context(listen(f"{folder}/target"))
        outer = stack.enter_context(far.do(listen, (FAR, 0)))

        def start(forwards):
            text = "[hvrelay]\ndrain_timeout = 1ms\n[defaults]\nallow = all\n"
            for name, settings in forwards.items():
                ends = (f"tcp:{NEAR}:0", endpoint_of(inner))
                if name == "out":
                    ends = (f"unix:{folder}/out", endpoint_of(outer))
                text += f"[forward {name}]\nlisten = {ends[0]}\nconnect = {ends[1]}\n{settings}\n"
            relay = near.do(relays.run, text)
            pairs = {}
            for name in forwards:
                if name == "out":
                    local = stack.enter_context(connect(f"{folder}/out"))
                    remote = stack.enter_context(accept(outer))
                else:
                    remote = stack.enter_context(far.do(connect, relay.address(name)))
                    local = stack.enter_context(accept(inner))
                local.sendall(b"x")
                assert read_exactly(remote, 1) == b"x"
                pairs[name] = local, remote
            return relay, pairs

        yield start


def test_silent_peers_are_found(machines, sessions):
    """What is sent is not acknowledged, and user_timeout ends it. Where nothing is sent keepalive
    asks: after 1 s, and, as there is no answer, again 15 s later, when user_timeout is long over.
    With neither, TCP takes a quarter of an hour."""
    relay, pairs = sessions({
        "patient": "keepalive = off",
        "in": "keepalive = off\nuser_timeout = 2s",
        "out": "keepalive = off\nuser_timeout = 2s",
        "quiet": "keepalive = 1s\nuser_timeout = 2s",
    })
    relay.expect("stopping now: 1 sessions are reset")  # the patient one, at the end
    machines[1].ip(f"address delete {FAR}/24 dev link0")
    for name in ("patient", "in", "out"):
        pairs[name][0].sendall(b"is anybody there?")
    for name in ("in", "out", "quiet"):
        relay.wait_log(rf"forward '{name}' session \d+: .*: broken after .*: connection timed out")
        assert read_to_end(pairs[name][0]) == b""
    assert not any("'patient' session" in line for line in relay.log)
