"""The service from its making to its removal, by hand and by the MSI, under Wine."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import (Relay, Server, check_echo, check_many, connect, echo, hvrelay, wait_for,
                     windows_path, wine)

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def no_service():
    """Wine ends its services with the last program that is none: so there is one all the time."""
    with Relay("forward", "tcp:127.0.0.1:0", "tcp:127.0.0.1:9") as other:
        other.ready()
        assert hvrelay("service", "status")[1].startswith("not installed")
        yield
        hvrelay("service", "uninstall")
        other.stop()


def forward(name, target):
    return f"[forward {name}]\nlisten = tcp:127.0.0.1:0\nconnect = {target}\n"


def write_config(folder, *forwards):
    config = folder / "with space.ini"
    log = windows_path(config.with_suffix(".log"))
    config.write_text(f"[hvrelay]\nlog_file = {log}\n" + "".join(forwards))
    return config


def port_in(log):
    """The port of the first forward that was opened."""
    return int(re.search(r"listening on tcp:127.0.0.1:(\d+)", log.read_text())[1])


def test_service_relays(no_service, tmp_path):
    with Server(echo) as server:
        target = f"tcp:127.0.0.1:{server.address[1]}"
        config = write_config(tmp_path, forward("web", target))
        log = config.with_suffix(".log")
        assert hvrelay("service", "install", "-c", windows_path(config)) == (0, "")
        assert hvrelay("service", "start") == (0, "")
        assert hvrelay("service", "status")[1].startswith("running")
        address = ("127.0.0.1", port_in(log))
        check_echo(address, 10 << 20)
        check_many(address, 20, 100000)
        with connect(address) as client:
            write_config(tmp_path, forward("web", target), forward("more", target))
            assert hvrelay("service", "reload") == (0, "")
            wait_for(lambda: "reloaded" in log.read_text(), "the reload")
            client.sendall(b"old")
            assert client.recv(3) == b"old"
            check_echo(address, 1000)
        assert hvrelay("service", "stop") == (0, "")
        assert hvrelay("service", "status")[1].startswith("stopped\n")
        assert hvrelay("service", "uninstall") == (0, "")
        assert hvrelay("service", "status") == (0, "not installed\n")


def test_wrong_configuration_is_told(no_service, tmp_path):
    config = write_config(tmp_path, forward("web", "nonsense:1"))
    assert hvrelay("service", "install", "-c", windows_path(config)) == (0, "")
    code, text = hvrelay("service", "start")
    assert code == 1
    assert "ended as soon as it was started" in text
    assert hvrelay("service", "status")[1].startswith("stopped\n")  # no failure to be repeated


def test_service_run_is_not_for_people(tmp_path):
    code, text = hvrelay("service", "run", "-c", windows_path(tmp_path / "x.ini"))
    assert code == 1
    assert "hvrelay service start" in text


@pytest.fixture
def msi(tmp_path):
    if not shutil.which("wixl"):
        pytest.skip("no wixl: contrib/windows/deps installs it")
    made = subprocess.run([TOP / "contrib/windows/package", os.environ["HVRELAY_EXE"], "0.0.1",
                           tmp_path], capture_output=True, text=True, check=True).stdout.split()
    assert [pathlib.Path(name).suffix for name in made] == [".zip", ".msi"]
    yield made[1]
    wine("msiexec", "/x", made[1], "/qn")  # nothing is left where the test did not come so far


def test_msi(no_service, msi):
    installed = r"C:\Program Files\hvrelay\hvrelay.exe"
    assert wine("msiexec", "/i", msi, "/qn")[0] == 0
    assert hvrelay("--version", program=installed)[0] == 0
    code, status = hvrelay("service", "status")
    assert code == 0
    assert status.startswith("stopped\n")
    assert f'"{installed}" service run' in status
    assert wine("msiexec", "/x", msi, "/qn")[0] == 0
    assert hvrelay("service", "status") == (0, "not installed\n")
    assert wine(installed, "--version")[0] != 0
