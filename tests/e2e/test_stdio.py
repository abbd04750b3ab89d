"""One stream, standard input and output or a descriptor, beside what the program does else."""

import socket
import time

from peers import ask, connect, exchange, read_to_end, send_and_end


def test_nothing_but_the_bytes_passes(relays, folder):
    """No ready line stands among them."""
    path = f"{folder}/a.sock"
    relay = relays.start("forward", f"unix:{path}", "stdio", text="down")
    relay.wait_log("listening on")
    with connect(path) as client:
        assert read_to_end(client) == b"down"
        send_and_end(client, b"up")
        assert relay.wait_output_end() == ["up"]


def test_a_forward_beside_it_goes_on(relays, folder, echo_server):
    """The end of the one stream is not the program's where others listen."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        text = f"[forward single]\nlisten = fd:{theirs.fileno()}\n"
        text += f"connect = {echo_server.endpoint}\n"
        text += f"[forward many]\nlisten = unix:{folder}/many.sock\n"
        text += f"connect = {echo_server.endpoint}\n"
        relay = relays.run(text, pass_fds=[theirs.fileno()])
        theirs.close()
        assert exchange(ours, b"hello") == b"hello"
    relay.wait_log("forward 'single' session 1: .* done")
    time.sleep(0.2)
    assert ask(f"{folder}/many.sock") == b"hello"
