"""What is measured: experiments, the figures that each yields, and what hvrelay should reach."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Figure:
    key: str  # of the sample
    unit: str
    title: str
    higher_is_better: bool = False
    ratio: float = None  # target for ours/best peer: at least, or at most
    value: float = None  # target for ours: at most


@dataclasses.dataclass(frozen=True)
class Experiment:
    name: str
    title: str
    load: tuple  # the mode, and options of bench-load
    figures: tuple
    bulk: bool = False  # --tuned applies
    family: str = "tcp"  # the relay's listener
    target: str = "tcp"  # the load's
    quick: bool = False  # part of the two-minute version
    kind: str = "load"  # or "idle", "start"
    logged: bool = False  # a line for each connection, of those that have it: hvrelay

    def option(self, name, default=None):
        options = dict(zip(self.load[1::2], self.load[2::2]))
        return options.get("--" + name, default)


def _bulk(name, title, load, throughput, cpu, **more):
    figures = (Figure("gbit", "Gbit/s", "throughput", True, throughput),
               Figure("cpu_ms_per_gb", "ms/GB", "relay CPU", ratio=cpu))
    return Experiment(name, title, ("bulk", *load), figures, bulk=True, **more)


def _pingpong(count, p50, p99, **more):
    figures = (Figure("p50", "µs", "p50", ratio=p50), Figure("p99", "µs", "p99", ratio=p99),
               Figure("p999", "µs", "p99.9"),
               Figure("cpu_us_per_round", "µs", "relay CPU per round trip"))
    return Experiment(f"pingpong-{count}", f"ping-pong, {count} connection{'s'[:count > 1]}",
                      ("pingpong", "--connections", count), figures, **more)


HOST = (
    _bulk("bulk-1-up", "1 stream up", (), 1.25, 0.6, quick=True),
    _bulk("bulk-1-down", "1 stream down", ("--direction", "down"), 1.25, 0.6),
    _bulk("bulk-1-both", "1 stream both ways", ("--direction", "both"), None, None),
    _bulk("bulk-4-up", "4 streams up", ("--connections", 4), None, None),
    _bulk("bulk-4-both", "4 streams both ways", ("--connections", 4, "--direction", "both"),
          1.10, 0.7, quick=True),
    _bulk("bulk-64-both", "64 streams both ways", ("--connections", 64, "--direction", "both"),
          None, None),
    _pingpong(1, 0.9, None, quick=True),
    _pingpong(64, 0.9, 0.9, quick=True),
    _pingpong(1000, 0.9, 0.9),
    Experiment("connect", "short connections, 32 at a time", ("connect", "--connections", 32), (
        Figure("rate", "1/s", "rate", True, 1.10), Figure("p50", "µs", "p50"),
        Figure("p99", "µs", "p99", ratio=0.9),
        Figure("cpu_us_per_connection", "µs", "relay CPU per connection")), quick=True),
    Experiment("logged", "short connections, a log line each", ("connect", "--connections", 32), (
        Figure("rate", "1/s", "rate", True), Figure("p99", "µs", "p99"),
        Figure("cpu_us_per_connection", "µs", "relay CPU per connection")), quick=True,
        logged=True),
    Experiment("beside", "small stream beside 4 bulk streams", ("beside", "--connections", 5), (
        Figure("p50", "µs", "p50"), Figure("p99", "µs", "p99", ratio=0.7),
        Figure("p999", "µs", "p99.9"), Figure("gbit", "Gbit/s", "bulk throughput", True)),
        bulk=True, quick=True),
    Experiment("idle", "idle sessions, up to 8,000", ("idle", "--connections", 8000), (
        Figure("bytes_per_session", "B", "user memory per session", ratio=0.25, value=512),
        Figure("descriptors_per_session", "", "descriptors per session", value=2)),
        kind="idle", quick=True),
    Experiment("start", "start-up", ("idle",), (
        Figure("start_ms", "ms", "until it accepts"),), kind="start", quick=True),
    _bulk("unix-bulk", "UNIX sockets, 1 stream up", (), None, None, family="unix", target="unix"),
    dataclasses.replace(_pingpong(64, None, None), name="unix-pingpong",
                        title="UNIX sockets, ping-pong, 64 connections", family="unix",
                        target="unix"),
)

WORKERS = (_bulk("workers", "64 streams both ways",
                 ("--connections", 64, "--direction", "both",
                  "--threads", max(1, (os.cpu_count() or 1) - 2)), 1.6, None),)

# Inside a guest: ratios against socat.
GUEST = tuple(
    _bulk(f"{a}-{b}-{way}", f"{a} to {b}, 1 stream {way}", ("--direction", way), 1.5, 0.6, family=a,
          target=b, quick=True)
    for a, b in (("tcp", "vsock"), ("vsock", "tcp")) for way in ("up", "down")) + (
        dataclasses.replace(_pingpong(1, None, None), name="vsock-pingpong",
                            title="tcp to vsock, ping-pong, 1 connection", target="vsock"),)


def _auto(experiments):
    """The same for hvrelay's pumps: auto is to be never more than 5 % behind the best of those that
    can be forced."""
    return tuple(dataclasses.replace(experiment, figures=tuple(
        dataclasses.replace(figure, value=None, ratio=0.95 if figure.higher_is_better else 1.05)
        for figure in experiment.figures if figure.key in ("gbit", "cpu_ms_per_gb", "p50")))
        for experiment in experiments)


PUMPS = _auto([experiment for experiment in HOST if experiment.name in (
    "bulk-1-up", "bulk-4-both", "pingpong-64", "unix-bulk")] + [
        _bulk(f"{a}-{b}-bulk", f"{a} to {b}, 1 stream up", (), None, None, family=a, target=b)
        for a, b in (("tcp", "unix"), ("unix", "tcp"))])
GUEST_PUMPS = _auto(GUEST)


def without_targets(experiments):
    return tuple(dataclasses.replace(experiment, figures=tuple(
        dataclasses.replace(figure, ratio=None, value=None) for figure in experiment.figures))
        for experiment in experiments)
