"""The commands that tell and set what this host has, registry and vms; and that the program needs
nothing beside it."""
import os
import re
import subprocess

import pytest

from harness import (GUEST_PORT, Relay, Server, check_echo, echo, hvrelay, service_id)

PORT = 5123
GUID = "6f1a2b3c-0d4e-4f50-8a9b-0c1d2e3f4a5b"
NAMES = "hvrelay test port", "hvrelay test GUID"

# What every Windows has.
SYSTEM = {"advapi32", "dbghelp", "iphlpapi", "kernel32", "mswsock", "msvcrt", "ole32", "oleaut32",
          "psapi", "shell32", "user32", "userenv", "ws2_32"}


@pytest.fixture
def clean():
    yield
    for name in NAMES:
        hvrelay("registry", "remove", name)


def test_it_needs_no_dll_beside_it():
    headers = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", os.environ["HVRELAY_EXE"]],
                             capture_output=True, text=True, check=True).stdout
    names = {name.lower() for name in re.findall(r"DLL Name: (\S+)\.dll", headers, re.IGNORECASE)}
    assert {"kernel32", "ws2_32"} <= names
    assert names <= SYSTEM


# --- registry ---


def test_registry(clean):
    """Added by port and by GUID, listed, removed by port and by name."""
    assert hvrelay("registry", "add", PORT, NAMES[0]) == (0, "")
    assert hvrelay("registry", "add", GUID.upper(), NAMES[1]) == (0, "")
    code, text = hvrelay("registry", "list")
    assert code == 0
    assert f"{service_id(PORT)}  port {PORT}  {NAMES[0]}\n" in text
    assert f"{GUID}  {NAMES[1]}\n" in text
    assert hvrelay("registry", "remove", PORT) == (0, "")
    assert hvrelay("registry", "remove", NAMES[1].upper()) == (0, "")
    code, text = hvrelay("registry", "list")
    assert code == 0
    assert NAMES[0] not in text and NAMES[1] not in text


def test_what_is_not_registered_cannot_be_removed():
    code, text = hvrelay("registry", "remove", NAMES[0])
    assert code == 1
    assert NAMES[0] in text


@pytest.mark.parametrize("words", [
    [], ["list", "more"], ["add", PORT], ["add", "word", "name"], ["add", "4294967295", "name"],
    ["remove"], ["frobnicate"],
])
def test_registry_mistakes(words):
    code, text = hvrelay("registry", *words)
    assert code == 2
    assert "hvrelay:" in text


def test_a_registered_name_in_a_forward(world, clean):
    """It stands for its GUID, in both directions; an unknown one is a failure that names it."""
    vm = world.add_vm("build box")
    port = world.add_service(PORT)
    world.write()
    assert hvrelay("registry", "add", PORT, NAMES[0]) == (0, "")
    name = f"name={NAMES[0]}"
    with Server(echo, vm[1], port), \
            Relay("forward", "tcp:127.0.0.1:0", f"hyperv:name=build box:{name}",
                  world=world) as relay:
        relay.ready()
        check_echo(("127.0.0.1", relay.port()), 1 << 20)
        assert relay.stop() == 0
    with Server(echo) as server, \
            Relay("forward", f"hyperv:any:{name}", f"tcp:127.0.0.1:{server.address[1]}",
                  world=world) as relay:
        relay.ready()
        check_echo((world.host, port), 1 << 20, vm[1])
        assert relay.stop() == 0


def test_an_unknown_service_name(world):
    world.write()
    with Relay("forward", f"hyperv:any:name={NAMES[1]}", "tcp:127.0.0.1:9", world=world) as relay:
        assert relay.wait() in (1, 2)
        relay.log.wait(NAMES[1])


# --- VMs ---


def test_vms(world):
    on, off = world.add_vm("build box"), world.add_vm("old box")
    world.lines = [f"off {off[0]}"]
    world.write()
    with Relay("vms", world=world) as program:
        assert program.wait() == 0
        program.out.thread.join()
        assert program.out.lines == [
            f"{on[0]}  running  build box  hyperv:name=build box:PORT",
            f"{off[0]}  off      old box  hyperv:name=old box:PORT",
        ]


def test_what_vms_prints_can_be_used(world):
    vm = world.add_vm("build box")
    port = world.add_service(GUEST_PORT)
    world.write()
    with Relay("vms", world=world) as program:
        endpoint = program.out.wait("build box").split("  ")[-1].replace("PORT", str(GUEST_PORT))
        assert program.wait() == 0
    with Server(echo, vm[1], port), \
            Relay("forward", "tcp:127.0.0.1:0", endpoint, world=world) as relay:
        relay.ready()
        check_echo(("127.0.0.1", relay.port()), 1000)
        assert relay.stop() == 0


def test_no_vms(world):
    world.write()
    with Relay("vms", world=world) as program:
        assert program.wait() == 0
        assert "Hyper-V Administrators" in program.log.wait("no VMs")


def test_vms_without_hyper_v():
    code, text = hvrelay("vms")
    assert code == 1
    assert "hvrelay:" in text


def test_vms_mistakes():
    assert hvrelay("vms", "more")[0] == 2
