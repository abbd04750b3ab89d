"""Standard input and output as the target of a forward's one client."""

from peers import connect, read_to_end, send_and_end


def test_nothing_but_the_bytes_passes(relays, folder):
    """No ready line stands among them."""
    path = f"{folder}/a.sock"
    relay = relays.start("forward", f"unix:{path}", "stdio", text="down")
    relay.wait_log("listening on")
    with connect(path) as client:
        assert read_to_end(client) == b"down"
        send_and_end(client, b"up")
        assert relay.wait_output_end() == ["up"]
