"""What the database says of a run when it is over."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import func, select

from domain.asset import Asset
from domain.attempt import Attempt, Outcome
from domain.event import ProjectEvent
from domain.job import Job, JobState
from domain.kinds import JobKind
from persistence.database import Database
from tests.chaos.acts import Entry, Place
from tests.chaos.history import JobHistory

_STRAGGLING = 10
"""Seconds in which the last entries of a log have to be told."""


@dataclass(kw_only=True)
class Evidence:
    """Beside what is kept with each job."""

    jobs: int = 0
    """Without children."""
    surplus: int = 0
    """Assets beyond one for each upload and each completed render."""
    gaps: int = 0
    """Projects whose log was not told as it is."""
    logs: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    async def collect(self, database: Database, histories: dict[str, JobHistory], places: Sequence[Place]) -> None:
        """Complete the histories of all jobs, and compare the logs."""
        async with database.sessions() as session:
            rows = (await session.scalars(select(Job))).all()
            attempts: dict[str, list[Attempt]] = defaultdict(list)
            for attempt in await session.scalars(select(Attempt).order_by(Attempt.number)):
                attempts[attempt.job_id].append(attempt)
            for event in await session.scalars(select(ProjectEvent).order_by(ProjectEvent.seq)):
                self.logs[event.project_id].append((event.kind.value, event.subject_id))
            assets = (await session.scalars(select(func.count()).select_from(Asset))).one()
        for job in rows:
            if job.parent_id is None:
                _complete(histories.setdefault(job.id, JobHistory()), job, attempts[job.id])
        for job in rows:
            if job.parent_id is not None:
                histories[job.parent_id].children.append(_complete(JobHistory(), job, attempts[job.id]))
        roots = [job for job in rows if job.parent_id is None]
        self.jobs = len(roots)
        made = [job for job in roots if job.kind == JobKind.RENDER and job.state == JobState.COMPLETED]
        self.surplus = assets - len(made) - sum(job.kind == JobKind.INGEST for job in roots)
        for place in places:
            for kind, subject in self.logs[place.id]:
                if kind.startswith("JOB_"):
                    histories[subject].told.append(kind)
            self.gaps += not await self._was_told(place)

    async def _was_told(self, place: Place) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STRAGGLING):
                while len(place.log) < len(self.logs[place.id]):
                    await asyncio.sleep(0.05)
        return place.log == self.logs[place.id]


def _complete(history: JobHistory, job: Job, attempts: Sequence[Attempt]) -> JobHistory:
    history.state, history.error = job.state.value, job.error_code
    history.attempt, history.version = job.attempt, job.version
    history.outcomes = [attempt.outcome.value for attempt in attempts]
    lost = (attempt.worker for attempt in attempts if attempt.outcome == Outcome.LOST)
    history.losers = [int(worker.split(":")[1]) for worker in lost if worker]
    return history
