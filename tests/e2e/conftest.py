"""Fixtures: the program, servers behind it, and a folder for sockets."""

import os
import shutil
import tempfile

import pytest

from peers import Server, connect, echo
from program import HVRELAY, Relay
from service import Service

SKIPPED = 77  # tells ctest that nothing has run


def pytest_configure(config):
    if not os.access(HVRELAY, os.X_OK):
        raise pytest.UsageError("HVRELAY is to be the path of the program under test")


def pytest_sessionfinish(session, exitstatus):
    reports = session.config.pluginmanager.get_plugin("terminalreporter").stats
    if exitstatus == 0 and "passed" not in reports and "skipped" in reports:
        session.exitstatus = SKIPPED


class Relays:
    """Starts relays, and sees to it that they end."""

    def __init__(self):
        self._started = []

    def start(self, *arguments, **options):
        self._started.append(Relay(*arguments, **options))
        return self._started[-1]

    def forward(self, listen, connect, *settings, **options):
        """`hvrelay forward`, ready."""
        words = [word for setting in settings for word in ("-o", setting)]
        return self.start("forward", listen, connect, *words, **options).wait_ready()

    def run(self, text, **options):
        """`hvrelay run` with that configuration, ready."""
        return self.start("run", "-c", "-", text=text, **options).wait_ready()

    def finish(self):
        for relay in self._started:
            relay.finish()


@pytest.fixture
def relays(request):
    """Comes last down, after the peers: a session of theirs must not keep a relay waiting."""
    running = Relays()
    yield running
    running.finish()


@pytest.fixture
def servers(relays):
    """Starts servers: servers(serve, where)."""
    started = []

    def start(serve=echo, where=("127.0.0.1", 0)):
        started.append(Server(serve, where))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def echo_server(servers):
    return servers()


@pytest.fixture
def clients(relays):
    """Connects clients: clients(where)."""
    connected = []

    def start(where):
        connected.append(connect(where))
        return connected[-1]

    yield start
    for client in connected:
        client.close()


@pytest.fixture
def folder():
    """A folder whose path is short enough for sockets, and open to every user."""
    path = tempfile.mkdtemp(prefix="hvrelay-")
    os.chmod(path, 0o755)
    yield path
    os.chmod(path, 0o700)  # a test may have taken that away, and not be root's
    shutil.rmtree(path)


@pytest.fixture
def service(relays, folder):
    return Service(relays, folder)
