"""Unix sockets: who may use them, whose files they are, and what becomes of the files."""

import fcntl
import grp
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from deadline import PATIENCE, eventually
from peers import (
    accept,
    ask,
    connect,
    endpoint_of,
    is_turned_away,
    listen,
    payload,
    read_to_end,
)
from program import HVRELAY, hvrelay

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")


@pytest.fixture
def path(folder):
    return f"{folder}/test.sock"


def permissions(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def is_socket(path):
    return stat.S_ISSOCK(os.lstat(path).st_mode)


@pytest.mark.parametrize("where", ["{folder}/in.sock", "@{folder}"])
@pytest.mark.parametrize("target", ["{folder}/out.sock", "@{folder}/out"])
def test_paths_and_abstract_names(relays, servers, folder, where, target):
    where = where.format(folder=folder)
    server = servers(where=target.format(folder=folder))
    relays.forward(f"unix:{where}", server.endpoint)
    assert ask(where) == b"hello"


def test_the_longest_path(relays, echo_server, folder):
    path = folder + "/" + "x" * (107 - len(folder) - 1)
    relays.forward(f"unix:{path}", echo_server.endpoint)
    assert ask(path) == b"hello"


@pytest.mark.parametrize(
    "settings, mode", [([], 0o600), (["socket_mode=0660"], 0o660), (["socket_mode=777"], 0o777)]
)
@pytest.mark.parametrize("umask", [0, 0o777])
def test_the_mode_is_the_one_asked_for(relays, path, settings, mode, umask):
    relays.forward(f"unix:{path}", "tcp:127.0.0.1:1", *settings, umask=umask)
    assert permissions(path) == mode


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_attached_descriptors_stay_behind(relays, folder, path, pump):
    """No byte stays with them, though a read stops there; and the relay keeps none open."""
    read_end, write_end = os.pipe()
    with listen(f"{folder}/out.sock") as target:
        relays.forward(f"unix:{path}", endpoint_of(target), f"pump={pump}")
        with connect(path) as client, accept(target) as server:
            for sender, receiver in (client, server), (server, client):
                pieces = [payload(1 + number * 97 % 1000, number) for number in range(100)]
                for piece in pieces:
                    assert socket.send_fds(sender, [piece], [write_end]) == len(piece)
                sender.shutdown(socket.SHUT_WR)
                assert read_to_end(receiver) == b"".join(pieces)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as attached:
        assert attached.read() == b""  # there is no other write end


@as_root
@pytest.mark.parametrize("text", ["nobody", "nobody:{group}", ":{group}"])
def test_the_owner_is_the_one_asked_for(relays, path, text):
    nobody = pwd.getpwnam("nobody")
    text = text.format(group=grp.getgrgid(nobody.pw_gid).gr_name)
    relays.forward(f"unix:{path}", "tcp:127.0.0.1:1", f"socket_owner={text}")
    info = os.lstat(path)
    assert info.st_uid == (nobody.pw_uid if text.startswith("nobody") else os.geteuid())
    assert info.st_gid == (nobody.pw_gid if ":" in text else os.getegid())
    assert permissions(path) == 0o600


@pytest.mark.parametrize(
    "text, message",
    [
        ("nosuchuser", "there is no user 'nosuchuser'"),
        (":nosuchgroup", "there is no group 'nosuchgroup'"),
    ],
)
def test_an_owner_that_does_not_exist(path, text, message):
    done = hvrelay("forward", f"unix:{path}", "tcp:127.0.0.1:1", "-o", f"socket_owner={text}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 'unix:{path}': {message}" in done.stderr
    assert not os.path.lexists(path)


@as_root
def test_an_owner_that_only_root_can_give_it_to(folder, path):
    os.chmod(folder, 0o777)
    done = hvrelay(
        *("forward", f"unix:{path}", "tcp:127.0.0.1:1", "-o", "socket_owner=root"),
        user=pwd.getpwnam("nobody").pw_uid,
        extra_groups=[],
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot give it to 'root': operation not permitted" in done.stderr
    assert not os.path.lexists(path)


def test_the_log_tells_which_process_came(relays, echo_server, path):
    relay = relays.forward(f"unix:{path}", echo_server.endpoint)
    assert ask(path) == b"hello"
    relay.wait_log(f"session 1: unix:uid={os.geteuid()},pid={os.getpid()} -> ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_file_is_removed_at_the_end(relays, path, number):
    relay = relays.forward(f"unix:{path}", "tcp:127.0.0.1:1")
    assert is_socket(path)
    relay.signal(number)
    assert relay.wait() == 0
    assert not os.path.lexists(path)


def test_the_file_of_somebody_else_is_not_removed(relays, path):
    """Ours was removed, and the path belongs to another now."""
    relay = relays.forward(f"unix:{path}", "tcp:127.0.0.1:1")
    os.unlink(path)
    with listen(path):
        assert relay.stop() == 0
        connect(path).close()


def test_a_stale_socket_is_replaced(relays, echo_server, path):
    listen(path).close()
    assert is_socket(path)
    relays.forward(f"unix:{path}", echo_server.endpoint)
    assert ask(path) == b"hello"
    assert permissions(path) == 0o600


def test_a_relay_that_was_killed_leaves_nothing_in_the_way(relays, echo_server, path):
    killed = relays.forward(f"unix:{path}", echo_server.endpoint)
    killed.process.kill()
    killed.process.wait()
    killed.process.returncode = 0  # by intent
    relays.forward(f"unix:{path}", echo_server.endpoint)
    assert ask(path) == b"hello"


def test_a_live_socket_is_left_alone(relays, echo_server, path):
    relay = relays.forward(f"unix:{path}", echo_server.endpoint)
    relay.expect("the client left before the target answered")  # who looked whether it is alive
    done = hvrelay("forward", f"unix:{path}", "tcp:127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 'unix:{path}': " in done.stderr
    assert "address already in use (another process listens there)" in done.stderr
    assert ask(path) == b"hello"


def test_a_busy_socket_is_left_alone(path):
    """Somebody listens, but accepts nobody for now."""
    with socket.socket(socket.AF_UNIX) as busy, connect_all(busy, path):
        done = hvrelay("forward", f"unix:{path}", "tcp:127.0.0.1:1")
        assert (done.returncode, done.stdout) == (1, "")
        assert is_socket(path)


@pytest.mark.parametrize("stale", [False, True])
def test_of_two_that_start_at_once_one_gets_the_path(folder, stale):
    """Seen: a socket that was bound, and did not listen yet, was taken for one of a dead process;
    both said that they were ready, and one of them never got a client."""
    for number in range(40):
        path = f"{folder}/{number}.sock"
        if stale:
            listen(path).close()
        command = [HVRELAY, "forward", f"unix:{path}", "tcp:127.0.0.1:1"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        both = [subprocess.Popen(command, **pipes) for _ in range(2)]
        outputs = [first_lines(process) for process in both]
        for process in both:
            process.terminate()
        errors = [process.communicate(timeout=PATIENCE)[1] for process in both]
        assert sorted(outputs) == ["", "ready\n"], errors
        assert "address already in use (another process listens there)" in errors[outputs.index("")]


def first_lines(process):
    """The line that says it is ready, or "" where it never is."""
    while (line := process.stdout.readline()) not in ("", "ready\n"):
        pass
    return line


def test_a_folder_that_somebody_has_locked(relays, echo_server, folder, path):
    """Anybody who may read it can do that: it delays a start, and does not prevent it."""
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        relays.forward(f"unix:{path}", echo_server.endpoint)
        assert ask(path) == b"hello"
    finally:
        os.close(held)


def test_a_folder_that_is_locked_on_purpose(relays, echo_server, folder):
    """It delays a start once, not once for each of many sockets: they would take 40 s."""
    paths = [f"{folder}/{number}.sock" for number in range(40)]
    config = "".join(f"[forward {number}]\nlisten = unix:{path}\nconnect = {echo_server.endpoint}\n"
                     for number, path in enumerate(paths))
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        relays.start("run", "-c", "-", text=config).wait_ready()
        assert all(ask(path) == b"hello" for path in paths)
    finally:
        os.close(held)


@pytest.mark.parametrize("mode", [0o300, 0o333])
def test_a_folder_that_can_not_be_read(relays, echo_server, folder, path, mode):
    """Writing is enough to listen there."""
    os.chmod(folder, mode)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        relays.forward(f"unix:{path}", echo_server.endpoint, user=65534, extra_groups=[])
    else:
        relays.forward(f"unix:{path}", echo_server.endpoint)
    assert stat.S_ISSOCK(os.lstat(path).st_mode)


class connect_all:
    """Listens on the path and fills the backlog."""

    def __init__(self, listener, path):
        listener.bind(path)
        listener.listen(0)
        self.clients = []
        while not self.clients or self.clients[-1]:
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            self.clients.append(client if client.connect_ex(path) == 0 else client.close())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients[:-1]:
            client.close()


def make_file(path):
    with open(path, "w") as file:
        file.write("precious")


def make_link_to_stale_socket(path):
    listen(path + ".target").close()
    os.symlink(path + ".target", path)


@pytest.mark.parametrize(
    "make",
    [
        make_file,
        os.mkdir,
        os.mkfifo,
        lambda path: os.symlink("nowhere", path),
        make_link_to_stale_socket,
    ],
    ids=["file", "folder", "fifo", "dangling link", "link"],
)
def test_what_is_no_socket_is_never_removed(folder, path, make):
    make(path)
    before = {name: os.lstat(f"{folder}/{name}").st_ino for name in os.listdir(folder)}
    done = hvrelay("forward", f"unix:{path}", "tcp:127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 'unix:{path}': " in done.stderr
    assert "another process listens" not in done.stderr
    assert {name: os.lstat(f"{folder}/{name}").st_ino for name in os.listdir(folder)} == before


def test_a_folder_that_does_not_exist(folder):
    done = hvrelay("forward", f"unix:{folder}/none/x", "tcp:127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "(the folder does not exist)" in done.stderr


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda path: None, "no such socket: is the service running?"),
        (lambda path: listen(path).close(), "the socket exists, but nobody listens on it"),
    ],
    ids=["absent", "stale"],
)
def test_a_target_that_is_not_there(relays, path, make, reason):
    make(path)
    relay = relays.forward("tcp:127.0.0.1:0", f"unix:{path}")
    assert is_turned_away(relay.address())
    relay.wait_log(rf"cannot connect to 'unix:{path}': .* \({re.escape(reason)}\)$")


def test_a_target_that_is_busy_for_a_moment(relays, folder):
    """A client waits as long as its target's queue is full, and is served then."""
    path = f"{folder}/busy"
    with socket.socket(socket.AF_UNIX) as listener, connect_all(listener, path) as busy:
        listener.settimeout(PATIENCE)
        relay = relays.forward("tcp:127.0.0.1:0", f"unix:{path}")
        with connect(relay.address()) as client:
            client.sendall(b"x")
            time.sleep(0.3)
            for _ in busy.clients[:-1]:
                listener.accept()[0].close()
            with accept(listener) as server:
                assert server.recv(1) == b"x"


def test_targets_that_refuse_cost_no_descriptor(relays, folder):
    relay = relays.forward("tcp:127.0.0.1:0", f"unix:{folder}/nobody")
    relay.expect("refused")
    before = len(relay.descriptors())
    for _ in range(20):
        assert is_turned_away(relay.address())
    eventually(lambda: len(relay.descriptors()) == before, "the end of each socket")
