"""Names that the system's old code page has no characters for."""
import pytest

from harness import (GUEST_PORT, Relay, Server, check_echo, echo, hvrelay, wait_for, windows_path)

NAME = "Büro 東京"


@pytest.fixture(autouse=True)
def utf8(monkeypatch):
    """Wine takes its arguments in the charset of the locale."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def test_a_configuration_and_a_log(tmp_path):
    """The folder of a user called so: what is in it is read, written, and named in messages."""
    folder = tmp_path / NAME
    folder.mkdir()
    config, log = folder / "hvrelay.ini", folder / "hvrelay.log"
    with Server(echo) as server:
        config.write_text(f"[hvrelay]\nlog_file = {windows_path(log)}\n"
                          f"[forward web]\nlisten = tcp:127.0.0.1:0\n"
                          f"connect = tcp:127.0.0.1:{server.address[1]}\n", "utf-8")
        assert hvrelay("check", "-c", windows_path(config))[0] == 0
        with Relay("run", "-c", windows_path(config)) as relay:
            relay.ready()
            wait_for(lambda: log.exists() and "listening" in log.read_text(), "the log")
            check_echo(("127.0.0.1", relay.port("web")), 1000)
            assert relay.stop() == 0
    config.write_text("nonsense\n")
    code, text = hvrelay("check", "-c", windows_path(config))
    assert code == 2
    assert NAME in text


def test_a_vm_of_that_name(world):
    vm = world.add_vm(NAME)
    port = world.add_service(GUEST_PORT)
    world.write()
    with Server(echo, vm[1], port), \
            Relay("forward", "tcp:127.0.0.1:0", f"hyperv:name={NAME}:{GUEST_PORT}",
                  world=world) as relay:
        relay.ready()
        check_echo(("127.0.0.1", relay.port()), 1000)
        assert relay.stop() == 0
