"""A load of short connections, each with one message there and back (tests/bench/load). It ends in
failure where a single one is refused, reset, cut short or left without its answer."""

import json
import os
import subprocess
import threading

import pytest

from deadline import PATIENCE

PROGRAM = os.environ.get("BENCH_LOAD", "")


class Load:
    """Clients and their server: `endpoint` is where the relay connects to."""

    def __init__(self, count, at_a_time=50):
        if not os.access(PROGRAM, os.X_OK):
            pytest.skip("BENCH_LOAD is not the path of bench-load")
        words = ["--count", str(count), "--connections", str(at_a_time), "--warm-up", "0"]
        self.count = count
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen([PROGRAM, "connect", *words], text=True, **pipes)
        self.endpoint = self._expect("listening ")
        self._result = None
        self._waiter = threading.Thread(target=self._wait_result)

    def _expect(self, word):
        line = self.process.stdout.readline()
        assert line.startswith(word), f"{line!r} and not {word!r}; {self.process.stderr.read()}"
        return line[len(word) :].strip()

    def _say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _wait_result(self):
        self._result = self.process.stdout.readline()

    def start(self, endpoint):
        """To where the relay listens."""
        self._say(f"connect {endpoint}")
        self._expect("ready")
        self._say("go")
        self._waiter.start()

    def runs(self):
        return self._waiter.is_alive()

    def wait(self):
        """Connections a second, once all have had their answer."""
        self._waiter.join(5 * PATIENCE)
        assert not self.runs(), "the load goes on"
        assert self._result, self.process.stderr.read()
        return self.count / json.loads(self._result)["seconds"]

    def close(self):
        self.process.kill()
        self.process.communicate()
        if self._waiter.ident:
            self._waiter.join()
