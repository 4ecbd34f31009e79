"""The last steps of a child before it becomes the program it was started for.

Run as a script by `tasks.process`, isolated and without site packages, so that it starts in a few milliseconds. It is a
program of its own because what it does must happen between fork and exec, where a process with threads may do nothing
safely.
"""

import ctypes
import json
import os
import resource
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIGKILL = 9


def main() -> None:
    """Read the parent's pid, the limits and the command; close the doors; become the command."""
    parent, limits, *command = sys.argv[1:]
    os.nice(10)
    for name, value in json.loads(limits).items():
        _limit(getattr(resource, name), value)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)  # no network; where namespaces are refused, the rest still holds
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):  # it died before we asked to be told
            os._exit(SIGKILL)
    os.execv(command[0], command)  # noqa: S606 - a list, no shell


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    ceiling = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    # Processor time ends with SIGXCPU, which can be told from any other kill; for one who will not hear, with SIGKILL.
    last = value + 5 if kind == resource.RLIMIT_CPU else value
    resource.setrlimit(kind, (min(value, ceiling), min(last, ceiling)))


if __name__ == "__main__":
    main()
