"""The command line: what each command says, and its exit code."""

import re

import pytest

from program import hvrelay

# Of selftest only the help: it uses VM sockets, and those are for guests only (tests/guest).
COMMANDS = ["run", "forward", "connect", "check", "reload", "guid", "selftest"]


def test_without_a_command_the_usage_is_an_error():
    done = hvrelay()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: hvrelay COMMAND")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(option):
    done = hvrelay(option)
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\w+", done.stdout, re.M)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("words", [["--help"], ["-h"], ["too", "many", "words", "--help"]])
def test_every_command_has_help(command, words):
    done = hvrelay(command, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: hvrelay {command} ")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_version():
    done = hvrelay("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"hvrelay \d+\.\d+\.\d+ \(libuv \d+\.\d+\.\d+\)\n", done.stdout)


@pytest.mark.parametrize(
    "words, message",
    [
        (["serve"], "unknown command 'serve'"),
        (["--what"], "unknown command '--what'"),
        (["run", "file"], "too many arguments: file"),
        (["run", "-c"], "no value after -c"),
        (["run", "-x", "y"], "unknown option -x"),
        (["run", "--config", "y"], "unknown option --config"),
        (["run", "-o", "workers=1"], "unknown option -o"),
        (["check", "file"], "too many arguments: file"),
        (["forward"], "too few arguments"),
        (["forward", "tcp:*:1"], "too few arguments"),
        (["forward", "tcp:*:1", "tcp:h:1", "tcp:h:2"], "too many arguments: tcp:h:2"),
        (["forward", "tcp:*:1", "tcp:h:1", "-o"], "no value after -o"),
        (["forward", "tcp:*:1", "tcp:h:1", *["-o", "workers=1"] * 33], "too many options"),
        (["connect"], "too few arguments"),
        (["connect", "-c", "file", "tcp:h:1"], "unknown option -c"),
        (["guid"], "too few arguments"),
        (["guid", "1", "2"], "too many arguments: 2"),
        (["guid", "-1"], "unknown option -1"),
    ],
)
def test_misuse(words, message):
    done = hvrelay(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"hvrelay: {message}")
    assert "usage: hvrelay" in done.stderr


@pytest.mark.parametrize(
    "words, messages",
    [
        (["forward", "here", "there"], ["'here' is not an endpoint", "'there' is not an endpoint"]),
        (["forward", "tcp:*:1", "tcp:*:1"], ["nobody can connect to '*'"]),
        (["forward", "tcp:*:1", "npipe:x"], ["cannot use 'npipe:x': named pipes exist on Windows"]),
        (["forward", "tcp:*:1", "tcp:h:1", "-o", "pump"], ["'pump' is not of the form KEY=VALUE"]),
        (["forward", "tcp:*:1", "tcp:h:1", "-o", "pumps=auto"], ["did you mean 'pump'?"]),
        (["connect", "tcp:h:0"], ["nobody can connect to port 0"]),
        (["connect", "tcp:h:1", "-o", "idle_timeout=9"], ["idle_timeout: '9' is not a time"]),
        (["connect", "stdio"], ["stdio"]),
    ],
)
def test_mistakes_in_arguments(words, messages):
    done = hvrelay(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    for message in messages:
        assert message in done.stderr
    assert all(line.startswith("hvrelay: arguments: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    "port, guid",
    [
        ("0", "00000000-facb-11e6-bd58-64006a7986d3"),
        ("22", "00000016-facb-11e6-bd58-64006a7986d3"),
        ("2761", "00000ac9-facb-11e6-bd58-64006a7986d3"),
        ("4294967295", "ffffffff-facb-11e6-bd58-64006a7986d3"),
    ],
)
def test_guid_translates_both_ways(port, guid):
    for given, expected in ((port, guid), (guid, port), ("{" + guid.upper() + "}", port)):
        done = hvrelay("guid", given)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected + "\n", "")


@pytest.mark.parametrize("text", ["", "ssh", "4294967296", "22 ", "00000016-facb-11e6-bd58"])
def test_guid_of_nonsense(text):
    done = hvrelay("guid", text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"hvrelay: '{text}' is neither a port nor a GUID\n"


def test_guid_off_the_template():
    done = hvrelay("guid", "01234567-89ab-cdef-0123-456789abcdef")
    assert (done.returncode, done.stdout) == (1, "")
    assert "stands for no vsock port" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["guid", "22"]])
def test_an_answer_that_nobody_gets_is_a_failure(words):
    with open("/dev/full", "w") as full:
        assert hvrelay(*words, stdout=full).returncode == 1
