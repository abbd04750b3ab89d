"""The control socket: requests and answers of all sizes, and clients that say nothing."""

import re
import time

import pytest

from deadline import PATIENCE
from peers import connect, read_to_end
from program import hvrelay


@pytest.fixture
def service(relays, folder, echo_server):
    class Service:
        path, control = f"{folder}/hvrelay.conf", f"{folder}/control.sock"

        def write(self, more=""):
            with open(self.path, "w") as file:
                file.write(f"[hvrelay]\ncontrol = unix:{self.control}\n[forward a]\n")
                file.write(f"listen = unix:{folder}/a.sock\nconnect = {echo_server.endpoint}\n")
                file.write(more)

    running = Service()
    running.write()
    running.relay = relays.start("run", "-c", running.path).wait_ready()
    return running


def test_a_request_may_come_in_parts(service):
    with connect(service.control) as client:
        for part in (b"re", b"loa", b"d", b"\n"):
            client.sendall(part)
            time.sleep(0.05)
        assert read_to_end(client) == b"ok\n"


def test_who_says_nothing_is_in_nobodys_way(service):
    """Not for long: their places are given back."""
    silent = [connect(service.control) for _ in range(8)]
    try:
        assert hvrelay("reload", "-c", service.path).returncode == 0
        for client in silent:
            client.settimeout(PATIENCE)
            assert client.recv(1) == b""
    finally:
        for client in silent:
            client.close()


def test_a_long_answer_is_cut_between_lines(service):
    """Whole lines, and the result behind them, however many mistakes there are."""
    service.relay.expect("reload: ")
    service.write("mistake = yes\n" * 2000)
    done = hvrelay("reload", "-c", service.path)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) > 20
    assert all(line.endswith(": unknown key 'mistake'") for line in lines)
    with connect(service.control) as client:
        client.sendall(b"reload\n")
        answer = read_to_end(client)
    assert re.search(rb"'mistake'\n[a-z]+\n$", answer)
