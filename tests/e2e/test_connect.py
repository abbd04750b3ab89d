"""`connect`: standard input and output as a stream, whatever they are."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from deadline import PATIENCE, eventually
from peers import (
    accept,
    endpoint_of,
    exchange,
    listen,
    payload,
    read_exactly,
    read_to_end,
    reset,
    tcp_pair,
)
from program import hvrelay

BULK = 50 << 20


def connect(*words, **options):
    """Runs `hvrelay connect` to its end, with bytes."""
    return hvrelay("connect", *words, text=False, **options)


@pytest.mark.parametrize("size", [0, 1, 100000, 5 << 20])
@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_pipes(echo_server, pump, size):
    data = payload(size)
    done = connect(echo_server.endpoint, "-o", f"pump={pump}", input=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data


@pytest.mark.parametrize("where", ["{folder}/a.sock", "@{folder}"])
def test_unix_targets(servers, folder, where):
    done = connect(servers(where=where.format(folder=folder)).endpoint, input=b"hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello", b"")


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_files(echo_server, tmp_path, pump):
    data = payload(3 << 20)
    (tmp_path / "in").write_bytes(data)
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as sink:
        done = connect(
            echo_server.endpoint, "-o", f"pump={pump}", stdin=source, stdout=sink
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_a_file_that_is_appended_to(servers, tmp_path, pump):
    """`>> file`: the kernel does not splice to such a file."""
    data = payload(20 << 20)
    server = servers(serve=lambda stream: stream.sendall(data))
    (tmp_path / "out").write_bytes(b"before")
    with open(tmp_path / "out", "ab") as sink:
        done = connect(server.endpoint, "-o", f"pump={pump}", stdout=sink)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == b"before" + data


def test_nothing_comes_from_dev_null(servers):
    server = servers(serve=lambda stream: stream.sendall(b"to whom it may concern"))
    done = connect(server.endpoint)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"to whom it may concern", b"")


def test_nothing_is_kept_in_dev_null(echo_server):
    done = connect(echo_server.endpoint, input=payload(1 << 20), stdout=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("pump", ["auto", "stream"])
def test_bulk_both_ways_at_once(servers, pump):
    up, down = payload(BULK, 1), payload(BULK, 2)
    received = []

    def serve(stream):
        writer = threading.Thread(target=stream.sendall, args=(down,))
        writer.start()
        digest = hashlib.sha256()
        while piece := stream.recv(1 << 20):
            digest.update(piece)
        writer.join()
        received.append(digest.digest())

    server = servers(serve=serve)
    done = connect(server.endpoint, "-o", f"pump={pump}", input=up, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(down).digest()
    server.close()
    assert received == [hashlib.sha256(up).digest()]


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_a_socket_as_inetd_hands_it_over(relays, echo_server, pump):
    """It can be half-closed."""
    ours, its = socket.socketpair()
    with ours:
        ours.settimeout(PATIENCE)
        with its:
            relay = relays.start(
                "connect", echo_server.endpoint, "-o", f"pump={pump}", stdin=its, stdout=its
            )
        data = payload(1 << 20)
        assert exchange(ours, data) == data
        assert relay.wait() == 0
        assert relay.log == []


def test_an_urgent_byte_of_inetds_socket(relays, echo_server):
    ours, its = tcp_pair()
    with ours:
        with its:
            relays.start("connect", echo_server.endpoint, stdin=its, stdout=its)
        ours.send(b"one!", socket.MSG_OOB)
        assert exchange(ours, b"two") == b"one!two"


def test_the_target_may_end_first(relays):
    """Its end is passed on at once, and what is still to be said gets through."""
    with listen() as target:
        relay = relays.start("connect", endpoint_of(target), stdin=subprocess.PIPE)
        with accept(target) as server:
            server.sendall(b"bye\n")
            server.shutdown(socket.SHUT_WR)
            assert relay.wait_output_end() == ["bye"]
            relay.process.stdin.write(b"wait")
            relay.process.stdin.close()
            assert read_to_end(server) == b"wait"
    assert relay.wait() == 0


PUMPS = ["auto", "splice", "copy", "stream"]


@contextlib.contextmanager
def connected(relays, where, *settings, **options):
    """A relay whose standard input and output are in use, and its target's end of the session."""
    with listen(where) as target:
        words = [word for setting in settings for word in ("-o", setting)]
        options = {"stdin": subprocess.PIPE, **options}
        relay = relays.start("connect", endpoint_of(target), *words, **options)
        with accept(target) as server:
            relay.process.stdin.write(b"x")
            relay.process.stdin.flush()
            assert read_exactly(server, 1) == b"x"
            yield relay, server


