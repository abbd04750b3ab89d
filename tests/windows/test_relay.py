"""hvrelay.exe from end to end under Wine: TCP, named pipes, and Hyper-V sockets in the emulator."""
import re
import select
import socket
import time
import uuid

import pytest

from harness import (DEADLINE, GUEST_PORT, HOST_PORT, LATE, Relay, Server, check_echo,
                     check_half_closes, check_load, connect, echo, free_port, reset, service_id,
                     wait_for)


# --- TCP and named pipes ---


def test_tcp_to_tcp():
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", "tcp:127.0.0.1:0", target) as relay:
            relay.ready()
            check_load(("127.0.0.1", relay.port()))
            assert relay.stop() == 0


def test_tcp_to_tcp_half_closes():
    port = free_port()
    with Relay("forward", "tcp:127.0.0.1:0", f"tcp:127.0.0.1:{port}") as relay:
        relay.ready()
        check_half_closes(lambda: connect(("127.0.0.1", relay.port())),
                          lambda serve: Server(serve, port=port))
        assert relay.stop() == 0


def test_tcp_to_named_pipe_to_tcp():
    pipe, port = f"npipe:hvrelay-{uuid.uuid4()}", free_port()
    with Relay("forward", pipe, f"tcp:127.0.0.1:{port}") as far, \
            Relay("forward", "tcp:127.0.0.1:0", pipe) as near:
        far.ready()
        near.ready()
        address = ("127.0.0.1", near.port())
        with Server(echo, port=port):
            check_load(address)
        check_half_closes(lambda: connect(address), lambda serve: Server(serve, port=port))
        assert near.stop() == 0
        assert far.stop() == 0


def greet(address):
    client = connect(address)
    client.sendall(b"hello")
    return client


def test_a_stop_resets_who_waits():
    """A client over max_sessions waits; if it still does when the relay stops it is reset, not ended
    as if it had been served."""
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", "tcp:127.0.0.1:0", target, "-o", "max_sessions=1") as relay:
            relay.ready()
            address = ("127.0.0.1", relay.port())
            with greet(address) as served:
                assert served.recv(5) == b"hello"
                with connect(address) as waiting:
                    waiting.settimeout(LATE)
                    with pytest.raises(TimeoutError):
                        waiting.recv(1)
                    waiting.settimeout(DEADLINE)
                    relay.process.send_signal(2)
                    with pytest.raises(ConnectionResetError):
                        waiting.recv(1)
            assert relay.wait() == 0


def test_who_waits_gets_a_turn():
    """At max_sessions, newcomers do not overtake those who wait on the same worker for ever. (Which
    worker is the first to see that there is room is a matter of chance.)"""
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", "tcp:127.0.0.1:0", target, "-o", "max_sessions=1",
                   "-o", "workers=1") as relay:
            relay.ready()
            address = ("127.0.0.1", relay.port())
            waiting = [greet(address) for _ in range(40)]
            early = set(waiting)
            for _ in range(200):
                served = select.select(waiting, [], [], DEADLINE)[0][0]
                assert served.recv(5) == b"hello"
                waiting.remove(served)
                early.discard(served)
                waiting.append(greet(address))
                served.close()
            assert not early
            for client in waiting:
                client.close()
            assert relay.stop() == 0


def test_stop_lets_sessions_end():
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", "tcp:127.0.0.1:0", target) as relay:
            relay.ready()
            with connect(("127.0.0.1", relay.port())) as client:
                client.sendall(b"one")
                assert client.recv(3) == b"one"
                relay.process.send_signal(2)
                relay.log.wait("no more clients")
                client.sendall(b"two")
                assert client.recv(3) == b"two"
                client.shutdown(socket.SHUT_WR)
                assert client.recv(1) == b""
            assert relay.wait() == 0


def test_reset_is_carried_over():
    def hang_up(client):
        client.recv(1)
        reset(client)

    with Server(hang_up) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", "tcp:127.0.0.1:0", target) as relay:
            relay.ready()
            with connect(("127.0.0.1", relay.port())) as client:
                client.sendall(b"x")
                with pytest.raises(ConnectionResetError):
                    client.recv(1)


# --- Hyper-V sockets ---


def to_vm(world, vm="", *settings):
    """A relay from TCP to port GUEST_PORT of a VM, which is the first one unless named."""
    world.write()
    vm = vm or world.vms[0][0]
    options = [word for setting in settings for word in ("-o", setting)]
    return Relay("forward", "tcp:127.0.0.1:0", f"hyperv:{vm}:{GUEST_PORT}", *options, world=world)


