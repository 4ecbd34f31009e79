"""What a running job holds: what it was asked, a folder of its own, and a heartbeat that speaks and listens for it."""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Float, Interval, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.attempt import Failure, Progress
from domain.entity import Entity
from domain.job import Job, JobState
from domain.order import Child
from domain.stored import StoredObject
from persistence.database import OUTAGE
from persistence.resources import Resources
from persistence.settings import Settings
from persistence.work import Work

E = TypeVar("E", bound=Entity)

logger = logging.getLogger(__name__)

BEAT_SECONDS = 0.5
"""How often a running job tells its progress and hears whether it is to stop."""

Store = Callable[[Work, Job], Awaitable[str | None]]
"""Writes a job's output rows in the transaction that ends it; returns the id of the asset it made, if any."""


async def store_nothing(_work: Work, _job: Job) -> None:
    """For jobs that leave no rows behind."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a job, and how to keep it."""

    result: dict[str, Any] = field(default_factory=dict[str, Any])
    store: Store = store_nothing


@dataclass(frozen=True, kw_only=True)
class Fork:
    """Go on by children, and call the same function again, a step further, when all of them are done."""

    children: Sequence[Child]
    stage: str
    """What the job is doing meanwhile."""
    share: float = 0.9
    """What part of the whole they make."""


class JobFailed(Exception):
    """The attempt failed for a reason that can be told."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hopeless: bool = False,
        exit_code: int | None = None,
        tail: Sequence[str] = (),
    ) -> None:
        """Say why; hopeless means that trying again cannot help. The rest is of a program that failed."""
        super().__init__(message)
        self.failure = Failure(code=code, message=message, hopeless=hopeless, exit_code=exit_code, tail=tuple(tail))


class Verdict(Enum):
    """Why a heartbeat ended."""

    CANCEL = auto()
    LOST = auto()
    OVERDUE = auto()
    OVER = auto()


def attempts_folder(settings: Settings) -> Path:
    """Where the attempts of this machine's workers have their folders."""
    return settings.scratch_path / "jobs"


def attempt_name(job_id: str, attempt: int) -> str:
    """The name of an attempt's folder."""
    return f"{job_id}-{attempt}"


class Lease:
    """One attempt at one job, held by one worker."""

    def __init__(self, *, job: Job, asked: dict[str, Any], resources: Resources) -> None:
        """Begin as the claim left it."""
        self.job_id = job.id
        self.project_id = job.project_id
        self.user_id = job.user_id
        self.asset_id = job.asset_id
        self.attempt = job.attempt
        self.step = job.step
        """Counts the forks that are behind it: 0 the first time."""
        self.kind = job.kind
        self.pool = job.pool
        self.is_suspect = job.is_suspect
        assert job.token  # noqa: S101 - a claim sets it
        self.token = job.token
        self.asked = asked
        """The spec as it is kept."""
        self.resources = resources
        self.kin = (job.root_id, job.parent_id)
        self._floor = job.floor
        assert job.claimed_at  # noqa: S101 - a claim sets it
        assert job.attempt_ends_at  # noqa: S101 - as above
        self._ends = time.monotonic() + (job.attempt_ends_at - job.claimed_at).total_seconds()
        self._progress = Progress(stage="starting", fraction=job.floor)
        self._told: Progress | None = None
        self._untold = False
        self._announced: list[str] = []
        self._nudged = asyncio.Event()
        self._is_over = False

    @cached_property
    def folder(self) -> Path:
        """The attempt's own, made when it is first asked for: not every job needs one."""
        folder = attempts_folder(self.resources.settings) / attempt_name(self.job_id, self.attempt)
        folder.mkdir(parents=True)
        return folder

    def report(self, progress: Progress) -> None:
        """Say how far this step has come; the next heartbeat tells it. Cheap: call it as often as you like."""
        fraction = self._floor + (1 - self._floor) * min(progress.fraction, 1.0)
        self._progress = replace(progress, fraction=fraction)

    async def row(self, entity: type[E], entity_id: str) -> E:
        """A row that the job needs; without it the job is hopeless."""
        (found,) = await self.resources.reads().by_ids(entity, [entity_id])
        if found is None:
            raise JobFailed("INPUT_GONE", f"The {entity.__name__.lower()} {entity_id} was deleted.", hopeless=True)
        return found

    async def announce(self, key: str, content_type: str, within: timedelta) -> StoredObject:
        """Note in the ledger an object that is about to be stored; unless it is kept, it goes with the attempt."""
        async with self.resources.work() as work:
            stored = StoredObject(
                project_id=self.project_id, key=key, content_type=content_type, expires_at=await work.now() + within
            )
            work.add(stored)
        self._announced.append(stored.id)
        return stored

    async def clear(self) -> None:
        """Remove what the attempt leaves behind: its folder, and the objects that nothing kept."""
        if "folder" in self.__dict__:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        if self._announced:
            async with self.resources.work() as work:
                for object_id in self._announced:
                    stored = await work.locked(StoredObject, object_id)
                    if stored and stored.stored_at is None:
                        stored.doom(await work.now())

    async def children(self) -> list[tuple[Job, dict[str, Any] | None]]:
        """The children it forked into, in their order, each with what came of it."""
        reads = self.resources.reads()
        children = await reads.children(self.job_id)
        results = await reads.results([child.id for child in children])
        return [(child, results[child.id]) for child in children]

    def nudge(self) -> None:
        """Beat at once: somebody may have asked to stop."""
        self._nudged.set()

    def over(self) -> None:
        """Beat no more. A beat under way is let end: what breaks off a query costs a connection."""
        self._is_over = True
        self._nudged.set()

    async def beat(self) -> Verdict:
        """Keep the lease, tell the progress, and return when the job is to stop."""
        lease = self.resources.settings.lease_seconds
        held_until = time.monotonic() + lease
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._nudged.wait()
            self._nudged.clear()
            if self._is_over:
                return Verdict.OVER
            started = time.monotonic()
            try:
                async with asyncio.timeout(lease):
                    cancel = await self._beat_once()
            except OUTAGE as error:
                logger.warning("job %s: a heartbeat failed: %s", self.job_id, error)
                if time.monotonic() > held_until:
                    return Verdict.LOST
                continue
            if cancel is None:
                return Verdict.LOST
            if cancel:
                return Verdict.CANCEL
            if time.monotonic() > self._ends:
                return Verdict.OVERDUE
            held_until = started + lease
            await self._ring()

    async def _beat_once(self) -> bool | None:
        """Whether a cancel was asked for; None when the lease is no longer ours."""
        progress = self._progress
        self._untold = self._untold or progress != self._told
        async with self.resources.database.statements() as session:
            cancel = await _beat(session, self.job_id, self.token, progress, self.resources.settings.lease_seconds)
        self._told = progress
        return cancel

    async def _ring(self) -> None:
        """Tell those who watch, if there is something new. The lease does not depend on it."""
        if not self._untold:
            return
        self._untold = False
        topics = [self.job_id]
        # Its parent's progress is the sum of its children's; a transaction of its own, for it is locked before them.
        _, parent_id = self.kin
        if parent_id:
            try:
                async with self.resources.database.statements() as session:
                    topics += await sum_up(session, parent_id, timedelta(seconds=BEAT_SECONDS))
            except OUTAGE as error:
                logger.warning("job %s: its parent's progress was not told: %s", self.job_id, error)
        await self.resources.doorbells.ring(topics)