def where_of(family, folder):
    return ("127.0.0.1", 0) if family == "tcp" else f"{folder}/target"


@pytest.mark.parametrize("last", [b"", b"last words"])
@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("pump", PUMPS)
def test_both_ends_in_one_turn(relays, folder, pump, family, last):
    """The target's end closes standard output; the input that came with it is not forgotten."""
    where = where_of(family, folder)
    with connected(relays, where, f"pump={pump}") as (relay, server):
        with relay.frozen():
            server.sendall(b"bye\n")
            server.shutdown(socket.SHUT_WR)
            relay.process.stdin.write(last)
            relay.process.stdin.close()
        assert read_to_end(server) == last
        assert relay.wait() == 0
    assert relay.output == ["bye"]


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("pump", PUMPS[:3])
def test_an_output_that_vanishes_as_the_target_ends(relays, folder, pump, family):
    """All that was to be written has been: nothing is lost. (libuv reads the target's end only after
    the loss was seen: with it the session is reported as broken.)
    """
    read_end, write_end = os.pipe()
    where = where_of(family, folder)
    with connected(relays, where, f"pump={pump}", stdout=write_end) as (relay, server):
        os.close(write_end)
        with relay.frozen():
            server.shutdown(socket.SHUT_WR)
            os.close(read_end)
            relay.process.stdin.write(b"last words")
            relay.process.stdin.close()
        assert read_to_end(server) == b"last words"
        assert relay.wait() == 0


@pytest.mark.parametrize("pump", PUMPS)
def test_an_output_that_vanishes_while_all_is_quiet(relays, pump):
    """It ends at once, not with the next byte."""
    read_end, write_end = os.pipe()
    where = ("127.0.0.1", 0)
    settings = (f"pump={pump}", "log_level=info")
    with connected(relays, where, *settings, stdout=write_end) as (relay, _):
        os.close(write_end)
        os.close(read_end)
        assert relay.wait() == 1
        relay.process.stdin.close()
    relay.wait_log("standard output: broken pipe")


@pytest.mark.parametrize("pump", PUMPS)
def test_an_output_that_others_use_too_blocks_again(relays, pump):
    """However the relay ends: else a shell's next program would fail with EAGAIN."""
    ours, its = socket.socketpair()
    with ours, its:
        where = ("127.0.0.1", 0)
        with connected(relays, where, f"pump={pump}", stdout=its) as (relay, _):
            eventually(lambda: not os.get_blocking(its.fileno()), "use of the output")
            relay.signal(signal.SIGTERM)
            relay.signal(signal.SIGINT)
            assert relay.wait() == 1
            relay.process.stdin.close()
        assert os.get_blocking(its.fileno())


