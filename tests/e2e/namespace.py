"""A command in a namespace of its own, where files or the network of the system are others."""

import os
import subprocess

import pytest

UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def require():
    """Skips the test where this machine does not allow it."""
    try:
        done = subprocess.run([*UNSHARE, "true"], stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare(1)")
    if done.returncode != 0:
        pytest.skip(f"no mount namespace can be had: {done.stderr.strip()}")


def script(*lines):
    """A wrapper for a command line: runs shell commands in a namespace, then the command."""
    return [*UNSHARE, "sh", "-euc", "; ".join([*lines, 'exec "$@"']), "sh"]


def with_hosts(folder, hosts):
    """A wrapper under which names of hosts are looked up in this text."""
    path = os.path.join(folder, "hosts")
    with open(path, "w") as file:
        file.write(hosts)
    return script(f"mount --bind '{path}' /etc/hosts")


def alone(*lines):
    """A wrapper for a command that has no network but loopback; `lines` as of script."""
    return [UNSHARE[0], "--net", *script("ip link set lo up", *lines)[1:]]
