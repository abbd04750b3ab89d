#!/usr/bin/python3
"""modules.py FOLDER DESTINATION NAME...

Copies the kernel modules NAME..., and those they depend on, from FOLDER (searched
recursively) to DESTINATION, uncompressed, and prints the names of the copies in the order to
load them. A name that FOLDER does not have is left out: the kernel has it built in, or does
without.
"""

import lzma
import pathlib
import sys


def index(folder):
    """All modules by name; file names use - and _ freely, module names only _."""
    return {
        path.name.partition(".ko")[0].replace("-", "_"): path
        for pattern in ("*.ko", "*.ko.xz")
        for path in sorted(pathlib.Path(folder).rglob(pattern))
    }


def content(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def dependencies(data):
    """The names in the `depends=` string of the module's .modinfo section."""
    start = data.find(b"\0depends=")
    if start < 0:
        return []
    value = data[start + len(b"\0depends="):].partition(b"\0")[0].decode()
    return [name.replace("-", "_") for name in value.split(",") if name]


def collect(modules, name, found):
    """Adds `name` to the dictionary `found`, behind what it depends on."""
    if name in found or name not in modules:
        return
    data = content(modules[name])
    for needed in dependencies(data):
        collect(modules, needed, found)
    found[name] = data


def main(folder, destination, *names):
    modules = index(folder)
    found = {}
    for name in names:
        collect(modules, name, found)
    target = pathlib.Path(destination)
    target.mkdir(parents=True, exist_ok=True)
    for name, data in found.items():
        (target / (name + ".ko")).write_bytes(data)
        print(name + ".ko")


if __name__ == "__main__":
    main(*sys.argv[1:])
