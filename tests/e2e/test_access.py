"""Who may come in, how many, and how fast."""

import grp
import os
import pwd
import time

import pytest

from deadline import PATIENCE, eventually
from peers import (
    accept,
    ask,
    connect,
    endpoint_of,
    exchange,
    is_turned_away,
    listen,
    payload,
    read_exactly,
)
from program import hvrelay


@pytest.mark.parametrize(
    "rules, allowed",
    [
        (["allow=127.0.0.0/8"], True),
        (["allow=10.0.0.0/8"], False),
        (["deny=127.0.0.1"], False),
        (["deny=127.0.0.2"], True),
        (["deny=127.0.0.1", "allow=all"], False),
        (["allow=127.0.0.1", "deny=all"], True),
        (["deny=::ffff:127.0.0.1"], False),
        (["allow=::ffff:127.0.0.0/104"], True),
        (["allow=::1", "allow=10.0.0.1"], False),
    ],
)
@pytest.mark.parametrize("listening", ["127.0.0.1", "*"])
def test_rules_for_addresses(relays, echo_server, listening, rules, allowed):
    """On a dual-stack socket, too, an IPv4 client is one."""
    relay = relays.forward(f"tcp:{listening}:0", echo_server.endpoint, *rules)
    relay.expect(r"'tcp:\*:0' is open to the network")
    where = ("127.0.0.1", relay.address()[1])
    if allowed:
        assert ask(where) == b"hello"
    else:
        assert is_turned_away(where)
        relay.wait_log(r"warning: forward 'forward': tcp:127\.0\.0\.1:\d+: denied by its access ru")
        assert echo_server.served == 0


@pytest.mark.parametrize(
    "listening, rules, is_open",
    [
        ("tcp:*:0", [], True),
        ("tcp:0.0.0.0:0", [], True),
        ("tcp:*:0", ["deny=10.0.0.0/8"], True),
        ("tcp:*:0", ["allow=10.0.0.0/8"], False),
        ("tcp:*:0", ["allow=all"], False),
        ("tcp:127.0.0.1:0", [], False),
        ("tcp:127.0.0.2:0", [], False),
        ("tcp:[::1]:0", [], False),
        ("tcp:localhost:0", [], False),
        ("unix:{folder}/a.sock", [], False),
    ],
)
def test_a_forward_that_is_open_to_the_network(relays, folder, listening, rules, is_open):
    relay = relays.forward(listening.format(folder=folder), "unix:@nobody", *rules)
    relay.expect("is open to the network")
    assert relay.stop() == 0
    warnings = [line for line in relay.log if "warning: " in line]
    assert len(warnings) == is_open
    assert all("is open to the network: say with 'allow' who may come" in line for line in warnings)


@pytest.mark.parametrize("rule, allowed", [("user={me}", True), ("user={other}", False)])
def test_rules_for_users(relays, echo_server, folder, rule, allowed):
    me = os.geteuid()
    rule = rule.format(me=me, other=me + 1)
    relay = relays.forward(f"unix:{folder}/a.sock", echo_server.endpoint, f"allow={rule}")
    with connect(f"{folder}/a.sock") as client:
        assert (exchange_or_nothing(client) == b"hello") == allowed
    if not allowed:
        relay.wait_log(f"unix:uid={me},pid=.*: denied by its access rules")
    assert echo_server.served == int(allowed)


@pytest.mark.parametrize("rule, reason", [
    ("deny=cid=3", "deny: a client of 'tcp:127.0.0.1:0' has no CID: the rule can never match"),
    ("allow=user=0", "allow: a client of 'tcp:127.0.0.1:0' has no user: the rule can never match"),
    ("allow=::1", "none of its 'allow' rules can match a client of 'tcp:127.0.0.1:0': nobody could"),
])
def test_a_rule_that_can_never_match(rule, reason):
    done = hvrelay("forward", "tcp:127.0.0.1:0", "unix:@nobody", "-o", rule)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


@pytest.mark.parametrize("key", ["socket_mode=0600", "socket_owner=root"])
def test_an_abstract_name_has_no_mode(folder, key):
    done = hvrelay("forward", f"unix:@{folder}", "unix:@nobody", "-o", key)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no file, and any user may connect to it" in done.stderr


