"""Clients and servers at the ends of the relay. All their waits have a deadline."""

import os
import random
import socket
import struct
import threading

from deadline import PATIENCE


def payload(size, seed=1):
    return random.Random(seed).randbytes(size)


def listen(where=("127.0.0.1", 0)):
    """A listening socket: TCP for a pair, unix for a path (abstract with '@' in front)."""
    if isinstance(where, tuple):
        family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        where = name_of(where)
    listener.bind(where)
    listener.listen(1024)
    listener.settimeout(PATIENCE)
    return listener


def name_of(path):
    return "\0" + path[1:] if str(path).startswith("@") else str(path)


def endpoint_of(listener):
    """The endpoint that reaches a listening socket."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        text = os.fsdecode(name)
        return "unix:" + ("@" + text[1:] if text.startswith("\0") else text)
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"tcp:{host}:{name[1]}"


def connect(where, source=None):
    """`source`: the address that a TCP client comes from."""
    if isinstance(where, tuple):
        return socket.create_connection(where, PATIENCE, source and (source, 0))
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    client.connect(name_of(where))
    return client


def accept(listener):
    stream, _ = listener.accept()
    stream.settimeout(PATIENCE)
    return stream


def tcp_pair():
    """Two ends of a connection."""
    with listen() as listener:
        return connect(listener.getsockname()), accept(listener)


def read_to_end(stream):
    pieces = []
    while piece := stream.recv(1 << 18):
        pieces.append(piece)
    return b"".join(pieces)


def read_exactly(stream, size):
    data = bytearray()
    while len(data) < size:
        piece = stream.recv(size - len(data))
        assert piece, f"only {len(data)} of {size} bytes before the end"
        data += piece
    return bytes(data)


def send_and_end(stream, data):
    try:
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # whoever reads from the stream learns it too


def exchange(stream, data):
    """Sends all, ends the write half, and returns all that comes back until the end."""
    writer = threading.Thread(target=send_and_end, args=(stream, data))
    writer.start()
    answer = read_to_end(stream)
    writer.join()
    return answer


def ask(where, data=b"hello"):
    """One whole session."""
    with connect(where) as client:
        return exchange(client, data)


def is_reset(stream):
    """True where the stream ends in a reset, False where it ends in order."""
    try:
        read_to_end(stream)
    except ConnectionResetError:
        return True
    return False


def is_turned_away(where, source=None):
    """True where a client is reset, at once or later, False where it ends in order."""
    try:
        with connect(where, source) as client:
            return is_reset(client)
    except ConnectionResetError:
        return True


def reset(stream):
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def refuses(where):
    try:
        connect(where).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except ConnectionResetError:
        pass  # it was in the queue as the socket was closed
    return False


def echo(stream):
    while piece := stream.recv(1 << 18):
        stream.sendall(piece)


def answer_longer(stream):
    """The answer is the request and three more bytes, so that up is not down."""
    stream.sendall(read_to_end(stream) + b"...")


class Server:
    """Serves each client in a thread of its own until the test ends: `serve(stream)`."""

    def __init__(self, serve=echo, where=("127.0.0.1", 0)):
        self.serve = serve
        self.listener = listen(where)
        self.endpoint = endpoint_of(self.listener)
        self.port = self.listener.getsockname()[1] if isinstance(where, tuple) else None
        self.served = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        self.listener.settimeout(None)
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return  # closed
            self.served += 1
            self._threads.append(threading.Thread(target=self._run, args=(stream,), daemon=True))
            self._threads[-1].start()

    def _run(self, stream):
        stream.settimeout(PATIENCE)
        with stream:
            try:
                self.serve(stream)
                stream.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the client is gone

    def close(self):
        """Waits for the sessions to end."""
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)