_WITHOUT_DISK = func.set_config("synchronous_commit", "off", True) == "off"
"""Holds always; in the statement that is its own transaction, its commit waits for no disk."""


_BEAT = (
    update(Job)
    .where(Job.id == bindparam("of"), Job.token == bindparam("held"), Job.state == JobState.PROCESSING, _WITHOUT_DISK)
    .values(
        lease_expires_at=func.clock_timestamp() + bindparam("lease", type_=Interval),
        beat=Job.beat + 1,
        beat_at=func.clock_timestamp(),
        stage=bindparam("now_stage"),
        fraction=func.greatest(Job.fraction, bindparam("now_fraction", type_=Float)),
        frames=bindparam("now_frames"),
        total_frames=bindparam("now_total_frames"),
        fps=bindparam("now_fps"),
        speed=bindparam("now_speed"),
        eta_seconds=bindparam("now_eta_seconds"),
    )
    .returning(Job.cancel_requested)
    .execution_options(synchronize_session=False)
)
"""The one bulk UPDATE of a job: it loads nothing, waits for no disk, and rings by hand. A crash of the database may
forget the last few; clients order what they see by version and attempt first."""


async def _beat(session: AsyncSession, job_id: str, token: str, progress: Progress, lease: float) -> bool | None:
    told = replace(
        progress,
        fraction=round(min(progress.fraction, 1.0), 4),
        eta_seconds=None if progress.eta_seconds is None else round(progress.eta_seconds, 1),
    )
    beat = {f"now_{name}": value for name, value in asdict(told).items()}
    beat |= {"of": job_id, "held": token, "lease": timedelta(seconds=lease)}
    return (await session.scalars(_BEAT, beat)).one_or_none()


async def sum_up(session: AsyncSession, parent_id: str, pause: timedelta) -> Sequence[str]:
    """Tell a waiting parent's progress from its children's, weighted; not again within the pause. The ids changed."""
    child = aliased(Job)
    done = case((child.state == JobState.COMPLETED, 1.0), else_=child.fraction)
    of = select(func.sum(child.weight * done) / func.nullif(func.sum(child.weight), 0)).where(
        child.parent_id == parent_id
    )
    frames = select(func.sum(child.frames)).where(child.parent_id == parent_id)
    total_frames = select(func.sum(child.total_frames)).where(child.parent_id == parent_id)
    now = func.clock_timestamp()
    statement = (
        update(Job)
        .where(Job.id == parent_id, Job.state == JobState.PROCESSING, Job.token.is_(None), ~Job.in_line, _WITHOUT_DISK)
        .where(or_(Job.beat_at.is_(None), Job.beat_at < now - pause))
        .values(
            beat=Job.beat + 1,
            beat_at=now,
            fraction=func.greatest(Job.fraction, Job.floor + Job.share * func.coalesce(of.scalar_subquery(), 0.0)),
            frames=frames.scalar_subquery(),
            total_frames=total_frames.scalar_subquery(),
        )
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(statement)).all()
