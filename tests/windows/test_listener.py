"""Listeners on Hyper-V sockets that lose their VM, or the provider, for a while."""
import time

from harness import HOST_PORT, Relay, Server, check_echo, connect, echo, service_id, wait_for

AWAY = 12  # seconds: longer than several attempts to listen anew


def fault(operation, code, delay=""):
    return f"fault {operation} * {service_id(HOST_PORT)} {code} {delay}"


def serving(world, server):
    """A relay from a Hyper-V listener to the server; one worker: what is counted is of one."""
    vm = world.add_vm()
    port = world.add_service(HOST_PORT)
    world.write()
    target = f"tcp:127.0.0.1:{server.address[1]}"
    relay = Relay("forward", f"hyperv:any:{HOST_PORT}", target, world=world)
    return relay, (world.host, port), vm[1]


def answers(address, source):
    """True if an echo comes back, False if there is nobody or the client is turned away."""
    try:
        with connect(address, source) as client:
            client.settimeout(2)
            client.sendall(b"x")
            return client.recv(1) == b"x"
    except OSError:
        return False


def test_a_vm_that_is_away_for_long(world):
    """Accepting fails, and so does every attempt to listen anew, many times in a row: once the VM
    is back, clients are served, and the log has one line for each change."""
    with Server(echo) as server:
        relay, address, source = serving(world, server)
        with relay:
            relay.ready()
            check_echo(address, 1000, source)
            world.lines = [fault("accept", 10022), fault("bind", 10050)]
            relay.change_world()
            # Each pending accept takes one client more; the next one is started and fails.
            wait_for(lambda: not answers(address, source), "the loss of the listener")
            relay.log.wait("cannot listen anew")
            time.sleep(AWAY)
            assert len(relay.log.having("cannot listen anew")) == 1
            assert relay.log.having("network is down")
            assert not relay.log.having("listening anew on")
            world.lines = []
            relay.change_world()
            wait_for(lambda: answers(address, source), "the listener")
            check_echo(address, 1 << 20, source)
            assert len(relay.log.having("listening anew on")) == 1
            assert relay.stop() == 0


def test_a_network_that_is_down_for_a_moment(world):
    """10050 passes: the listening socket, which has nothing, is not closed."""
    with Server(echo) as server:
        relay, address, source = serving(world, server)
        with relay:
            relay.ready()
            world.lines = [fault("accept", 10050)]
            relay.change_world()
            while not relay.log.having("cannot accept for now"):
                answers(address, source)
            world.lines = []
            relay.change_world()
            check_echo(address, 1 << 20, source)
            assert not relay.log.having("anew")
            assert relay.stop() == 0


def test_accepts_that_fail_for_ever_do_not_spin(world):
    """Every accept ends with an error soon after it was started. Between the rounds is a pause, so
    a second has few of them; in the end the socket is opened anew. Meanwhile it says so."""
    with Server(echo) as server:
        relay, address, source = serving(world, server)
        with relay:
            relay.ready()
            world.lines = [fault("accept", 10054, 1)]
            relay.change_world()
            while not relay.log.having("AcceptEx fails"):
                answers(address, source)
            relay.log.wait("cannot accept for now")
            before = len(relay.log.having("AcceptEx fails"))
            started = time.monotonic()
            time.sleep(3)
            rate = (len(relay.log.having("AcceptEx fails")) - before) / (time.monotonic() - started)
            assert rate < 1000, "accepts are started without a pause"
            relay.log.wait("listening anew on")
            world.lines = []
            relay.change_world()
            wait_for(lambda: answers(address, source), "the listener")
            assert relay.stop() == 0
