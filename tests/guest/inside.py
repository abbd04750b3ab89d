"""Am I inside one of our own guests? The Python sister of inside.h, which says why."""

import os
import sys


def inside():
    with open("/proc/cmdline", encoding="ascii", errors="replace") as file:
        return os.environ.get("HVRELAY_GUEST") == "1" and "VM_ROOT=" in file.read()


def require():
    """Ends the process with 77 (skipped) anywhere else."""
    if not inside():
        print("skip: this uses AF_VSOCK and runs only inside a guest of tests/guest/boot",
              file=sys.stderr)
        sys.exit(77)
