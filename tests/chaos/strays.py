"""Processes that outlive those for whom they work: looked for all the time, and once more at the end."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PATIENCE = 2.0
"""Seconds in which a process has to be gone after its parent."""
_LOOK_AGAIN = 0.5
_PROC = Path("/proc")


@dataclass(frozen=True)
class Running:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    started: int
    parent: int = field(compare=False)
    is_frozen: bool = field(compare=False)

    @classmethod
    def read(cls, pid: int) -> Self | None:
        """None if it is gone, or as good as: a zombie does nothing any more."""
        with suppress(OSError):
            state, parent, *others = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            if state not in "ZX":
                return cls(pid, int(others[17]), int(parent), state == "T")
        return None


class Overdue:
    """Processes that should be gone, and are not after some seconds."""

    def __init__(self, patience: float) -> None:
        self.found: list[Running] = []
        self._patience = patience
        self._since: dict[Running, float] = {}

    def look(self, there: Collection[Running]) -> None:
        """These should be gone, and are still there."""
        now = time.monotonic()
        self._since = {each: self._since.get(each, now) for each in there}
        self.found += [
            each for each, since in self._since.items() if now - since > self._patience and each not in self.found
        ]


class Strays:
    """The processes of jobs whose worker is gone, or whose job has ended."""

    def __init__(self, attempts: Path, has_ended: Callable[[str], bool], *, orphans: Overdue, idlers: Overdue) -> None:
        """Look in the folder of attempts; `has_ended` tells of a job by its id."""
        self.orphans = orphans
        """Their worker is gone."""
        self.idlers = idlers
        """Their job has ended."""
        self._attempts = attempts
        self._has_ended = has_ended

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(_LOOK_AGAIN)

    def look(self) -> None:
        """Look once."""
        orphans: list[Running] = []
        idlers: list[Running] = []
        for each, folder in working_in(self._attempts):
            job = folder.relative_to(self._attempts).parts[0].partition("-")[0]
            worker = _worker_of(each)
            if worker is None:
                orphans.append(each)
            elif not worker.is_frozen and self._has_ended(job):  # whoever is frozen cannot stop anybody
                idlers.append(each)
        self.orphans.look(orphans)
        self.idlers.look(idlers)


def working_in(folder: Path) -> Iterator[tuple[Running, Path]]:
    """The processes whose working folder lies in this one, and that folder."""
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            here = (process / "cwd").readlink()
            if folder in here.parents and (running := Running.read(int(process.name))):
                yield running, here


def told_of(folder: Path) -> list[int]:
    """The processes that were told of this folder, or work in it."""

    def belongs(process: Path) -> bool:
        with suppress(OSError):
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            return str(folder).encode() in told or (process / "cwd").readlink().is_relative_to(folder)
        return False

    return [int(process.name) for process in _PROC.glob("[0-9]*") if belongs(process)]


def _worker_of(running: Running) -> Running | None:
    """The worker that a process works for, if that lives."""
    parent = Running.read(running.parent)
    with suppress(OSError):
        if parent and b"reelgraph\0worker" in (_PROC / str(parent.pid) / "cmdline").read_bytes():
            return parent
    return None