def test_tcp_to_hyperv(world):
    vm = world.add_vm()
    port = world.add_service(GUEST_PORT)
    with to_vm(world) as relay:
        relay.ready()
        address = ("127.0.0.1", relay.port())
        with Server(echo, vm[1], port):
            check_load(address)
        check_half_closes(lambda: connect(address), lambda serve: Server(serve, vm[1], port))
        assert relay.stop() == 0
        assert relay.log.having("closed early") == []


def test_hyperv_to_tcp(world):
    vm = world.add_vm()
    port = world.add_service(HOST_PORT)
    world.write()
    target = free_port()
    with Relay("forward", f"hyperv:any:{HOST_PORT}", f"tcp:127.0.0.1:{target}",
               world=world) as relay:
        relay.ready()
        with Server(echo, port=target):
            check_load((world.host, port), vm[1])
        check_half_closes(lambda: connect((world.host, port), vm[1]),
                          lambda serve: Server(serve, port=target))
        assert relay.stop() == 0
        assert relay.log.having("closed early") == []
        assert relay.log.having(f"hyperv:{vm[0]}:")  # the client, by its VM


# Every error of the table in the facts, as a connect meets it: the fault in the map, what the log
# must say of it besides the number.
CONNECT_ERRORS = {
    "refused": ("fault connect * * 10061", "nobody listens for that service"),
    "refused later": ("fault connect * * 10061 50", "nobody listens for that service"),
    "timeout": ("fault connect * * 10060 timeout", "no answer"),
    "denied": ("fault connect * * 10013", "Hyper-V Administrators"),
    "VM off": ("off {vm}", "is the VM running?"),
    "VM unreachable": ("fault connect * * 10051 20", "is it running?"),
    "VM reboots": ("fault connect * * 10050", "try again shortly"),
    "no provider": ("fault socket * * 10047", "no Hyper-V sockets"),
    "host slept": ("fault connect * * 10057 20", "restart the VM"),
}


@pytest.mark.parametrize("name", CONNECT_ERRORS)
def test_connect_error_says_what_to_do(world, name):
    fault, advice = CONNECT_ERRORS[name]
    vm = world.add_vm()
    world.add_service(GUEST_PORT)
    world.lines = [fault.format(vm=vm[0])]
    code = re.search(r"100\d\d", fault + " 10049").group()
    with to_vm(world, "", "connect_timeout=500ms") as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        line = relay.log.wait("cannot connect to 'hyperv:")
        assert advice in line
        assert f"WSA {code}" in line
        assert relay.stop() == 0


def test_vm_without_a_listener(world):
    """Nobody listens in a Windows guest: refused by the provider itself."""
    world.add_vm()
    world.add_service(GUEST_PORT)
    with to_vm(world) as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert "WSA 10061" in relay.log.wait("cannot connect to 'hyperv:")


def test_listening_to_an_unregistered_service(world):
    world.write()
    with Relay("forward", f"hyperv:any:{HOST_PORT}", "tcp:127.0.0.1:9", world=world) as relay:
        assert relay.wait() == 1
        line = relay.log.wait("cannot listen on 'hyperv:any:5001'")
        assert "WSA 10013" in line
        assert "hvrelay registry add" in line


@pytest.mark.parametrize("code", [10053, 10054])
def test_vm_gone_in_mid_stream(world, code):
    vm = world.add_vm()
    port = world.add_service(GUEST_PORT)
    with Server(echo, vm[1], port), to_vm(world) as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            client.sendall(b"alive")
            assert client.recv(5) == b"alive"
            world.lines = [f"fault stream {vm[0]} {service_id(GUEST_PORT)} {code}"]
            relay.change_world()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        relay.log.wait("session 1:")
        world.lines = []
        relay.change_world()
        check_echo(("127.0.0.1", relay.port()), 1000)  # the VM is back: no trace is left
        assert relay.stop() == 0


def echoes(address, source=None):
    """Is an echo server to be reached there by now?"""
    try:
        with connect(address, source) as client:
            client.sendall(b"hello")
            return client.recv(5) == b"hello"
    except ConnectionError:
        return False


def test_vm_by_name_is_found_again_under_a_new_id(world):
    world.add_vm("build box")
    port = world.add_service(GUEST_PORT)
    with to_vm(world, "name=build box") as relay:
        relay.ready()
        address = ("127.0.0.1", relay.port())
        with Server(echo, world.vms[0][1], port):
            check_echo(address, 1000)
        old = world.vms.pop()
        world.vms = [(str(uuid.uuid4()), world.address(200), old[2])]
        relay.change_world()
        time.sleep(LATE)  # until it may have been another one: the id is not asked for all the time
        with Server(echo, world.vms[0][1], port):
            check_echo(address, 1000)  # not one client is refused
        assert relay.stop() == 0