WHO = ["daemon:bin", "games:games", "games:bin"]  # user:group, as which a client comes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
@pytest.mark.parametrize(
    "rules, allowed",
    [
        (["allow=user=daemon"], WHO[:1]),
        (["deny=user=daemon"], WHO[1:]),
        (["allow=group=games"], WHO[1:2]),
        (["deny=group=games"], [WHO[0], WHO[2]]),
        (["deny=user=games", "allow=group=bin"], WHO[:1]),
        (["allow=group=games", "deny=user=games", "allow=all"], WHO[:2]),
    ],
)
def test_users_and_groups_by_name(relays, echo_server, folder, rules, allowed):
    """A group is the one a client runs with: what else it is a member of does not count."""
    path = f"{folder}/a.sock"
    relay = relays.forward(f"unix:{path}", echo_server.endpoint, "socket_mode=0666", *rules)
    for who in WHO:
        user, group = pwd.getpwnam(who.split(":")[0]), grp.getgrnam(who.split(":")[1])
        done = hvrelay("connect", f"unix:{path}", input="hello", user=user.pw_uid,
                       group=group.gr_gid, extra_groups=[grp.getgrnam("games").gr_gid])
        assert done.stdout == ("hello" if who in allowed else ""), who
    assert echo_server.served == len(allowed)
    denied = pwd.getpwnam(next(who for who in WHO if who not in allowed).split(":")[0])
    relay.wait_log(f"forward 'forward': unix:uid={denied.pw_uid},pid=.*: denied by its access rules")
    relay.expect("a client was denied 1 more times")


def exchange_or_nothing(client):
    try:
        return exchange(client, b"hello")
    except ConnectionResetError:
        return b""


def test_denials_do_not_fill_the_log(relays, echo_server):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, "deny=all").expect("denied")
    for _ in range(100):
        assert is_turned_away(relay.address())
    assert relay.stop() == 0
    assert sum("denied by its access rules" in line for line in relay.log) == 1
    assert any("forward 'forward': a client was denied 99 more times" in line for line in relay.log)


@pytest.mark.parametrize("limit", ["max_sessions=2", "max_pending=2"])
def test_at_a_limit_clients_may_be_refused(relays, limit):
    """on_limit = refuse: they can turn to another server at once."""
    with listen() as target:
        if limit.startswith("max_pending"):
            endpoint = "unix:@hvrelay.test.nobody.%d" % os.getpid()
        else:
            endpoint = endpoint_of(target)
        relay = relays.forward(
            "tcp:127.0.0.1:0", endpoint, limit, "on_limit=refuse", "connect_retry=1h", "workers=1"
        )
        with connect(relay.address()), connect(relay.address()):
            eventually(lambda: is_turned_away(relay.address()), "the limit")
            relay.wait_log("turned away, a limit is reached")
            relay.expect("a session was refused 1 more times")
            relay.signal(15)
            relay.signal(2)
            assert relay.wait() == 0


def test_a_limit_over_all_forwards(relays, servers, clients):
    server = servers()
    relay = relays.run(
        "[hvrelay]\nmax_sessions = 3\n"
        f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {server.endpoint}\n"
        f"[forward b]\nlisten = tcp:127.0.0.1:0\nconnect = {server.endpoint}\n"
    )
    inside = [clients(relay.address(name)) for name in "aba"]
    for client in inside:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    waiting = clients(relay.address("b"))
    waiting.sendall(b"y")
    time.sleep(0.2)
    assert server.served == 3
    inside[0].close()
    assert read_exactly(waiting, 1) == b"y"


def test_a_limit_of_each_forward(relays, servers, clients):
    """One that is full is in nobody else's way."""
    server = servers()
    relay = relays.run("".join(
        f"[forward {name}]\nlisten = tcp:127.0.0.1:0\nconnect = {server.endpoint}\n"
        "max_sessions = 1\n" for name in "ab"
    )).expect("nobody listens there")  # for the last one, at the end
    for name in "ab":
        client = clients(relay.address(name))
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    clients(relay.address("a")).sendall(b"y")
    time.sleep(0.2)
    assert server.served == 2


@pytest.mark.parametrize("pump", ["auto", "splice", "copy", "stream"])
@pytest.mark.parametrize("key", ["rate_limit", "session_rate_limit"])
def test_a_rate_loses_nothing(relays, echo_server, pump, key):
    relay = relays.forward(
        "tcp:127.0.0.1:0", echo_server.endpoint, f"{key}=4MiB/s", f"pump={pump}", "workers=1"
    )
    data = payload(1 << 20)
    assert ask(relay.address(), data) == data
    relay.wait_log("session 1: .*: done after")


def test_a_rate_of_clients_loses_nobody(relays, echo_server):
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, "accept_rate=100", "workers=2")
    clients = [connect(relay.address()) for _ in range(30)]
    for client in clients:
        with client:
            assert exchange(client, b"hello") == b"hello"


def test_a_rate_lets_clients_in_though_nobody_leaves(relays, echo_server, clients):
    """The next one has its turn after a tenth of a second, whether or not a session ends meanwhile."""
    relay = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, "accept_rate=10", "workers=2")
    for client in [clients(relay.address()) for _ in range(8)]:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


def test_session_timeout_ends_busy_sessions_too(relays):
    with listen() as target:
        relay = relays.forward("tcp:127.0.0.1:0", endpoint_of(target), "session_timeout=300ms")
        with connect(relay.address()) as client, accept(target) as server:
            client.settimeout(PATIENCE)
            with pytest.raises(ConnectionError):
                while True:
                    client.sendall(b"busy")
                    assert server.recv(4), "an end, not a reset"
    relay.wait_log("session 1: .*: broken after .*: session_timeout")