def test_a_target_that_refuses():
    with listen() as somebody:
        target = endpoint_of(somebody)
    done = hvrelay("connect", target, input="hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot connect to '{target}': connection refused (nobody listens there)" in done.stderr


def test_a_target_that_resets(relays):
    with listen() as target:
        relay = relays.start("connect", endpoint_of(target), stdin=subprocess.PIPE)
        with accept(target) as server:
            server.sendall(b"half a ")
            relay.process.stdin.write(b"x")
            relay.process.stdin.flush()
            assert read_exactly(server, 1) == b"x"
            reset(server)
        assert relay.wait() == 1
        relay.process.stdin.close()
    assert relay.output == ["half a "]
    relay.wait_log("target: connection reset by peer")


def test_an_output_that_nobody_reads_any_more(relays, servers):
    """`hvrelay connect ... | head`"""
    server = servers(serve=lambda stream: stream.sendall(payload(10 << 20)))
    read_end, write_end = os.pipe()
    relay = relays.start("connect", server.endpoint, "-o", "log_level=info", stdout=write_end)
    os.close(write_end)
    assert len(os.read(read_end, 1)) == 1
    os.close(read_end)
    assert relay.wait() == 1
    relay.wait_log("standard output: broken pipe")


@pytest.mark.parametrize("pump", ["auto", "splice", "copy"])
def test_an_output_that_is_full(relays, servers, pump):
    """It says what has failed, at its own log level."""
    server = servers(serve=lambda stream: stream.sendall(b"hello"))
    with open("/dev/full", "w") as full:
        relay = relays.start("connect", server.endpoint, "-o", f"pump={pump}", stdout=full)
        assert relay.wait() == 1
    relay.wait_log("warning: .* lost 0 B up and 5 B down: standard output: no space left on device")


@pytest.mark.parametrize("pump", PUMPS)
def test_an_input_that_fails(relays, servers, pump):
    """A directory can be opened, but not read."""
    server = servers()
    stdin = os.open("/", os.O_RDONLY)
    relay = relays.start("connect", server.endpoint, "-o", f"pump={pump}", stdin=stdin)
    os.close(stdin)
    assert relay.wait() == 1
    relay.wait_log("warning: .*: (standard input: illegal operation on a directory|.*use pump = copy)")


@pytest.mark.parametrize("closing", ["<&-", ">&-", "<&- >&-"])
def test_closed_input_or_output(echo_server, closing):
    wrapper = ["bash", "-c", f'exec "$@" {closing}', "bash"]
    done = hvrelay("connect", echo_server.endpoint, wrapper=wrapper)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot use standard input and output: bad file descriptor" in done.stderr


def test_its_log_can_be_turned_on(echo_server):
    done = hvrelay("connect", echo_server.endpoint, "-o", "log_level=info", input="hello")
    assert (done.returncode, done.stdout) == (0, "hello")
    assert "forward 'connect' session 1: stdio -> " in done.stderr
    assert "5 B up, 5 B down" in done.stderr


def test_a_hangup_ends_it(relays):
    """Its terminal is gone, or its ssh has done with it: nothing to wait for, nothing to tell."""
    with listen() as target:
        relay = relays.start("connect", endpoint_of(target), stdin=subprocess.PIPE)
        with accept(target):
            relay.signal(signal.SIGHUP)
            assert relay.wait() == 1
        relay.process.stdin.close()
    assert not any("reload" in line for line in relay.log)


def test_a_hangup_that_was_ignored_from_the_start_stays_ignored(relays):
    """As nohup(1) starts it."""
    with listen() as target:
        relay = relays.start(
            *("connect", endpoint_of(target)),
            stdin=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )
        with accept(target) as server:
            relay.signal(signal.SIGHUP)
            relay.process.stdin.write(b"x")
            relay.process.stdin.close()
            assert exchange(server, b"y") == b"x"
    assert relay.wait_output_end() == ["y"]
    assert relay.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_it(relays, number):
    with listen() as target:
        relay = relays.start("connect", endpoint_of(target), stdin=subprocess.PIPE)
        with accept(target) as server:
            relay.process.stdin.write(b"x")
            relay.process.stdin.flush()
            assert read_exactly(server, 1) == b"x"
            relay.signal(number)
            relay.signal(signal.SIGTERM if number == signal.SIGINT else signal.SIGINT)
            assert relay.wait() == 1
        relay.process.stdin.close()
