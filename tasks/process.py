"""Run a program that reads hostile input: in a folder of its own, limited, without network, and never outliving us."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import IO

KEPT_LINES = 40
LONGEST_LINE = 64 * 1024
OPEN_FILES = 4096
GRACE_SECONDS = 0.2
"""Between asking and killing. Together with a heartbeat it must stay well below the second that a cancel may take."""
_LAUNCH = Path(__file__).with_name("launch.py")
_OURS = (_LAUNCH.parent, Path(sys.prefix), Path(sys.base_prefix))
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "FONTCONFIG_FILE": str(_LAUNCH.parent / "fonts" / "fonts.conf"),  # text looks the same on every machine
}
"""All there is of it: no secret of ours reaches a child."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may use; None for no limit."""

    cpu_seconds: int | None = None
    """Of processor time, over all its threads; then it is killed."""
    wall_seconds: float | None = None
    """How long it may take, working or waiting; then it is killed, and `run` raises TimeoutError."""
    file_bytes: int | None = None
    """The largest file it may write."""
    memory_bytes: int | None = None
    """Of memory that is its own. What an encoder's threads only reserve does not count."""
    max_pixels: int | None = None
    """The largest picture that FFmpeg may decode; see `tasks.ffmpeg`."""

    def to_resource(self) -> dict[str, int]:
        """By the names of the resource module."""
        limits = {"RLIMIT_CPU": self.cpu_seconds, "RLIMIT_FSIZE": self.file_bytes, "RLIMIT_DATA": self.memory_bytes}
        given = {name: value for name, value in limits.items() if value is not None}
        return given | {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": OPEN_FILES}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended."""

    code: int
    """Its exit status; negative for the signal that killed it."""
    tail: tuple[str, ...]
    """The last lines it wrote to its standard error."""
    cpu_seconds: float = field(compare=False)
    """Processor time of its own and of what it waited for."""
    wall_seconds: float = field(compare=False)


async def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    limits: Limits,
    on_line: Callable[[str], None],
    readable: Iterable[Path] = (),
) -> Ended:
    """Run a command to its end, handing over each line of its standard output.

    It works in its folder. Besides that it may read the system's programs and libraries, ours, and what is named here:
    files that lie elsewhere. (Links count as what they lead to, hard links as what they are.)

    When this task is cancelled, or `on_line` raises, or the time is over (TimeoutError), the child and everything in
    its process group are dead before the exception goes on. The child dies with this process too, and with the thread
    that runs the event loop.
    """
    begun = time.monotonic()
    sandbox = {
        "limits": limits.to_resource(),
        "folder": str(folder),
        "readable": [str(path) for path in (*_OURS, *_homes(command[0]), *readable)],
    }
    launch = [sys.executable, "-IS", _LAUNCH, str(os.getpid()), json.dumps(sandbox)]
    async with asyncio.timeout(limits.wall_seconds), _Child.started([*launch, *command], folder) as child:
        tail: deque[str] = deque(maxlen=KEPT_LINES)
        errors = asyncio.create_task(_keep(child.errors, tail))
        try:
            async for line in _lines(child.output):
                on_line(line)
            await errors
        finally:
            errors.cancel()
        code, cpu_seconds = await asyncio.shield(child.ended)
        return Ended(code=code, tail=tuple(tail), cpu_seconds=cpu_seconds, wall_seconds=time.monotonic() - begun)


class _Child:
    """A process and its pipes. asyncio's own would not tell what it cost: only who reaps it hears."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", output: asyncio.StreamReader, errors: asyncio.StreamReader
    ) -> None:
        """Begin to wait for its end."""
        self.output, self.errors = output, errors
        self.ended: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()
        """Exit status and processor time."""
        self._process = process
        self._loop = asyncio.get_running_loop()
        Thread(target=self._reap, name=f"child:{process.pid}", daemon=True).start()

    @classmethod
    @asynccontextmanager
    async def started(cls, command: Sequence[str | Path], folder: Path) -> AsyncGenerator["_Child"]:
        """Start it; it is gone when this is left."""
        # From this very thread: the child is to die with it.
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - as long as asyncio's own would take; the command is ours
            command,
            cwd=folder,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout  # noqa: S101 - a pipe was asked for
        assert process.stderr  # noqa: S101 - as above
        output, errors = asyncio.StreamReader(), asyncio.StreamReader()
        child = cls(process, output, errors)
        with process.stdout, process.stderr:
            try:
                async with _connected(process.stdout, output), _connected(process.stderr, errors):
                    yield child
            finally:
                await _until_done(asyncio.create_task(child.end()))

    async def end(self) -> None:
        """Ask the group to stop, then kill it, and wait until its leader is gone."""
        if not self.ended.done():
            self._signal(signal.SIGTERM)
            await asyncio.wait({self.ended}, timeout=GRACE_SECONDS)
        # Also after it has gone by itself: what it started may live on, and keeps the group's number taken.
        self._signal(signal.SIGKILL)
        await self.ended

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _reap(self) -> None:
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        ended = (self._process.returncode, used.ru_utime + used.ru_stime)
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(self._tell, ended)

    def _tell(self, ended: tuple[int, float]) -> None:
        if not self.ended.done():
            self.ended.set_result(ended)


def _homes(program: str | Path) -> list[Path]:
    """Where a program has its libraries: beside it, or as Conda has them, in the folder `lib` beside its `bin`."""
    home = Path(program).resolve().parent
    return [home, home.parent / "lib", home.parent / "lib64"]


@asynccontextmanager
async def _connected(pipe: IO[bytes], stream: asyncio.StreamReader) -> AsyncGenerator[None]:
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), pipe
    )
    try:
        yield
    finally:
        transport.close()


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


async def _keep(stream: asyncio.StreamReader, tail: deque[str]) -> None:
    async for line in _lines(stream):
        tail.append(line)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a stream, each cut to a bounded length, however long it is."""
    rest = b""
    while chunk := await stream.read(LONGEST_LINE):
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        rest = rest[:LONGEST_LINE]
        for line in filter(None, lines):
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