OPTIONS = {"container_passthru": 2, "connected_suspend": 4, "high_vtl": 8}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_hyperv(world, option):
    vm = world.add_vm()
    port = world.add_service(GUEST_PORT)
    with Server(echo, vm[1], port), to_vm(world, "", f"{option}=yes") as relay:
        relay.ready()
        check_echo(("127.0.0.1", relay.port()), 1000)
        for other in OPTIONS.values():
            assert bool(relay.log.having(f"option {other} = 1")) == (other == OPTIONS[option])
        assert relay.stop() == 0


def test_options_of_tcp(world):
    """Loopback needs no keepalive: so a listener on all addresses."""
    vm = world.add_vm()
    port = world.add_service(GUEST_PORT)
    world.write()
    with Server(echo, vm[1], port), \
            Relay("forward", "tcp:*:0", f"hyperv:{vm[0]}:{GUEST_PORT}", "-o", "keepalive=5s",
                  "-o", "user_timeout=7s", world=world) as relay:
        relay.ready()
        check_echo(("127.0.0.1", relay.port()), 1000)
        assert relay.log.having("keepalive 1 after 5000 ms, every 10000 ms: 0")
        assert relay.log.having("TCP option 5 = 7")  # TCP_MAXRT, in seconds
        assert relay.stop() == 0


def test_unknown_vm_name(world):
    world.add_vm("one")
    with to_vm(world, "name=other") as relay:
        relay.ready()
        with connect(("127.0.0.1", relay.port())) as client:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        relay.log.wait("no VM is called 'other'")


def test_listener_follows_its_vm_to_a_new_id(world):
    """Bound to one VM only, found by name, before that VM is there, and again after it has got
    another id. The map gives such a listener the address after its VM's."""
    def reach(vm):
        address = vm[1].rsplit(".", 1)
        return f"{address[0]}.{int(address[1]) + 1}", port

    def answers(vm):
        return echoes(reach(vm), vm[1])

    port = world.add_service(HOST_PORT)
    world.write()
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", f"hyperv:name=build box:{HOST_PORT}", target, world=world) as relay:
            relay.ready()
            relay.log.wait("waiting for it")
            first = world.add_vm("build box")
            relay.change_world()
            wait_for(lambda: answers(first), "the listener")
            world.vms = [(str(uuid.uuid4()), world.address(200), "build box")]
            relay.change_world()
            wait_for(lambda: answers(world.vms[0]), "the listener under its new id")
            assert not answers(first)
            assert relay.stop() == 0


# --- the names of partitions ---


WILDCARDS = {
    "any": "00000000-0000-0000-0000-000000000000",
    "children": "90db8b89-0d35-4f79-8ce9-49ea0ac8b7cd",
    "parent": "a42e7cda-d03f-480c-9cc2-a4de20abb878",
    "loopback": "e0e16197-dd56-4a10-9195-5ee7a155a838",
}
SILOHOST = "36bd0c5c-7276-4223-88ba-7d03b654c568"


@pytest.mark.parametrize("name", WILDCARDS)
def test_listening_on(world, name):
    """No bind but to the name's own GUID would succeed."""
    vm = world.add_vm()
    port = world.add_service(HOST_PORT)
    world.lines = [f"fault bind {guid} {service_id(HOST_PORT)} 10013"
                   for other, guid in WILDCARDS.items() if other != name]
    world.write()
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        with Relay("forward", f"hyperv:{name}:{HOST_PORT}", target, world=world) as relay:
            relay.ready()
            assert relay.out.having(f"listening forward hyperv:{name}:{HOST_PORT}")
            check_echo((world.host, port), 1 << 20, vm[1])
            assert relay.stop() == 0


@pytest.mark.parametrize("name, guid", [("parent", WILDCARDS["parent"]), ("silohost", SILOHOST),
                                        ("loopback", None)])
def test_connecting_to(world, name, guid):
    """Each is a partition of its own in the map, but for loopback, which is the program's."""
    if guid:
        world.vms.append((guid, world.address(100), ""))
    address = world.vms[0][1] if guid else world.host
    port = world.add_service(GUEST_PORT)
    with Server(echo, address, port), to_vm(world, name) as relay:
        relay.ready()
        check_echo(("127.0.0.1", relay.port()), 1 << 20)
        assert relay.stop() == 0
