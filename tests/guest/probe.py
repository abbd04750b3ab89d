#!/usr/bin/python3
"""Small AF_VSOCK programs that the harness's own tests run inside guests.

probe.py echo                 exchanges bytes inside the guest: vsock loopback (CID 1), IPv4, IPv6
probe.py serve PORT           serves `exchange` and `hold` until it is killed
probe.py exchange CID PORT N  N random bytes each way at the same time; prints both checksums
probe.py hold CID PORT        connects, prints `connected`, then how the connection ends
"""

import hashlib
import os
import select
import socket
import struct
import sys
import threading
import time

import inside

DEADLINE = 30  # seconds; only stops what hangs
ANY_PORT = 0xFFFFFFFF
LOCAL = 1  # VMADDR_CID_LOCAL, which Python 3.11 does not name


def listen(port):
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((socket.VMADDR_CID_ANY, port))
    listener.listen(16)
    return listener


def connect(cid, port):
    """Tries until the other guest is there and listens."""
    end = time.monotonic() + DEADLINE
    while True:
        client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        client.settimeout(DEADLINE)
        try:
            client.connect((cid, port))
            return client
        except OSError as error:
            client.close()
            if time.monotonic() > end:
                raise error
            time.sleep(0.05)


def receive(stream, count):
    data = bytearray()
    while len(data) < count:
        part = stream.recv(min(65536, count - len(data)))
        if not part:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += part
    return bytes(data)


def exchange(stream, count):
    """Sends and receives `count` bytes at the same time. Both checksums."""
    sent = os.urandom(count)
    sender = threading.Thread(target=stream.sendall, args=(sent,))
    sender.start()
    received = receive(stream, count)
    sender.join()
    return hashlib.sha256(sent).hexdigest(), hashlib.sha256(received).hexdigest()


def serve_one(stream):
    """The client's first 8 bytes say how much to exchange; 0: hold the connection."""
    try:
        (count,) = struct.unpack("!Q", receive(stream, 8))
        if count:
            print("served", *exchange(stream, count), flush=True)
        else:
            stream.recv(1)
    except OSError as error:
        print("connection lost:", error, flush=True)
    stream.close()


def serve(port):
    listener = listen(int(port))
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=serve_one, args=(stream,)).start()


def run_exchange(cid, port, count):
    stream = connect(int(cid), int(port))
    stream.sendall(struct.pack("!Q", int(count)))
    print("exchanged", *exchange(stream, int(count)), flush=True)


def hold(cid, port):
    stream = connect(int(cid), int(port))
    stream.sendall(struct.pack("!Q", 0))
    stream.settimeout(None)
    print("connected", flush=True)
    poll = select.poll()
    poll.register(stream, select.POLLIN | select.POLLRDHUP)
    if not poll.poll(DEADLINE * 1000):
        sys.exit("nothing happened")
    error = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    print("SO_ERROR", os.strerror(error), flush=True)
    try:
        print("read", len(stream.recv(1)), flush=True)
    except OSError as read_error:
        print("read", read_error.strerror, flush=True)


def echo_over(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        with socket.socket(family, socket.SOCK_STREAM) as client:
            target = LOCAL if family == socket.AF_VSOCK else address[0]
            client.connect((target, listener.getsockname()[1]))
            stream, _ = listener.accept()
            with stream:
                client.sendall(b"to and fro")
                stream.sendall(receive(stream, 10))
                print(family.name, "echoed", receive(client, 10).decode(), flush=True)


def echo():
    echo_over(socket.AF_VSOCK, (socket.VMADDR_CID_ANY, ANY_PORT))
    echo_over(socket.AF_INET, ("127.0.0.1", 0))
    echo_over(socket.AF_INET6, ("::1", 0))


if __name__ == "__main__":
    inside.require()
    commands = {"echo": echo, "serve": serve, "exchange": run_exchange, "hold": hold}
    commands[sys.argv[1]](*sys.argv[2:])
