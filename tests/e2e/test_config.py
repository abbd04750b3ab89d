"""Configuration files: check, run, and what a bad one must not do."""

import os

import pytest

from peers import ask, listen, refuses
from program import hvrelay

GOOD = """
# an example
[hvrelay]
log_level = debug
[defaults]
connect_timeout = 5s
[forward web]
listen = tcp:127.0.0.1:8080
connect = unix:/run/web.sock
idle_timeout = 90s
max_sessions = 7
[forward guest-ssh]
listen = unix:@ssh
connect = vsock:3:22
connect_retry = 2m
half_close_timeout = 1500ms
pump = copy
"""
BAD = """[hvrelay]
workers = many
[forward a]
listen = tcp:127.0.0.1:8080
conect = tcp:127.0.0.1:1
"""
DEFAULT = "/etc/hvrelay/hvrelay.conf"


def write(folder, text):
    path = os.path.join(folder, "test.conf")
    with open(path, "w") as file:
        file.write(text)
    return path


def test_check_tells_what_would_be_done(folder):
    expected = (
        "forward 'web': listens on tcp:127.0.0.1:8080 and connects each client to"
        " unix:/run/web.sock\n"
        "  pump auto, connect_timeout 5s, idle_timeout 90s, at most 7 sessions\n"
        "forward 'guest-ssh': listens on unix:@ssh and connects each client to vsock:3:22\n"
        "  pump copy, connect_timeout 5s, connect_retry 2m, half_close_timeout 1500ms\n"
    )
    for done in (
        hvrelay("check", "-c", write(folder, GOOD)),
        hvrelay("check", "-c", "-", input=GOOD),
    ):
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.mark.parametrize("command", ["check", "run"])
def test_all_mistakes_are_told_with_their_lines(folder, command):
    path = write(folder, BAD)
    done = hvrelay(command, "-c", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"hvrelay: {path}:2: workers: 'many' is not a number of threads from 1 to 256, or 'auto'",
        f"hvrelay: {path}:5: unknown key 'conect', did you mean 'connect'?",
        f"hvrelay: {path}:3: forward 'a' has no 'connect'",
    ]
    done = hvrelay(command, "-c", "-", input=BAD)
    assert done.returncode == 2
    assert "hvrelay: standard input:2: workers: " in done.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_not_there(command):
    done = hvrelay(command, "-c", "/no/such.conf")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "hvrelay: /no/such.conf: cannot open the configuration: No such file or directory\n"
    )


@pytest.mark.parametrize("command", ["check", "run"])
def test_without_c_the_usual_place_is_read(command):
    if os.path.exists(DEFAULT):
        pytest.skip(f"this machine has a {DEFAULT}")
    done = hvrelay(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hvrelay: {DEFAULT}: cannot open the configuration")


def test_a_folder_is_no_configuration(folder):
    done = hvrelay("check", "-c", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hvrelay: {folder}: ")


def test_a_bad_configuration_changes_nothing(folder):
    """A good forward beside a mistake is not even begun: not a file, not a port."""
    left = os.path.join(folder, "left.sock")
    listen(left).close()
    with listen() as somebody:
        port = somebody.getsockname()[1]
    text = f"""
[forward new]
listen = unix:{folder}/new.sock
connect = tcp:127.0.0.1:1
[forward stale]
listen = unix:{left}
connect = tcp:127.0.0.1:1
[forward port]
listen = tcp:127.0.0.1:{port}
connect = tcp:127.0.0.1:1
mistake = yes
"""
    before = os.lstat(left)
    assert hvrelay("run", "-c", "-", input=text).returncode == 2
    assert os.listdir(folder) == ["left.sock"]
    assert os.lstat(left).st_ino == before.st_ino
    assert refuses(("127.0.0.1", port))


def test_a_forward_that_cannot_listen_stops_the_start(folder):
    """What was opened before is given back."""
    text = f"""
[forward good]
listen = unix:{folder}/good.sock
connect = tcp:127.0.0.1:1
[forward bad]
listen = unix:{folder}/none/bad.sock
connect = tcp:127.0.0.1:1
"""
    done = hvrelay("run", "-c", "-", input=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"forward 'bad': cannot listen on 'unix:{folder}/none/bad.sock'" in done.stderr
    assert "the folder does not exist" in done.stderr
    assert os.listdir(folder) == []


def test_run_reads_a_file_or_standard_input(folder, relays, echo_server):
    text = f"[forward a]\nlisten = tcp:127.0.0.1:0\nconnect = {echo_server.endpoint}\n"
    from_file = relays.start("run", "-c", write(folder, text)).wait_ready()
    from_input = relays.run(text)
    assert ask(from_file.address("a")) == b"hello"
    assert ask(from_input.address("a")) == b"hello"


def test_the_log_level_is_obeyed(relays, echo_server):
    quiet = relays.forward("tcp:127.0.0.1:0", echo_server.endpoint, "log_level=error")
    assert ask(quiet.address()) == b"hello"
    assert quiet.stop() == 0
    assert quiet.log == []
