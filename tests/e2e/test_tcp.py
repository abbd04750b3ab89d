"""Forwards between TCP endpoints: addresses, names, failures, and what the log tells of them."""

import re
import sys
import threading
import time

import pytest

import namespace
from peers import (
    accept,
    ask,
    connect,
    endpoint_of,
    exchange,
    is_reset,
    is_turned_away,
    listen,
    payload,
    read_exactly,
    read_to_end,
    reset,
    send_and_end,
)
from program import hvrelay


def six(port=0):
    return ("::1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_an_address_to_listen_on(relays, echo_server, host):
    relay = relays.forward(f"tcp:{host}:0", echo_server.endpoint)
    assert ask(relay.address()) == b"hello"


def test_all_addresses_are_both_versions(relays, echo_server):
    relay = relays.forward("tcp:*:0", echo_server.endpoint, "allow=all")
    port = relay.address()[1]
    assert ask(("127.0.0.1", port)) == b"hello"
    assert ask(six(port)) == b"hello"
    relay.wait_log(r"session 1: tcp:127\.0\.0\.1:\d+ -> ")  # not ::ffff:127.0.0.1
    relay.wait_log(r"session 2: tcp:\[::1\]:\d+ -> ")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_to_connect_to(relays, servers, host):
    server = servers(where=(host, 0))
    relay = relays.forward("tcp:127.0.0.1:0", server.endpoint)
    assert ask(relay.address()) == b"hello"


def test_a_name_to_connect_to(relays, echo_server):
    relay = relays.forward("tcp:127.0.0.1:0", f"tcp:localhost:{echo_server.port}")
    assert ask(relay.address()) == b"hello"


@pytest.mark.parametrize("listening", ["127.0.0.1", "::1"])
def test_the_addresses_of_a_name_are_tried_in_order(relays, servers, folder, listening):
    """Whichever of the two refuses, the other is found."""
    namespace.require()
    server = servers(where=(listening, 0))
    relay = relays.forward(
        "tcp:127.0.0.1:0",
        f"tcp:twin.test:{server.port}",
        wrapper=namespace.with_hosts(folder, "::1 twin.test\n127.0.0.1 twin.test\n"),
    )
    assert ask(relay.address()) == b"hello"


def test_a_name_is_listened_on_at_all_its_addresses(relays, echo_server, folder):
    namespace.require()
    relay = relays.forward(
        "tcp:twin.test:0",
        echo_server.endpoint,
        wrapper=namespace.with_hosts(folder, "::1 twin.test\n127.0.0.1 twin.test\n"),
    )
    relay.expect("is open to the network")
    port = int(re.fullmatch(r"tcp:twin\.test:(\d+)", relay.endpoint())[1])
    assert ask(("127.0.0.1", port)) == b"hello"
    assert ask(six(port)) == b"hello"


@pytest.mark.parametrize(
    "hosts",
    ["127.0.0.1 twin.test\n127.0.0.1 twin.test\n", "198.51.100.1 twin.test\n127.0.0.1 twin.test\n"],
    ids=["the same twice", "one that this machine lacks"],
)
def test_a_name_is_listened_on_at_the_addresses_that_there_are(relays, echo_server, folder, hosts):
    namespace.require()
    relay = relays.forward(
        "tcp:twin.test:0", echo_server.endpoint, wrapper=namespace.with_hosts(folder, hosts)
    ).expect("is open to the network|is not listened on at 198.51.100.1")
    port = int(re.fullmatch(r"tcp:twin\.test:(\d+)", relay.endpoint())[1])
    assert ask(("127.0.0.1", port)) == b"hello"


def test_an_address_of_a_name_that_is_left_out_is_warned_of(relays, folder):
    namespace.require()
    hosts = "198.51.100.1 twin.test\n127.0.0.1 twin.test\n"
    relay = relays.forward(
        "tcp:twin.test:0", "tcp:127.0.0.1:1", wrapper=namespace.with_hosts(folder, hosts)
    ).expect("is open to the network")
    relay.wait_log(r"warning: 'twin\.test' is not listened on at 198\.51\.100\.1: cannot bind")


def test_localhost_without_ipv6(relays, echo_server, folder):
    """Its name has an IPv6 address, and the machine has none."""
    namespace.require()
    hosts = namespace.with_hosts(folder, "::1 localhost\n127.0.0.1 localhost\n")
    relays.forward(
        "tcp:localhost:0",
        echo_server.endpoint,
        wrapper=[*namespace.alone("sysctl -qw net.ipv6.conf.lo.disable_ipv6=1"), *hosts],
    ).expect("'localhost' is not listened on at ::1: ")


def test_a_name_of_other_machines_only(folder):
    namespace.require()
    done = hvrelay(
        *("forward", "tcp:twin.test:0", "tcp:127.0.0.1:1"),
        wrapper=namespace.with_hosts(folder, "198.51.100.1 twin.test\n198.51.100.2 twin.test\n"),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot listen on 'tcp:twin.test:0': cannot bind: address not available" in done.stderr


def test_a_name_that_nobody_knows(relays, folder):
    namespace.require()
    relay = relays.forward(
        "tcp:127.0.0.1:0",
        "tcp:nobody.test:1",
        wrapper=namespace.with_hosts(folder, "127.0.0.1 localhost\n"),
    )
    assert is_turned_away(relay.address())
    relay.wait_log("refused after .*: cannot connect to 'tcp:nobody.test:1': cannot look up 'nobod")


def test_a_target_that_refuses(relays):
    with listen() as somebody:
        target = endpoint_of(somebody)
    relay = relays.forward("tcp:127.0.0.1:0", target)
    assert is_turned_away(relay.address())
    relay.wait_log(
        f"warning: forward 'forward' session 1: .* -> {target}: refused after .*: cannot connect "
        rf"to '{target}': connection refused \(nobody listens there\)$"
    )


@pytest.mark.parametrize("side", ["client", "target"])
def test_a_reset_is_passed_on(relays, side):
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target))
        with connect(relay.address()) as client, accept(target) as server:
            client.sendall(b"up")
            assert server.recv(2) == b"up"
            reset(client if side == "client" else server)
            assert is_reset(server if side == "client" else client)
    relay.wait_log(f"session 1: .*: broken after .*, 2 B up, 0 B down: {side}: connection reset")


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
@pytest.mark.parametrize("key", ["rate_limit", "session_rate_limit"])
def test_a_limit_does_not_withhold_what_came_before_a_reset(relays, pump, key):
    """Nobody is left to wait with."""
    data = payload(30000)
    with listen() as target:
        relay = relays.forward(
            "tcp:127.0.0.1:0", endpoint_of(target), f"{key}=16KiB/s", f"pump={pump}"
        )
        with connect(relay.address()) as client, accept(target) as server:
            client.sendall(data)
            assert read_exactly(server, 1) == data[:1]
            reset(client)
            assert read_exactly(server, len(data) - 1) == data[1:]
            assert is_reset(server)
    relay.wait_log("session 1: .*: broken after .*, 30000 B up, 0 B down: client: connection reset")


