"""A child process that dies with us."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from signal import Signals

from reelgraph import tether
from reelgraph.home import StartError

_LOG_BYTES = 10 * 2**20
_TAIL_LINES = 12
_PR_GET_PDEATHSIG = 2

LISTENING = "Listening on"
"""What an API process says, before its address, once the port is its own."""
WORKING = "Working"
"""What a worker says, in a line of its own, once it has everything it needs."""


def tethered(
    argv: Sequence[str | Path], *, death: Signals = Signals.SIGKILL, identity: str = "-", lifeline: str = "-"
) -> list[str]:
    """The command line under which a program gets `death` when this process dies (see reelgraph.tether).

    Where the kernel has parent-death signals it means the *thread* that starts the program: start it from one that
    lives as long as the program should.
    """
    return [
        *(sys.executable, "-I", "-S", tether.__file__),
        *(str(os.getpid()), death.name.removeprefix("SIG"), identity, lifeline),
        *map(str, argv),
    ]


def command(*arguments: str) -> list[str]:
    """The command line of `reelgraph` itself with these arguments."""
    return [sys.executable, "-m", "reelgraph", *arguments]


@cache
def has_parent_death_signal() -> bool:
    """Whether the kernel can signal a child when its parent dies: Linux can, macOS cannot."""
    libc = ctypes.CDLL(None)
    return hasattr(libc, "prctl") and libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(ctypes.c_int()), 0, 0, 0) == 0


@dataclass(kw_only=True)
class Process:
    """One program that runs beside us, writes to a log file, and can be stopped and started again."""

    name: str
    argv: Sequence[str | Path]
    log: Path
    environment: Mapping[str, str] | None = None
    """None: ours."""
    folder: Path | None = None
    """The working folder; None: ours."""
    identity: str = "-"
    stop_signal: Signals = Signals.SIGTERM
    death_signal: Signals = Signals.SIGKILL
    """What it gets when we die, and when it does not heed the stop signal."""
    grace: float = 10.0
    """Seconds it may take to stop."""
    answers: Callable[["Process"], bool] = lambda _: True
    """Whether it does its work; asked again and again after a start."""
    by_watcher: bool = field(default_factory=lambda: not has_parent_death_signal())
    """Tie it to us by a pipe and a watcher instead of by the kernel."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _lifeline: int | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    def start(self) -> None:
        """Start the program, once more if it has ended; returns at once."""
        self._drop_lifeline()
        _rotate(self.log)
        reading, writing = os.pipe() if self.by_watcher else (None, None)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                tethered(
                    self.argv,
                    death=self.death_signal,
                    identity=self.identity,
                    lifeline="-" if reading is None else str(reading),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
                pass_fds=[] if reading is None else [reading],
                start_new_session=True,  # a Ctrl-C in the terminal is for us: we stop our children in order
            )
        if reading is not None:
            os.close(reading)
            self._lifeline = writing

    @property
    def pid(self) -> int:
        """The process id of the program itself."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def ended(self) -> int | None:
        """The exit code once it has ended (minus the signal's number if one ended it), else None."""
        return None if self._child is None else self._child.poll()

    def said(self) -> str:
        """What it has written to its log since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait(self, *, seconds: float = 60.0) -> None:
        """Wait until it answers. If it ends or takes too long: stop it, raise StartError with the end of its log."""
        deadline = time.monotonic() + seconds
        while not self.answers(self):
            if self.ended is not None:
                raise StartError(f"{self.name} did not start ({ending(self.ended)}). {self._last_words()}")
            if time.monotonic() > deadline:
                self.stop()
                raise StartError(f"{self.name} does not answer after {seconds:g} s. {self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to stop, then insist. A Ctrl-C while waiting ends the patience."""
        if self._child is None:
            return
        for ask, seconds in ((self.stop_signal, self.grace), (self.death_signal, 5.0), (Signals.SIGKILL, 5.0)):
            if self._child.poll() is not None:
                break
            self._child.send_signal(ask)
            try:
                self._child.wait(seconds)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                continue
        self._drop_lifeline()

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _last_words(self) -> str:
        lines = self.said().splitlines()[-_TAIL_LINES:]
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines)])


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _rotate(log: Path) -> None:
    """Keep one log and the one before it; a log is turned at a start only, so that nobody's open file moves."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
