"""What a process and all its descendants use, as the kernel counts it."""

import os

TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat after the name, which may hold anything."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def tree(root):
    """The process and its descendants."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(_stat(name)[1])
            except OSError:
                continue  # it has just ended
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _thread_ns(pid):
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def cpu_ns(root):
    """Processor time so far: of all that live, from schedstat, which counts nanoseconds and leaves
    out what the hypervisor or other processes took; of children that have ended, in ticks."""
    total = 0
    for pid in tree(root):
        try:
            total += _thread_ns(pid)
        except OSError:
            continue
    fields = _stat(root)
    return total + (int(fields[13]) + int(fields[14])) * 1_000_000_000 // TICK


def memory(root):
    """Bytes of anonymous user memory; what processes share is shared out among them."""
    total = 0
    for pid in tree(root):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss_Anon:"))
    return total * 1024


def descriptors(root):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in tree(root))
