"""Runs a command under the system call filters of a systemd unit, as systemd.exec(5) has them.

usage: sandbox.py errno|kill [-CALL]... UNIT COMMAND ARGUMENT...

`errno`: what SystemCallFilter= leaves out fails as SystemCallErrorNumber= says. `kill`: it ends the
command with SIGSYS, so that no call outside the filter goes unnoticed. `-CALL` is left out as well.
What the other settings refuse fails with systemd's error number either way.
"""

import errno
import itertools
import os
import socket
import subprocess
import sys

import seccomp
from seccomp import EQ, GT, LT, MASKED_EQ, NE, Arg, SyscallFilter

PROT_WRITE, PROT_EXEC = 2, 4
SHM_EXEC = 0o100000
CLONE_NEW = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
PER_LINUX = 0
SCHED_OTHER = 0
SET_IDS = (0o4000, 0o2000)

# Settings that this program knows only as "yes".
ASSUMED = ("MemoryDenyWriteExecute", "RestrictNamespaces", "LockPersonality", "RestrictRealtime")
ASSUMED += ("RestrictSUIDSGID", "NoNewPrivileges")


def settings(unit):
    """Key -> its values, in order, of the section [Service]."""
    found, section = {}, None
    with open(unit) as file:
        for line in map(str.strip, file):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and line[0] not in "#;":
                key, value = line.split("=", 1)
                found.setdefault(key, []).append(value)
    return found


def groups():
    """systemd's own sets of system calls: "@set" -> members, which may be sets."""
    command = ["systemd-analyze", "syscall-filter"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, members = {}, []
    for line in text.splitlines():
        if line.startswith("@"):
            members = found[line.strip()] = []
        elif line.startswith(" ") and not line.strip().startswith("#"):
            members.append(line.strip())
    return found


def expand(words, known):
    calls = set()
    for word in words:
        calls |= expand(known[word], known) if word.startswith("@") else {word}
    return calls


def allowed_calls(lines):
    """What a list of SystemCallFilter= that begins with an allow-list comes to."""
    known = groups()
    calls = expand(["@default"], known)
    for line in lines:
        words = line.removeprefix("~").split()
        if line.startswith("~"):
            calls -= expand(words, known)
        else:
            calls |= expand(words, known)
    return calls


def add(rules, action, call, *arguments):
    """A rule, where this architecture has the call."""
    if seccomp.resolve_syscall(seccomp.Arch.NATIVE, call) >= 0:
        rules.add_rule(action, call, *arguments)


def refuse(number):
    """A filter that lets all through but what is added to it, which fails so."""
    return SyscallFilter(seccomp.ALLOW), seccomp.ERRNO(number)


def filter_calls(service, strict, left_out):
    number = getattr(errno, service["SystemCallErrorNumber"][-1])
    rules = SyscallFilter(seccomp.KILL_PROCESS if strict else seccomp.ERRNO(number))
    for call in allowed_calls(service["SystemCallFilter"]) - left_out:
        add(rules, seccomp.ALLOW, call)
    rules.load()


def restrict_families(service):
    rules, action = refuse(errno.EAFNOSUPPORT)
    names = service["RestrictAddressFamilies"][-1].split()
    families = sorted(getattr(socket, name) for name in names)
    add(rules, action, "socket", Arg(0, LT, families[0]))
    add(rules, action, "socket", Arg(0, GT, families[-1]))
    for family in range(families[0], families[-1]):
        if family not in families:
            add(rules, action, "socket", Arg(0, EQ, family))
    rules.load()


def deny_write_execute():
    rules, action = refuse(errno.EPERM)
    both = PROT_WRITE | PROT_EXEC
    add(rules, action, "mmap", Arg(2, MASKED_EQ, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        add(rules, action, call, Arg(2, MASKED_EQ, PROT_EXEC, PROT_EXEC))
    add(rules, action, "shmat", Arg(2, MASKED_EQ, SHM_EXEC, SHM_EXEC))
    rules.load()


def restrict_namespaces():
    rules, action = refuse(errno.EPERM)
    add(rules, seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags can't be looked at
    add(rules, action, "setns")
    for flag in CLONE_NEW:
        for call in ("unshare", "clone"):
            add(rules, action, call, Arg(0, MASKED_EQ, flag, flag))
    rules.load()


def restrict_more():
    """LockPersonality=, RestrictRealtime=, RestrictSUIDSGID=."""
    rules, action = refuse(errno.EPERM)
    add(rules, action, "personality", Arg(0, NE, PER_LINUX))
    add(rules, action, "sched_setscheduler", Arg(1, GT, SCHED_OTHER))
    for bit in SET_IDS:
        for call, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1)):
            add(rules, action, call, Arg(place, MASKED_EQ, bit, bit))
    rules.load()


def main(how, *rest):
    options = list(itertools.takewhile(lambda word: word.startswith("-"), rest))
    unit, *command = rest[len(options) :]
    service = settings(unit)
    for key in ASSUMED:
        if service.get(key, ["no"])[-1] != "yes":
            sys.exit(f"{unit}: {key}=yes is expected here")
    restrict_families(service)
    deny_write_execute()
    restrict_namespaces()
    restrict_more()
    filter_calls(service, how == "kill", {option[1:] for option in options})
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
