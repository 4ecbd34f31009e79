"""Live fan-out of one process: bells in, rows out.

However many bells ring, one query reads the rows of all jobs, and one all logs. What is made of them, and for whom, is
the business of graph.transport.live.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from domain.event import ProjectEvent
from domain.job import Job, JobState
from domain.refusals import NotFound, Refusal
from domain.viewer import Viewer
from graph.rights import Watch
from graph.transport.live import Log, LogFeed, State, StateFeed, Stop
from persistence import watched
from persistence.database import Database
from persistence.feed import Doorbells
from persistence.work import log_topic

logger = logging.getLogger(__name__)

LOG_BATCH = 100
LOOK_SECONDS = 5.0
"""How often what is watched is read without a ring: a process killed between its commit and its ring rings nobody."""
_GATHER = 0.005
"""Seconds between two readings: all who ring meanwhile are read together."""
_MOST_ROWS = 500
"""Rows of one query: a look at thousands of jobs must not hold up everybody else."""
_PAUSE = 0.5

Offer = Callable[[Job | None], None]
W = TypeVar("W")


class Hub:
    """One for each API process."""

    def __init__(self, database: Database, doorbells: Doorbells) -> None:
        """Watch nothing yet."""
        self._database = database
        self._doorbells = doorbells
        self._jobs: dict[str, tuple[list[Offer], Stop]] = {}
        """Who watches each job, and what takes its bell down."""
        self._logs: dict[str, tuple[list[Callable[[], None]], Stop]] = {}
        self._rung: set[str] = set()
        """The jobs to be read next."""
        self._asked: dict[watched.Place, asyncio.Future[list[ProjectEvent] | None]] = {}
        """The logs to be read next: the project, and the place behind which."""
        self._wake = asyncio.Event()
        self._members = Watch(partial(watched.strangers, database))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Listen and read as long as the block lasts."""
        async with self._doorbells.listening():
            task = asyncio.create_task(self._run(), name="hub")
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def job(self, job_id: str, viewer: Viewer, *, every: float = 0.0) -> State[Job]:
        """A job that the viewer may see: as it is now, then each newer state, up to the one in which it ends.

        `every` says how many seconds apart they are to be at least. Refuses a stranger, as if there were no such job.
        """
        refusal = NotFound(what="job", id=job_id)
        job, role = await watched.job_and_role(self._database, job_id, viewer.user_id)
        if job is None or not viewer.sees(role):
            raise refusal
        hold = partial(self._hold, viewer, job.project_id, refusal)
        return State(feed=_JobFeed(self, job.id), present=job, every=every, hold=hold)

    def log(self, project_id: str, viewer: Viewer, *, after: int, end: int) -> Log[ProjectEvent]:
        """The project's log behind an entry, for a viewer who may see the project. `end` is its newest entry."""
        hold = partial(self._hold, viewer, project_id, NotFound(what="project", id=project_id))
        return Log(feed=_LogFeed(self, project_id), after=after, end=end, hold=hold)

    def watch_job(self, job_id: str, offer: Offer) -> Stop:
        """Offer each row of the job that is read from now on, None when there is none."""
        # It may have changed between the look that admitted the watcher and now. A bell that is hung rings by itself.
        if job_id in self._jobs:
            self._ring(job_id)
        else:
            self._jobs[job_id] = [], self._doorbells.hang(job_id, self._ring)
        self._jobs[job_id][0].append(offer)
        return partial(self._forget, self._jobs, job_id, offer)

    def watch_log(self, project_id: str, bell: Callable[[], None]) -> Stop:
        """Ring when the project's log may have grown."""
        if project_id not in self._logs:
            take_down = self._doorbells.hang(log_topic(project_id), lambda _topic: self._ring_log(project_id))
            self._logs[project_id] = [], take_down
        self._logs[project_id][0].append(bell)
        return partial(self._forget, self._logs, project_id, bell)

    async def entries(self, project_id: str, after: int) -> list[ProjectEvent] | None:
        """The log's next entries, a batch at most, however long the database is away; None: there is no project."""
        asked = self._asked.get((project_id, after))
        if asked is None:
            asked = self._asked[project_id, after] = asyncio.get_running_loop().create_future()
            self._wake.set()
        return await asyncio.shield(asked)

    def _hold(self, viewer: Viewer, project_id: str, refusal: Refusal, lost: Callable[[Exception], None]) -> Stop:
        if viewer.is_admin:  # sees every project; no longer being one ends the whole connection
            return _nothing
        return self._members.add((viewer.user_id, project_id), partial(lost, refusal))

    def _forget(self, watching: dict[str, tuple[list[W], Stop]], key: str, watcher: W) -> None:
        if key not in watching or watcher not in watching[key][0]:
            return
        watchers, take_down = watching[key]
        watchers.remove(watcher)
        if not watchers:
            del watching[key]
            take_down()

    def _ring(self, job_id: str) -> None:
        self._rung.add(job_id)
        self._wake.set()

    def _ring_log(self, project_id: str) -> None:
        for bell in self._logs[project_id][0] if project_id in self._logs else ():
            bell()

    async def _run(self) -> None:
        next_look = time.monotonic() + LOOK_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, next_look - time.monotonic())):
                    await self._wake.wait()
            if time.monotonic() >= next_look:  # a ring may have been lost
                self._rung.update(self._jobs)
                for project_id in self._logs:
                    self._ring_log(project_id)
                next_look = time.monotonic() + LOOK_SECONDS
            self._wake.clear()
            try:
                await self._read_jobs()
                await self._read_logs()
            except Exception as error:  # noqa: BLE001 - whatever it is, look again
                logger.warning("live rows could not be read, again in %.1f s: %s", _PAUSE, error)
                self._wake.set()
                await asyncio.sleep(_PAUSE)
            else:
                await asyncio.sleep(_GATHER)

    async def _read_jobs(self) -> None:
        """Read the jobs whose bells rang, and offer each to those who watch it."""
        rung, self._rung = [job_id for job_id in self._rung if job_id in self._jobs], set()
        try:
            while rung:
                ids = rung[-_MOST_ROWS:]
                jobs = await watched.snapshots(self._database, Job, ids)
                del rung[-_MOST_ROWS:]
                for job_id, job in zip(ids, jobs, strict=True):
                    for offer in tuple(self._jobs[job_id][0]) if job_id in self._jobs else ():
                        try:
                            offer(job)
                        except Exception:  # one watcher's trouble is nobody else's
                            logger.exception("the state of job %s could not be shown", job_id)
        finally:
            self._rung.update(rung)

    async def _read_logs(self) -> None:
        """Read the logs that somebody waits for."""
        asked, self._asked = self._asked, {}
        if not asked:
            return
        try:
            found = await watched.logs(self._database, list(asked), LOG_BATCH)
        except BaseException:
            self._asked = asked | self._asked
            raise
        for place, waiting in asked.items():
            if not waiting.done():
                waiting.set_result(found[place])