def test_one_line_tells_of_a_session(relays, servers):
    def serve(stream):
        assert read_to_end(stream) == b"12345"
        stream.sendall(payload(777))

    server = servers(serve=serve)
    relay = relays.forward("tcp:127.0.0.1:0", server.endpoint)
    with connect(relay.address()) as client:
        port = client.getsockname()[1]
        assert len(exchange(client, b"12345")) == 777
    relay.wait_log(
        rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z info: forward 'forward' session 1: "
        rf"tcp:127\.0\.0\.1:{port} -> {server.endpoint}: done after \d+\.\d{{3}} s, 5 B up, "
        r"777 B down$"
    )


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
def test_a_slow_receiver_loses_nothing(relays, pump):
    """Nor does the log say so: what was held for it is there in the end."""
    size = 8 << 20
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), f"pump={pump}")
        with connect(relay.address()) as client, accept(target) as server:
            writer = threading.Thread(target=send_and_end, args=(client, payload(size)))
            writer.start()
            time.sleep(0.2)  # its reader is late; without a reader the client is stuck by now
            assert read_to_end(server) == payload(size)
            writer.join()
    relay.wait_log(f"session 1: .*: done after .*, {size} B up, 0 B down$")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_many_clients_and_workers(relays, echo_server, workers):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, f"workers={workers}")
    wrong = []

    def client(number):
        for turn in range(5):
            data = payload(10000 + number, seed=number * 5 + turn)
            if ask(relay.address(), data) != data:
                wrong.append(number)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert echo_server.served == 150
    assert relay.stop() == 0
    assert sum("B down" in line for line in relay.log) == 150


