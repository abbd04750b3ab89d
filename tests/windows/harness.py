"""Runs hvrelay.exe under Wine, on its own or inside the emulator of Hyper-V sockets.

The environment names what CMake has built: HVRELAY_EXE, EMULATOR (the folder of hvrun.exe and
hvemu.dll) and WINE_RUN (the words of a command that runs a Windows program).
"""
import hashlib
import os
import random
import shlex
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import uuid

DEADLINE = 60  # seconds after which a test that waits has failed
LATE = 0.3  # seconds until an answer that a relay may not think has been forgotten
MEGABYTE = 1 << 20
BLOCK = os.urandom(1 << 16)
GUEST_PORT, HOST_PORT = 5000, 5001  # of services in the emulator


def service_id(port):
    """The service GUID of a vsock port, by Microsoft's template."""
    return f"{port:08x}-facb-11e6-bd58-64006a7986d3"


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


def wine(*words):
    """Exit code and output. A file takes that: the installer's own service holds on to a pipe."""
    with tempfile.TemporaryFile() as out:
        code = subprocess.run(shlex.split(os.environ["WINE_RUN"]) + [str(word) for word in words],
                              stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                              timeout=DEADLINE, check=False).returncode
        out.seek(0)
        return code, out.read().decode().replace("\r", "")


def hvrelay(*words, program=None):
    return wine(program or os.environ["HVRELAY_EXE"], *words)


class Lines:
    """The lines of a stream of a process, as they come."""

    def __init__(self, stream):
        self.lines = []
        self.thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.thread.start()

    def _read(self, stream):
        for line in stream:
            self.lines.append(line.decode(errors="replace").rstrip())

    def wait(self, text, count=1):
        """Waits for `count` lines that contain the text; returns the last of them."""
        wait_for(lambda: len(self.having(text)) >= count, f"'{text}' in:\n" + "\n".join(self.lines))
        return self.having(text)[-1]

    def having(self, text):
        return [line for line in self.lines if text in line]


class World:
    """Partitions on loopback addresses of their own, and the map that tells the emulator."""

    def __init__(self, folder):
        self.net = f"127.{random.randint(16, 250)}.{random.randint(0, 250)}"
        self.path = folder / "map.txt"
        self.host = self.address(1)
        self.vms = []  # (id, address, name)
        self.services = {}
        self.lines = []

    def address(self, number):
        return f"{self.net}.{number}"

    def add_vm(self, name=""):
        vm = (str(uuid.uuid4()), self.address(10 * (len(self.vms) + 1)), name)
        self.vms.append(vm)
        return vm

    def add_service(self, port):
        """Registers a service; returns the TCP port that stands for it, free on every address."""
        with socket.socket() as probe:
            probe.bind(("", 0))
            self.services[service_id(port)] = probe.getsockname()[1]
        return self.services[service_id(port)]

    def write(self):
        text = [f"self {uuid.UUID(int=1)} {self.host}"]
        text += [f"vm {i} {address} {name}" for i, address, name in self.vms]
        text += [f"service {i} {port}" for i, port in self.services.items()]
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(text + self.lines) + "\n")
        os.utime(new, ns=(0, time.time_ns()))
        new.replace(self.path)


class Relay:
    """A running hvrelay.exe. `world` puts it inside the emulator; `pipes` are options of pipes.exe,
    which then gives it standard streams, and its output is left unread."""

    def __init__(self, *arguments, world=None, config=None, pipes=None):
        command = shlex.split(os.environ["WINE_RUN"])
        if pipes is not None:
            command += [os.environ["EMULATOR"] + "/pipes.exe", *pipes]
        env = dict(os.environ)
        self.world = world
        if world:
            emulator = os.environ["EMULATOR"]
            command += [f"{emulator}/hvrun.exe", f"{emulator}/hvemu.dll"]
            env |= {"HVEMU_MAP": str(world.path), "HVEMU_VERBOSE": "1"}
        self.process = subprocess.Popen(
            command + [os.environ["HVRELAY_EXE"], *arguments], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if config:
            self.process.stdin.write(config.encode())
            self.process.stdin.close()
        self.out = Lines(self.process.stdout) if pipes is None else None
        self.log = Lines(self.process.stderr)

    def ready(self):
        wait_for(lambda: "ready" in self.out.lines or self.process.poll() is not None, "ready")
        assert "ready" in self.out.lines, "\n".join(self.log.lines)
        return self

    def port(self, name="forward"):
        """The TCP port that the named forward listens on."""
        line = self.out.wait(f"listening {name} tcp:")
        return int(line.rsplit(":", 1)[1])

    def change_world(self):
        """Writes the map again and waits until the emulator has read it."""
        text = "the map was read again"
        count = len(self.log.having(text))
        self.world.write()
        self.log.wait(text, count + 1)

    def wait(self):
        return self.process.wait(DEADLINE)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Server:
    """Listens and serves each client by `serve(client)` on a thread of its own."""

    def __init__(self, serve, address="127.0.0.1", port=0):
        self.serve = serve
        self.listener = socket.create_server((address, port), backlog=500)
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                self.serve(client)
            except OSError:
                pass  # the client sees it too, and the test asks the client

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def echo(client):
    """Sends back what comes, and ends when the client has ended."""
    while block := client.recv(1 << 18):
        client.sendall(block)
    client.shutdown(socket.SHUT_WR)


def connect(address, source=None):
    client = socket.socket()
    client.settimeout(DEADLINE)
    if source:
        client.bind((source, 0))
    client.connect(address)
    return client


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def read_all(client, digest):
    count = 0
    while block := client.recv(1 << 18):
        digest.update(block)
        count += len(block)
    return count


def send_all(client, size, digest):
    for start in range(0, size, len(BLOCK)):
        block = BLOCK[:min(len(BLOCK), size - start)]
        client.sendall(block)
        digest.update(block)
    client.shutdown(socket.SHUT_WR)


def check_echo(address, size, source=None):
    """Sends `size` bytes through to an echo server and gets the same ones back."""
    sent, received = hashlib.sha256(), hashlib.sha256()
    with connect(address, source) as client:
        sender = threading.Thread(target=send_all, args=(client, size, sent))
        sender.start()
        assert read_all(client, received) == size
        sender.join()
    assert sent.digest() == received.digest()


def check_many(address, count, size, source=None):
    """As check_echo, `count` at once."""
    failed = []

    def one():
        try:
            check_echo(address, size, source)
        except (AssertionError, OSError) as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def check_load(address, source=None):
    check_echo(address, 200 * MEGABYTE, source)
    for size in range(400):
        check_echo(address, size, source)
    check_many(address, 50, 4 * MEGABYTE, source)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_half_closes(connect_client, serve_on):
    """Each side ends first, once, and still gets all that the other one sends after that."""
    def client_ends_first(server_side):
        assert server_side.makefile("rb").read() == b"question"
        time.sleep(LATE)
        server_side.sendall(b"answer")

    def server_ends_first(server_side):
        server_side.sendall(b"greeting")
        server_side.shutdown(socket.SHUT_WR)
        heard.append(server_side.makefile("rb").read())

    heard = []
    with serve_on(client_ends_first), connect_client() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").read() == b"answer"
    with serve_on(server_ends_first), connect_client() as client:
        assert client.makefile("rb").read() == b"greeting"
        client.sendall(b"thanks")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        wait_for(lambda: heard, "what the server has read")
        assert heard == [b"thanks"]
