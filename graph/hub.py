"""Live fan-out of one process: bells in, rows out.

State (a job): each subscriber is given the latest, and only what is newer than what it had, so a slow one fills no
buffer; however many bells rang, one query reads all the rows. Log (what happened in a project): every entry, in order.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from domain.event import ProjectEvent
from domain.job import Job, JobState
from persistence.database import OUTAGE, will_pass
from persistence.feed import Doorbells
from persistence.reads import Reads
from persistence.work import log_topic

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOG_BATCH = 100
LOOK_SECONDS = 5.0
"""How often what is watched is read without a ring: a process killed between its commit and its ring rings nobody."""
_PAUSE = 0.5


class _Watch:
    """What one subscriber has not seen yet: the latest row at most."""

    def __init__(self) -> None:
        self.latest: Job | None = None
        self.fresh = asyncio.Event()

    def offer(self, job: Job | None) -> None:
        self.latest = job
        self.fresh.set()


class Hub:
    """One for each API process."""

    def __init__(self, reads: Reads, doorbells: Doorbells) -> None:
        """Watch nothing yet."""
        self._reads = reads
        self._doorbells = doorbells
        self._watches: dict[str, set[_Watch]] = defaultdict(set)
        self._rung: set[str] = set()
        self._look = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Listen and read as long as the block lasts."""
        async with self._doorbells.listening():
            task = asyncio.create_task(self._read(), name="hub")
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def states(self, job_id: str) -> AsyncGenerator[Job]:
        """The job as it is now, then each newer state, up to and with the one in which it ends."""
        watch, last = _Watch(), None
        with self._doorbells.hung(job_id, self._ring):
            self._watches[job_id].add(watch)
            try:
                self._ring(job_id)
                while last is None or not last.state.ended:
                    await watch.fresh.wait()
                    watch.fresh.clear()
                    job = watch.latest
                    if job is None:
                        # Deleted with its project, which cancelled it first.
                        if last is None:
                            return
                        last.state = JobState.CANCELLED
                        yield last
                        return
                    if last is None or job.stamp > last.stamp or job.state.ended:
                        last = job
                        yield job
            finally:
                self._watches[job_id].discard(watch)
                if not self._watches[job_id]:
                    del self._watches[job_id]

    async def log(
        self, project_id: str, after: int, allowed: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[ProjectEvent]:
        """Every entry of a project's log behind `after`, as long as the subscriber may see the project."""
        rung = asyncio.Event()
        with self._doorbells.hung(log_topic(project_id), lambda _topic: rung.set()):
            while True:
                rung.clear()
                if not await patiently(allowed):
                    return
                events = await patiently(partial(self._reads.events, project_id, after, LOG_BATCH))
                for event in events:
                    after = event.seq
                    yield event
                if len(events) < LOG_BATCH:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(rung.wait(), LOOK_SECONDS)

    def _ring(self, topic: str) -> None:
        self._rung.add(topic)
        self._look.set()

    async def _read(self) -> None:
        """Read the rows whose bells rang, all in one query, and hand each to those who watch it."""
        next_look = time.monotonic() + LOOK_SECONDS
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), max(0.0, next_look - time.monotonic()))
            if time.monotonic() >= next_look:
                self._rung.update(self._watches)  # a ring may have been lost
                next_look = time.monotonic() + LOOK_SECONDS
            self._look.clear()
            ids, self._rung = list(self._rung), set()
            if not ids:
                continue
            try:
                jobs = await self._reads.by_ids(Job, ids)
            except Exception as error:  # noqa: BLE001 - whatever it is, look again
                logger.warning("live rows could not be read, again in %.1f s: %s", _PAUSE, error)
                await asyncio.sleep(_PAUSE)
                self._rung.update(ids)
                self._look.set()
                continue
            for job_id, job in zip(ids, jobs, strict=True):
                for watch in self._watches.get(job_id, ()):
                    watch.offer(job)


async def patiently(look: Callable[[], Awaitable[T]]) -> T:
    """What is found, however long the database is away: an outage must not end a subscription."""
    while True:
        try:
            return await look()
        except OUTAGE as error:
            if not will_pass(error):
                raise
            logger.warning("a look-up for a subscriber failed, again in %.1f s: %s", _PAUSE, error)
            await asyncio.sleep(_PAUSE)
