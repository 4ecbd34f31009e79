"""The last steps of a child before it becomes the program it was started for.

Run as a script by `tasks.process`, isolated and without site packages, so that it starts in a few milliseconds. It is a
program of its own because what it does must happen between fork and exec, where a process with threads may do nothing
safely. What a system refuses here (namespaces, Landlock) is left out: every other door is closed all the same.
"""

import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from glob import glob
from typing import Any

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIGKILL = 9

SYSTEM = (
    *("/usr", "/lib*", "/bin", "/snap", "/nix/store", "/home/linuxbrew/.linuxbrew", "/etc/ld*"),
    *("/proc/self", "/proc/driver", "/sys"),
)
"""Programs, libraries and what they ask of the machine; nothing of its users and services."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/nvidia*", "/dev/dri")

# Linux calls these by the same numbers on every kind of machine.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_RULE_PATH_BENEATH = 1
WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
OTHERS = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12  # devices, sockets, pipes, symbolic links: nobody makes them
TRUNCATE = 1 << 14
READ = READ_FILE | READ_DIR
WORK = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
TCP = 1 << 0 | 1 << 1
SCOPES = 1 << 0 | 1 << 1  # abstract sockets and signals reach nobody outside


def main() -> None:
    """Read the parent's pid, what is allowed and the command; close the doors; become the command."""
    parent, allowed, *command = sys.argv[1:]
    sandbox = json.loads(allowed)
    os.nice(10)
    for name, value in sandbox["limits"].items():
        _limit(getattr(resource, name), value)
    if sys.platform == "linux":
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - as light as can be
            file.write("500")  # where memory runs out, better the child than the worker, or the database
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):  # it died before we asked to be told
            os._exit(SIGKILL)
        _confine(libc, sandbox["folder"], sandbox["readable"])
    os.execv(command[0], command)  # noqa: S606 - a list, no shell


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    ceiling = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    # Processor time ends with SIGXCPU, which can be told from any other kill; for one who will not hear, with SIGKILL.
    last = value + 5 if kind == resource.RLIMIT_CPU else value
    resource.setrlimit(kind, (min(value, ceiling), min(last, ceiling)))


def _confine(libc: Any, folder: str, readable: Sequence[str]) -> None:
    """Let it work in the folder and read what is named, and nothing else (Landlock, Linux 5.13 and newer).

    So a playlist finds no other file, and nobody who breaks a decoder reads the secrets in our own environment, which
    /proc would else show to any process of the same user.
    """
    abi = libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return
    handled = (WORK | OTHERS) & (-1 if abi >= 3 else ~TRUNCATE)  # noqa: PLR2004 - which came with that version
    attributes = struct.pack("QQQ", handled, TCP, SCOPES)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8  # noqa: PLR2004 - as above
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, size, 0)
    if ruleset < 0:
        return
    rules = [(folder, WORK), *((path, READ) for path in readable)]
    rules += [(path, READ) for pattern in SYSTEM for path in glob(pattern)]  # noqa: PTH207 - as light as can be
    rules += [(path, READ | WRITE_FILE) for pattern in DEVICES for path in glob(pattern)]  # noqa: PTH207 - as above
    for path, access in rules:
        _allow(libc, ruleset, path, access & handled)
    libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(libc: Any, ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not there needs no permission
        return
    if not os.path.isdir(path):  # noqa: PTH112 - as light as can be
        access &= READ_FILE | WRITE_FILE | TRUNCATE
    libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, struct.pack("=Qi", access, place), 0)
    os.close(place)


if __name__ == "__main__":
    main()
