"""When a request may fail, or a process may complain: around the times when PostgreSQL was away or somebody frozen.

Or when the machine had no time for anybody, which is seen by our own clock. At any other time, whatever happens to
Redis and to other processes, nobody has an excuse.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

GRACE = 4.0
"""Seconds that the excuse lasts longer than its reason: broken connections are found one by one."""
STALL = 1.0
"""Seconds that everybody may be late."""
_COMPLAINT = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ (?:ERROR|CRITICAL) ")


class Excuses:
    """The times, as the clock on the wall shows them."""

    def __init__(self) -> None:
        self.era = 0
        """How often PostgreSQL was taken down and brought up: even while it runs."""
        self.stalls: list[float] = []
        """For how many seconds the machine stood still."""
        self._spans: list[tuple[float, float]] = []
        self._open: list[float] = []

    @contextmanager
    def given(self) -> Iterator[None]:
        """Somebody has an excuse as long as the block lasts."""
        start = time.time()
        self._open.append(start)
        try:
            yield
        finally:
            self._open.remove(start)
            self._spans.append((start, time.time()))

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """PostgreSQL is away as long as the block lasts."""
        self.era += 1
        with self.given():
            yield
        self.era += 1

    async def notice_stalls(self) -> None:
        """Take for an excuse what keeps even us from our work, for ever."""
        last = time.time()
        while True:
            await asyncio.sleep(0.1)
            now = time.time()
            if now - last > STALL:
                self._spans.append((last, now))
                self.stalls.append(now - last)
            last = now

    def cover(self, start: float, end: float) -> bool:
        """Whether there was an excuse at some time in between."""
        spans = [*self._spans, *((begun, float("inf")) for begun in self._open)]
        return any(begun < end and start < ended + GRACE for begun, ended in spans)

    def complaints(self, folder: Path) -> list[str]:
        """The errors in all logs of a folder for which there was none."""
        found: list[str] = []
        for log in sorted(folder.glob("*.log")):
            for line in log.read_text(errors="replace").splitlines():
                if match := _COMPLAINT.match(line):
                    at = datetime.fromisoformat(match[1]).astimezone().timestamp()
                    if not self.cover(at, at + 1):
                        found.append(f"{log.name}: {line}")
        return found
