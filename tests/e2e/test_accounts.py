"""What is opened is given back, also where something failed on the way."""

from deadline import eventually
from peers import ask, refuses
from program import hvrelay


def test_reloads_cost_no_descriptor(relays, folder, echo_server):
    """Neither one that changes something, nor one that fails before or amid its work."""
    path = f"{folder}/hvrelay.conf"

    def reload(*listens, more="", code=0):
        with open(path, "w") as file:
            file.write(f"[hvrelay]\ncontrol = unix:{folder}/control.sock\n")
            for number, listen in enumerate(listens):
                file.write(f"[forward f{number}]\nlisten = {listen}\n")
                file.write(f"connect = {echo_server.endpoint}\n")
            file.write(more)
        if relay:
            assert hvrelay("reload", "-c", path).returncode == code

    def what_is_open():
        return sorted(kind.split(":")[0] for kind in relay.descriptors().values())

    first, second = f"unix:{folder}/a.sock", f"unix:{folder}/b.sock"
    relay = None
    reload(first)
    relay = relays.start("run", "-c", path).wait_ready()
    relay.expect("reload: ")
    reload(first)
    before = what_is_open()
    for _ in range(8):
        reload(first, second, "tcp:127.0.0.1:0")
        assert ask(f"{folder}/b.sock") == b"hello"
        reload(first, more="mistake = yes\n", code=2)
        reload(first, second, f"unix:{folder}/none/c.sock", code=1)
        reload(first)
        assert refuses(f"{folder}/b.sock")
    eventually(lambda: what_is_open() == before, f"{before}, but {what_is_open()}")
    assert ask(f"{folder}/a.sock") == b"hello"
