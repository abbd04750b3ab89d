#!/usr/bin/python3
"""TCP programs for the ends of a relay, on 127.0.0.1 of a guest.

stream.py serve FILE        a server; writes its port into FILE when it listens
stream.py echo PORT COUNT   sends COUNT random bytes, ends its half, reads them back to the end
stream.py read PORT         reads what never ends: prints `flowing`, then how it ended all the same
stream.py write PORT        writes without an end, likewise

`read` and `write` end with one line: `end BYTES` (as if all were well) or `reset BYTES`.
"""

import hashlib
import os
import socket
import sys
import threading

BLOCK = 65536
FLOWING = 8 << 20  # bytes: more than all buffers on the way can hold


def blocks(stream):
    while block := stream.recv(BLOCK):
        yield block


def serve_echo(stream):
    for block in blocks(stream):
        stream.sendall(block)
    stream.shutdown(socket.SHUT_WR)


def serve_source(stream):
    block = os.urandom(BLOCK)
    while True:
        stream.sendall(block)


def serve_sink(stream):
    for _ in blocks(stream):
        pass


SERVICES = {b"e": serve_echo, b"r": serve_source, b"w": serve_sink}


def serve_one(stream):
    """The first byte asks for a service."""
    with stream:
        try:
            SERVICES[stream.recv(1)](stream)
        except (OSError, KeyError):
            pass  # the client went away; what it saw is what the test is about


def serve(file):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    with open(file + ".new", "w", encoding="ascii") as port:
        print(listener.getsockname()[1], file=port)
    os.rename(file + ".new", file)
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve_one, args=(stream,), daemon=True).start()


def connect(port, service):
    stream = socket.create_connection(("127.0.0.1", int(port)))
    stream.sendall(service)
    return stream


def echo(port, count):
    sent = os.urandom(int(count))
    stream = connect(port, b"e")
    digest = hashlib.sha256()
    received = 0

    def send():
        try:
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # then not all of it comes back

    sender = threading.Thread(target=send)
    sender.start()
    for block in blocks(stream):
        digest.update(block)
        received += len(block)
    sender.join()
    if digest.digest() != hashlib.sha256(sent).digest():
        sys.exit(f"{received} bytes came back for {len(sent)}, or others")
    print("echoed", received)


def endless(move):
    """Calls move(), which returns a count of bytes, until there are no more."""
    total = 0
    flowing = False
    try:
        while count := move():
            total += count
            if total >= FLOWING and not flowing:
                flowing = True
                print("flowing", flush=True)
        print("end", total, flush=True)
    except (ConnectionResetError, BrokenPipeError):
        print("reset", total, flush=True)


def read(port):
    stream = connect(port, b"r")
    endless(lambda: len(stream.recv(BLOCK)))


def write(port):
    stream = connect(port, b"w")
    block = os.urandom(BLOCK)
    endless(lambda: stream.send(block))


if __name__ == "__main__":
    commands = {"serve": serve, "echo": echo, "read": read, "write": write}
    commands[sys.argv[1]](*sys.argv[2:])