@pytest.mark.parametrize("size", ["1KiB", "64KiB", "4MiB"])
def test_buffers_of_any_size(relays, echo_server, size):
    relay = relays.forward(
        "tcp:127.0.0.1:0", echo_server.endpoint, f"send_buffer={size}", f"receive_buffer={size}"
    )
    data = payload(3 << 20)
    assert ask(relay.address(), data) == data


def test_a_port_in_use_is_named(relays, echo_server):
    first = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint)
    done = hvrelay("forward", first.endpoint(), echo_server.endpoint)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        f"error: forward 'forward': cannot listen on '{first.endpoint()}': cannot bind: address"
        " already in use (another process listens there)\n"
    ) in done.stderr
    assert ask(first.address()) == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_all_addresses_are_all_or_none(host):
    """Somebody has the port on one of them."""
    with listen((host, 0)) as somebody:
        done = hvrelay("forward", f"tcp:*:{somebody.getsockname()[1]}", "tcp:127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "address already in use" in done.stderr


def test_an_address_of_another_machine():
    done = hvrelay("forward", "tcp:192.0.2.1:0", "tcp:127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot listen on 'tcp:192.0.2.1:0'" in done.stderr
    assert "no interface of this machine has that address" in done.stderr


def test_resets_before_a_limited_session_reads(relays, echo_server):
    """The portable pump has not asked libuv for anything yet then; nor may libuv be told of them."""
    with listen() as target:
        relay = relays.run(
            "[hvrelay]\nworkers = 1\n"
            f"[forward limited]\nlisten = tcp:127.0.0.1:0\nconnect = {endpoint_of(target)}\n"
            "pump = stream\nrate_limit = 1KiB/s\n"
            f"[forward other]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
        )
        first = connect(relay.address("limited"))
        server = accept(target)
        for one, other in ((first, server), (server, first)):
            one.sendall(bytes(100000))
            assert other.recv(100000)
        others = [connect(relay.address("limited")) for _ in range(100)]
        streams = [accept(target) for _ in others]
        ask(relay.address("other"))  # by now the relay has seen that it is connected to the target
        for client in others:
            reset(client)
        relay.wait_log("'limited' session .*: broken after", count=100)
        for stream in (first, server, *streams):
            stream.close()


WITHOUT_IPV6 = """
import errno, os, sys, seccomp
rules = seccomp.SyscallFilter(seccomp.ALLOW)
size_of_an_ipv6_address = seccomp.Arg(2, seccomp.EQ, 28)
rules.add_rule(seccomp.ERRNO(errno.EADDRNOTAVAIL), "bind", size_of_an_ipv6_address)
rules.load()
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_all_addresses_without_ipv6(relays, echo_server):
    """Of the attempt to listen on both nothing is left."""
    pytest.importorskip("seccomp", reason="python3-seccomp is not installed")
    relay = relays.forward("tcp:*:0", echo_server.endpoint,
                           wrapper=[sys.executable, "-c", WITHOUT_IPV6])
    relay.expect("is open to the network")
    assert relay.address()[1] > 0
    assert ask(relay.address()) == b"hello"
