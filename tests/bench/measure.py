"""One sample: a fresh load, a fresh relay, one run."""

import dataclasses
import json
import pathlib
import socket
import subprocess
import tempfile
import time

import relays
import usage

DEADLINE = 120  # seconds, for a load that hangs


@dataclasses.dataclass(frozen=True)
class Scale:
    rounds: int
    seconds: float
    count: int  # of short connections in a run
    connections: int  # at one time, at most
    tuned: bool  # the peers, for bulk


class Load:
    """bench-load, and the talk with it (load/main.c)."""

    def __init__(self, program, arguments, listen):
        self.process = subprocess.Popen(
            [program, *map(str, arguments), "--listen", listen], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.target = self.hear("listening ")

    def hear(self, begin=""):
        line = self.process.stdout.readline()
        if not line.startswith(begin) or not line:
            raise RuntimeError(f"the load has failed: {self.process.stderr.read().strip()}")
        return line[len(begin):].rstrip()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Bench:
    def __init__(self, load, scale):
        self.load, self.scale = load, scale

    def sample(self, experiment, relay, scratch):
        """A dictionary with a number for each figure of the experiment. Raises
        relays.Unavailable, or RuntimeError where something fails that should not."""
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            folder = pathlib.Path(folder)
            (folder / "relay.d").mkdir()
            try:
                if experiment.kind == "start":
                    return self.sample_start(relay, folder / "relay.d")
                return self.sample_load(experiment, relay, folder)
            except RuntimeError as error:
                raise RuntimeError(f"{experiment.name}, {relay.name}: {error}") from error
            finally:
                relay.stop()

    def sample_load(self, experiment, relay, folder):
        connections = min(int(experiment.option("connections", 1)), self.scale.connections)
        if experiment.kind == "idle":  # what counts is what each costs
            connections = min(connections, relay.sessions)
        elif connections > relay.sessions:
            raise relays.Unavailable(f"{relay.name} has no {connections} sessions")
        listen = {"tcp": "tcp:127.0.0.1:0", "unix": f"unix:{folder}/load",
                  "vsock": "vsock:1:0"}[relay.load_family(experiment)]
        arguments = [*experiment.load, "--connections", connections, "--seconds",
                     self.scale.seconds, "--count", self.scale.count]
        load = Load(self.load, arguments, listen)
        try:
            relay.spawn(load.target, folder / "relay.d", experiment.family,
                        experiment.bulk and self.scale.tuned, experiment.logged)
            relay.wait(folder / "relay.d")
            if experiment.kind == "idle":
                return self.sample_idle(load, relay, connections)
            load.say("connect " + relay.endpoint)
            load.hear("ready")
            before = self.cpu(relay)
            load.say("go")
            result = json.loads(load.hear())
            return derive(result, self.cpu(relay) - before)
        finally:
            load.stop()

    @staticmethod
    def cpu(relay):
        return usage.cpu_ns(relay.process.pid) if relay.process else 0

    @staticmethod
    def sample_idle(load, relay, connections):
        if not relay.process:
            raise relays.Unavailable("no relay, no sessions")
        memory, descriptors = (usage.memory(relay.process.pid),
                               usage.descriptors(relay.process.pid))
        load.say("connect " + relay.endpoint)
        load.hear("ready")
        sample = {"sessions": connections,
                  "bytes_per_session": (usage.memory(relay.process.pid) - memory) / connections,
                  "descriptors_per_session":
                      (usage.descriptors(relay.process.pid) - descriptors) / connections}
        load.say("go")
        load.hear()
        return sample

    @staticmethod
    def sample_start(relay, folder):
        """From the start of the process to the first connection that is accepted."""
        with socket.create_server(("127.0.0.1", 0)) as target:
            start = time.monotonic()
            relay.spawn(f"tcp:127.0.0.1:{target.getsockname()[1]}", folder)
            if not relay.process:
                raise relays.Unavailable("nothing starts")
            address = relay.endpoint.split(":")[1:]
            while True:
                try:
                    socket.create_connection((address[0], int(address[1]))).close()
                    return {"start_ms": (time.monotonic() - start) * 1000}
                except ConnectionRefusedError:
                    if relay.process.poll() is not None or time.monotonic() > start + DEADLINE:
                        raise RuntimeError("it does not start") from None


def derive(result, cpu_ns):
    """The figures that a run of a load yields. The relay's time is 0 where there is no relay."""
    sample = dict(result, cpu_ns=cpu_ns)
    if result["bytes"]:
        sample["gbit"] = result["bytes"] * 8 / result["seconds"] / 1e9
        sample["cpu_ms_per_gb"] = cpu_ns / 1e6 / (result["bytes"] / 1e9)
    if result["count"]:
        sample["rate"] = result["count"] / result["seconds"]
        sample["cpu_us_per_round"] = cpu_ns / 1e3 / result["count"]
        sample["cpu_us_per_connection"] = sample["cpu_us_per_round"]
    return sample
