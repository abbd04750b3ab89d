"""The program under test: run to its end, or as a child with its ready lines and its log."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading

from deadline import PATIENCE, eventually

HVRELAY = os.environ.get("HVRELAY", "")
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}

# To find leaks at its end a sanitizer starts a thread, traces the others, and reads files.
WITHOUT_LEAKS = {**ENVIRONMENT, "ASAN_OPTIONS": "detect_leaks=0"}


def hvrelay(*arguments, wrapper=(), **options):
    """Runs a command to its end; the outputs are text. `wrapper` as of Relay."""
    options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
    return subprocess.run(
        [*wrapper, HVRELAY, *arguments],
        **{
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "timeout": PATIENCE,
            "env": ENVIRONMENT,
            **options,
        },
    )


def is_sanitized():
    """Such a program calls the system for its own ends, and wants memory without end."""
    with open(HVRELAY, "rb") as file:
        program = file.read()
    return any(word in program for word in (b"__asan_", b"__ubsan_", b"__tsan_"))


# What the log says of a session that went well, from its outcome on.
DONE = re.compile(r": done after \d+\.\d{3} s, \d+ B up, \d+ B down$")


def level_and_message(line):
    """Of a log line, as text or JSON; ("", line) where it is none."""
    if line.startswith("{"):
        event = json.loads(line.encode(errors="surrogateescape"))
        return event["level"], event["message"]
    match = re.search(r"^(?:<\d>)?\d{4}-\S+Z (\w+): (.*)", line)
    return match.groups() if match else ("", line)


class Relay:
    """A running `hvrelay`. `wrapper` is put before the command line (prlimit, unshare)."""

    def __init__(self, *arguments, text=None, wrapper=(), **options):
        self.process = subprocess.Popen(
            [*wrapper, HVRELAY, *arguments],
            **{
                "stdin": subprocess.DEVNULL if text is None else subprocess.PIPE,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "env": ENVIRONMENT,
                **options,
            },
        )
        self.pid = self.process.pid
        self.output = []  # lines of standard output
        self.log = []  # lines of standard error
        self._expected = []  # patterns of warnings and errors
        self._asked_to_stop = 0
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in (
                (self.process.stdout, self.output),
                (self.process.stderr, self.log),
            )
            if stream is not None
        ]
        self._open = len(self._readers)
        for reader in self._readers:
            reader.start()
        if text is not None:
            self.process.stdin.write(text.encode())
            self.process.stdin.close()

    def _read(self, stream, lines):
        for line in stream:
            with self._changed:
                lines.append(line.decode(errors="surrogateescape").rstrip("\n"))
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _wait_line(self, lines, pattern, count):
        def found():
            return [match for line in lines if (match := re.search(pattern, line))]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or not self._open, PATIENCE)
            matches = found()
        assert len(matches) >= count, f"no {pattern!r} in {lines}; the log is {self.log}"
        return matches[count - 1]

    def wait_ready(self):
        self._wait_line(self.output, "^ready$", 1)
        return self

    def expect(self, pattern):
        """Such warnings and errors may come: any other one is too much."""
        self._expected.append(pattern)
        return self

    def wait_log(self, pattern, count=1):
        """The count-th line of the log that matches, as a match. It is expected, then."""
        self.expect(pattern)
        return self._wait_line(self.log, pattern, count)

    def wait_output_end(self):
        """All of standard output, once the program has closed it."""
        self._readers[0].join(PATIENCE)
        assert not self._readers[0].is_alive(), "standard output goes on"
        return self.output

    def endpoint(self, name="forward"):
        """What the ready protocol says that this forward listens on."""
        return self._wait_line(self.output, f"^listening {re.escape(name)} (.*)$", 1)[1]

    def address(self, name="forward"):
        """The same for a tcp endpoint, as Python wants it."""
        host, port = re.fullmatch(r"tcp:\[?(.*?)\]?:(\d+)", self.endpoint(name)).groups()
        return {"*": "127.0.0.1"}.get(host, host), int(port)

    def descriptors(self):
        """Number -> what it is, as /proc tells it."""
        folder = f"/proc/{self.pid}/fd"
        found = {}
        for number in os.listdir(folder):
            try:
                found[int(number)] = os.readlink(f"{folder}/{number}")
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def sockets(self):
        return sum("socket" in link for link in self.descriptors().values())

    def signal(self, number):
        if number in (signal.SIGTERM, signal.SIGINT):
            self._asked_to_stop += 1
        if self._asked_to_stop == 2:
            self.expect("warning: stopping now: .* sessions are reset").expect(": hvrelay stops$")
        self.process.send_signal(number)

    def _is_frozen(self):
        folder = f"/proc/{self.pid}/task"
        states = []
        for thread in os.listdir(folder):
            with open(f"{folder}/{thread}/stat") as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        return set(states) == {"T"}

    @contextlib.contextmanager
    def frozen(self):
        """All that happens meanwhile comes to it in one turn of its loops, in that order."""
        self.signal(signal.SIGSTOP)
        try:
            eventually(self._is_frozen, "a stop of all threads")
            yield
        finally:
            self.signal(signal.SIGCONT)

    def wait(self):
        """The exit code, once the program has ended and all it said is here."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end; the log is {self.log}") from None
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def finish(self):
        """At the end of a test: it must end when asked to, in good order."""
        try:
            for _ in range(2):
                if self.process.poll() is None:
                    self.signal(signal.SIGTERM)
                    try:
                        self.process.wait(PATIENCE / 2)
                    except subprocess.TimeoutExpired:
                        pass  # sessions of a failed test: the second signal breaks them off
            code = self.wait()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        assert code in (0, 1, 2), f"it ended with {code}; the log is {self.log}"
        extras = [line for line in self.log if self._is_extra(line)]
        assert extras == [], f"the log says too much: {extras}"

    def _is_extra(self, line):
        """Nobody has expected it, or it says more of a session than it should."""
        level, message = level_and_message(line)
        if re.search("Sanitizer|runtime error|Assertion", line):
            return True
        if ": done after " in message:
            return not DONE.search(message)
        return level in ("", "warning", "error") and not any(
            re.search(pattern, line) for pattern in self._expected
        )