class _JobFeed(StateFeed[Job]):
    """A job, ordered by what was read of it."""

    __slots__ = ("_hub", "_job_id")

    def __init__(self, hub: Hub, job_id: str) -> None:
        self._hub = hub
        self._job_id = job_id

    def watch(self, offer: Offer) -> Stop:
        return self._hub.watch_job(self._job_id, offer)

    def is_newer(self, value: Job, than: Job) -> bool:
        # A heartbeat may be forgotten in a crash of the database, so an end may come with an older one.
        return value.stamp > than.stamp or (value.state.ended and value.version >= than.version)

    def is_last(self, value: Job) -> bool:
        return value.state.ended

    def gone(self, value: Job) -> Job:
        """Deleted with its project, which cancelled it first."""
        value.state = JobState.CANCELLED
        return value


class _LogFeed(LogFeed[ProjectEvent]):
    __slots__ = ("_hub", "_project_id")

    def __init__(self, hub: Hub, project_id: str) -> None:
        self._hub = hub
        self._project_id = project_id

    def watch(self, bell: Callable[[], None]) -> Stop:
        return self._hub.watch_log(self._project_id, bell)

    async def read(self, after: int) -> list[ProjectEvent] | None:
        return await self._hub.entries(self._project_id, after)

    def place(self, entry: ProjectEvent) -> int:
        return entry.seq


def _nothing() -> None:
    """Stop what was not begun."""
