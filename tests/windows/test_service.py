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


def test_a_folder_that_others_may_write_is_refused(no_service, tmp_path):
    """What everybody may change, the service, which may do everything, does not read."""
    config = write_config(tmp_path, forward("web", "tcp:127.0.0.1:9"))
    tmp_path.chmod(0o777)
    code, text = hvrelay("service", "install", "-c", windows_path(config))
    assert code == 1
    assert "may be changed by" in text and "icacls" in text
    assert hvrelay("service", "status") == NOT_INSTALLED
    tmp_path.chmod(0o755)
    assert hvrelay("service", "install", "-c", windows_path(config)) == (0, "")
    config.chmod(0o666)
    assert hvrelay("service", "start")[0] == 1
    assert hvrelay("service", "status")[1].startswith("stopped\n")
    config.chmod(0o644)
    assert hvrelay("service", "start") == (0, "")


def test_service_run_is_not_for_people(tmp_path):
    code, text = hvrelay("service", "run", "-c", windows_path(tmp_path / "x.ini"))
    assert code == 1
    assert "hvrelay service start" in text


INSTALLED = r"C:\Program Files\hvrelay\hvrelay.exe"
NOT_INSTALLED = (0, "not installed\n")


def msiexec(*words):
    code, text = wine("msiexec", *words, "/qn")
    assert code == 0, text


def package(folder, version):
    made = subprocess.run([TOP / "contrib/windows/package", os.environ["HVRELAY_EXE"], version,
                           folder], capture_output=True, text=True, check=True).stdout.split()
    assert [pathlib.Path(name).suffix for name in made] == [".zip", ".msi"]
    return made[1]


@pytest.fixture
def msi(tmp_path):
    if not shutil.which("wixl") or not shutil.which("msibuild"):
        pytest.skip("no wixl and msibuild: contrib/windows/deps installs them")
    made = package(tmp_path, "0.0.1")
    yield made
    wine("msiexec", "/x", made, "/qn")  # nothing is left where the test did not come so far


@pytest.fixture
def configured():
    """The configuration file that the MSI's service reads; it is nobody's but the user's."""
    folder = pathlib.Path(os.environ["WINE_RUN"].split()[-1]) / "pfx/drive_c/ProgramData/hvrelay"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "hvrelay.ini"
    config.write_text(forward("web", "tcp:127.0.0.1:9"))
    yield config
    config.unlink()


def status():
    code, text = hvrelay("service", "status")
    assert code == 0
    return text


def times_in_path(folder):
    code, text = wine("reg", "query", r"HKLM\System\CurrentControlSet\Control\Session Manager"
                      r"\Environment", "/v", "PATH")
    assert code == 0
    return text.count(folder)


def test_msi(no_service, msi):
    msiexec("/i", msi)
    assert hvrelay("--version", program=INSTALLED)[0] == 0
    assert status().startswith("stopped\n")
    assert f'"{INSTALLED}" service run' in status()
    assert times_in_path(r"C:\Program Files\hvrelay") == 1
    msiexec("/x", msi)
    assert hvrelay("service", "status") == NOT_INSTALLED
    assert wine(INSTALLED, "--version")[0] != 0
    assert times_in_path(r"C:\Program Files\hvrelay") == 0


def test_repair_leaves_the_service(no_service, msi, configured):
    """A repair stops it, for its program is replaced, and starts it again."""
    msiexec("/i", msi)
    assert hvrelay("service", "start") == (0, "")
    msiexec("/i", msi, "REINSTALL=ALL", "REINSTALLMODE=amus")  # what /fa does, which Wine lacks
    assert hvrelay("--version", program=INSTALLED)[0] == 0
    assert status().startswith("running")
    msiexec("/x", msi)
    assert hvrelay("service", "status") == NOT_INSTALLED
    assert configured.exists()


def test_upgrade_keeps_the_service(no_service, msi, configured, tmp_path):
    """The service of before runs on, with the new version's program."""
    msiexec("/i", msi)
    assert hvrelay("service", "start") == (0, "")
    newer = package(tmp_path, "0.0.2")
    try:
        msiexec("/i", newer)
        assert status().startswith("running")
    finally:
        wine("msiexec", "/x", newer, "/qn")
    assert hvrelay("service", "status") == NOT_INSTALLED
    assert configured.exists()
