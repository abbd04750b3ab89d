#!/usr/bin/python3
"""initrd.py FOLDER > ARCHIVE

Writes FOLDER as the archive that a Linux kernel unpacks as its first root (cpio, "newc").
Plain files and folders only, owned by root; the rights are kept.
"""

import pathlib
import sys

PAD = 4


def entry(number, name, mode, data):
    name = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return padded(head) + padded(data)


def padded(data):
    return data + b"\0" * (-len(data) % PAD)


def main(folder):
    root = pathlib.Path(folder)
    out = sys.stdout.buffer
    for number, path in enumerate(sorted(root.rglob("*")), start=1):
        data = path.read_bytes() if path.is_file() else b""
        out.write(entry(number, str(path.relative_to(root)), path.stat().st_mode, data))
    out.write(entry(0, "TRAILER!!!", 0, b""))


if __name__ == "__main__":
    main(sys.argv[1])
