"""Become another program that cannot outlive the one who started it, and that need not be root.

    python -I -S tether.py PARENT SIGNAL IDENTITY LIFELINE PROGRAM [ARGUMENT ...]

PARENT is the process id of the starter. When it dies, however it dies, PROGRAM is sent SIGNAL (a name without "SIG").
IDENTITY is `-` (stay who you are), `user:UID:GID` (root only: become that user) or `namespace:UID:GID` (stay who you
are in every file's eyes, but carry that number in a user namespace of your own). LIFELINE is `-`, or the reading end of
a pipe whose other end only the starter holds: the substitute where the kernel has no parent-death signal.

Run as a plain file with the standard library only, so that it adds ten milliseconds and is gone: PROGRAM takes over the
process and its id.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_LOOK_AGAIN = 0.5  # seconds


def _assume(identity: str) -> None:
    if identity == "-":
        return
    kind, uid, gid = identity.split(":")
    if kind == "user":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
        return
    # A namespace changes what we are called, not what we may open: root's private folders stay readable, while
    # PostgreSQL, which refuses to run as root, sees an ordinary user.
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are refused here")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outside_uid} 1"),
        ("gid_map", f"{gid} {outside_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib would double the start-up time
            file.write(line)


def _die_with(parent: int, death: signal.Signals) -> None:
    """Ask the kernel. The request is forgotten at a change of user, so it comes after that, and just before exec."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:  # not Linux, and no lifeline either: as good as can be
        return
    prctl(_PR_SET_PDEATHSIG, int(death), 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _watch(lifeline: int, death: signal.Signals) -> None:
    """Leave a watcher beside us that signals this process once the lifeline's other end is closed."""
    watched = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(lifeline)
        return
    if os.fork():  # twice, so that PROGRAM never meets a child it does not know
        os._exit(0)
    os.setsid()
    try:
        while not select.select([lifeline], [], [], _LOOK_AGAIN)[0]:
            os.kill(watched, 0)
        os.kill(watched, death)
    except ProcessLookupError:
        pass
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Tether this process and become the program; never returns."""
    parent, death, identity, lifeline, *argv = arguments
    if lifeline != "-":  # while we may still signal what we are about to become
        _watch(int(lifeline), signal.Signals[f"SIG{death}"])
    os.get_exec_path()  # imports what execvp needs: as another user we may not be able to read Python's own files
    try:
        _assume(identity)
        if lifeline == "-":
            _die_with(int(parent), signal.Signals[f"SIG{death}"])
        os.execvp(argv[0], argv)  # noqa: S606 - to become that program is the point
    except OSError as error:
        print(f"{argv[0]}: {error.strerror or error}", file=sys.stderr)
        sys.exit(126)


if __name__ == "__main__":
    main(sys.argv[1:])
