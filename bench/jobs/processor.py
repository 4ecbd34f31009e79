"""Processor time of processes and of those they started, and what the machine had left for them."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(pid: int) -> float:
    """What a process has used so far, with all below it, those that have ended too; of our own, ourselves alone."""
    if pid == os.getpid():
        return time.process_time()
    total, front = 0.0, [pid]
    while front:
        folder = Path(f"/proc/{front.pop()}")
        with suppress(OSError):  # gone meanwhile
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / _TICKS
            for task in (folder / "task").iterdir():
                front += map(int, (task / "children").read_text().split())
    return total


class Meter:
    """Measures some processes from one moment to another."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = self._read()
        self._machine = _machine()

    def used(self) -> dict[str, float]:
        """Seconds of each process since the beginning."""
        return {name: seconds - self._before[name] for name, seconds in self._read().items()}

    def strangers(self) -> float:
        """Which share of the machine others had meanwhile, 0 to 1."""
        busy, total = (now - before for now, before in zip(_machine(), self._machine, strict=True))
        return max(0.0, busy - sum(self.used().values())) / total if total else 0.0

    def _read(self) -> dict[str, float]:
        return {name: seconds_of(pid) for name, pid in self._pids.items()}


def _machine() -> tuple[float, float]:
    """Seconds for which the processors were busy, and seconds in all."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS, sum(ticks) / _TICKS
