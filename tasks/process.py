"""Run a program that reads hostile input: in a folder of its own, limited, without network, and never outliving us."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEPT_LINES = 40
LONGEST_LINE = 64 * 1024
GRACE_SECONDS = 0.2
"""Between asking and killing. Together with a heartbeat it must stay well below the second that a cancel may take."""
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may use; None for no limit."""

    cpu_seconds: int | None = None
    """Of processor time, over all its threads; then it is killed."""
    file_bytes: int | None = None
    """The largest file it may write."""
    memory_bytes: int | None = None
    """Of address space, which is more than what it uses."""

    def to_json(self) -> str:
        """As `tasks/launch.py` reads them: names of the resource module."""
        limits = {"RLIMIT_CPU": self.cpu_seconds, "RLIMIT_FSIZE": self.file_bytes, "RLIMIT_AS": self.memory_bytes}
        return json.dumps({name: value for name, value in limits.items() if value is not None} | {"RLIMIT_CORE": 0})


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended."""

    code: int
    """Its exit status; negative for the signal that killed it."""
    tail: tuple[str, ...]
    """The last lines it wrote to its standard error."""


async def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    limits: Limits,
    on_line: Callable[[str], None],
) -> Ended:
    """Run a command to its end, handing over each line of its standard output.

    When this task is cancelled, or `on_line` raises, the child and everything in its process group are dead before the
    exception goes on. The child dies with this process too, and with the thread that runs the event loop.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-IS",
        str(_LAUNCH),
        str(os.getpid()),
        limits.to_json(),
        *map(str, command),
        cwd=folder,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},  # no secret of ours reaches it
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    errors = asyncio.create_task(_keep(process.stderr, tail))
    try:
        async for line in _lines(process.stdout):
            on_line(line)
        await errors
        return Ended(code=await process.wait(), tail=tuple(tail))
    finally:
        errors.cancel()
        await _until_done(asyncio.create_task(_end(process)))


async def _end(process: Process) -> None:
    """Ask the group to stop, then kill it, and wait until its leader is gone."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    # Also after it has gone by itself: what it started may live on, and keeps the group's number taken.
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _until_done(ending: "asyncio.Task[None]") -> None:
    """Wait for a task even when we are cancelled again meanwhile."""
    cancelled = False
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            cancelled = True
    ending.result()
    if cancelled:
        raise asyncio.CancelledError


async def _keep(stream: asyncio.StreamReader | None, tail: deque[str]) -> None:
    async for line in _lines(stream):
        tail.append(line)


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    """The lines of a stream, each cut to a bounded length, however long it is."""
    if stream is None:
        return
    rest = b""
    while chunk := await stream.read(LONGEST_LINE):
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        rest = rest[:LONGEST_LINE]
        for line in filter(None, lines):
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
