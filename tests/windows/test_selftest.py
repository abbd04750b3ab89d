"""`hvrelay selftest`, on a machine without Hyper-V sockets and in the emulator of them."""
import re

from harness import Relay, hvrelay, service_id

PORT = 5000
CHECKS = ["listen", "echo", "many", "bulk", "half-close", "refusal"]


def results(lines):
    """Check name -> ok or FAILED."""
    rows = (re.match(r"([\w-]+) +(ok|FAILED) +[\d.]+ ms", line) for line in lines)
    return {row[1]: row[2] for row in rows if row}


def run(world):
    world.write()
    with Relay("selftest", str(PORT), world=world) as program:
        return program.wait(), program.out, program.log


def test_all_is_well(world):
    world.add_service(PORT)
    world.add_service(PORT + 1)
    code, out, log = run(world)
    out.wait("All checks passed.")
    assert results(out.lines) == dict.fromkeys(CHECKS, "ok")
    assert out.having("program     hvrelay")[0] and out.having("system      ")[0]
    assert "WSA 10061" in out.wait("refusal")
    assert code == 0
    assert log.having("VIOLATION") == []


def test_a_fault_is_told(world):
    """Everything but the refusal works on a socket that nothing can connect to."""
    world.add_service(PORT)
    world.add_service(PORT + 1)
    world.lines = [f"fault connect * {service_id(PORT)} 10013"]
    code, out, _ = run(world)
    out.wait("4 of 6 checks failed.")
    found = results(out.lines)
    assert [name for name in CHECKS if found[name] == "ok"] == ["listen", "refusal"]
    assert "WSA 10013" in out.wait("echo")
    assert code == 1


def test_unregistered(world):
    code, out, _ = run(world)
    assert "WSA 10013" in out.wait("listen      FAILED")
    out.wait("Nothing else was tried.")
    assert code == 1


def test_without_such_sockets():
    code, text = hvrelay("selftest")
    assert code == 1
    assert "WSA 10047" in text
    assert "This machine has no such sockets" in text


def test_usage():
    assert hvrelay("selftest", "zero")[0] == 2
    assert hvrelay("selftest", "0")[0] == 2
