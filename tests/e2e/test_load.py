"""Under a load of thousands of connections a second not one is lost, whatever the administrator
does meanwhile. How many a second is told, and not judged: it is the machine's affair."""

import os
import socket
import sys

import pytest

from load import Load
from peers import endpoint_of, listen
from program import hvrelay
from test_systemd import hand_over

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../guest"))
from inside import inside  # noqa: E402

COUNT = 10_000  # some seconds' worth


@pytest.fixture
def load(relays):
    started = Load(COUNT if not inside() else COUNT // 5)  # a guest is slow
    yield started
    started.close()


def tell(capsys, what, load, rate):
    with capsys.disabled():
        print(f"\n{what}: {load.count} connections, {rate:.0f} a second, none lost", flush=True)


@pytest.mark.parametrize("workers", [1, 3])
def test_reloads_that_leave_the_forward_alone(relays, load, folder, capsys, workers):
    """Others come, go and change; so do settings of the program."""
    path = f"{folder}/hvrelay.conf"

    def write(turn):
        with open(path, "w") as file:
            file.write(
                f"[hvrelay]\nworkers = {workers}\ncontrol = unix:{folder}/control.sock\n"
                f"log_level = {('warning', 'error')[turn % 2]}\n"
                f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {load.endpoint}\n"
                f"[forward other{turn % 3}]\nlisten = unix:{folder}/{turn % 3}.sock\n"
                f"connect = unix:@nobody\nbacklog = {turn % 5 + 10}\n"
            )

    write(0)
    relay = relays.start("run", "-c", path).wait_ready()
    load.start(relay.endpoint("a"))
    reloads = 0
    while load.runs():
        write(reloads + 1)
        done = hvrelay("reload", "-c", path)
        assert (done.returncode, done.stderr) == (0, "")
        reloads += 1
    rate = load.wait()
    assert reloads >= 3
    assert relay.stop() == 0
    assert relay.log == []
    tell(capsys, f"{reloads} reloads", load, rate)


def reached(listener):
    """The endpoint through which the load reaches it."""
    if listener.family == socket.AF_VSOCK:
        return f"vsock:1:{listener.getsockname()[1]}"  # CID 1: this system, by loopback
    return endpoint_of(listener)


def listener_of(kind, folder):
    if kind != "vsock":
        return listen(("127.0.0.1", 0) if kind == "tcp" else f"{folder}/a.sock")
    if not inside():
        pytest.skip("this uses AF_VSOCK and runs only inside a guest of tests/guest/boot")
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    listener.listen(1024)
    return listener


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", ["tcp", "unix", "vsock"])
def test_restarts_with_sockets_of_the_manager(relays, load, folder, capsys, kind, workers):
    """What comes while no relay runs waits in the socket; what has begun is served to its end."""
    with listener_of(kind, folder) as listener:

        def start():
            return relays.run(
                f"[hvrelay]\nworkers = {workers}\nlog_level = warning\n"
                f"[forward a]\nlisten = systemd:a\nconnect = {load.endpoint}\n",
                **hand_over([(listener, "a")]),
            )

        relay = start()
        load.start(reached(listener))
        restarts = 0
        while load.runs():
            assert relay.stop() == 0
            assert relay.log == []
            relay = start()
            restarts += 1
        rate = load.wait()
    assert restarts >= 3
    assert relay.stop() == 0
    assert relay.log == []
    tell(capsys, f"{restarts} restarts", load, rate)
