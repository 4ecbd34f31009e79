"""Who is next: the order in which workers take the jobs of a pool, in SQL.

Priority first. Within a priority users take turns, by start-time fair queueing (Goyal, Vin, Cheng 1996) with jobs as
the unit: a job's `turn` is one behind its user's last, but not before the last that was taken. So the 500 jobs of one
user stand at 500 turns, and another's first job stands beside the next of them. A turn is given once, when a job comes
into line, from two index probes; taking the next job is one more. No state beside the jobs themselves is kept.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, and_, any_, bindparam, exists, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from domain.job import MOST_LOSSES, Job, JobState
from domain.kinds import JobKind, Pool
from domain.order import JobPayload
from domain.pool import SILENT_SECONDS, PausedPool, WorkerPresence
from persistence.settings import Settings

_BEFORE_THE_FIRST = 0


@dataclass(frozen=True, kw_only=True)
class Caps:
    """How many root jobs may run at once; None for any number. Children run on their root's account."""

    user: int | None = None
    project: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Caps":
        """Those of this installation."""
        return cls(user=settings.user_running_jobs or None, project=settings.project_running_jobs or None)


def claimable(pool: Pool, kinds: Collection[JobKind], caps: Caps, *, suspects: bool = True) -> Select[Job]:
    """The jobs of a pool that may be taken now, the next one first.

    Suspects (see `Job.is_suspect`) are for a worker that is otherwise idle.
    """
    # As one array: an IN would be written out anew for each execution.
    among = any_(literal(sorted(kinds), ARRAY(Job.kind.type)))
    query = select(Job).where(Job.pool == pool, Job.in_line, Job.kind == among, *_within(caps))
    # A worker of a version that knows no lines leaves jobs in them that it has taken or ended.
    query = query.where(Job.token.is_(None), or_(Job.state == JobState.QUEUED, Job.state == JobState.PROCESSING))
    query = query.where(~exists().where(PausedPool.pool == pool))
    if not suspects:
        query = query.where(Job.losses < MOST_LOSSES - 1)
    return query.order_by(Job.priority.desc(), Job.turn, Job.queued_at)


@cache
def next_claims(
    pool: Pool, kinds: frozenset[JobKind], caps: Caps, *, suspects: bool, most: int
) -> Select[Job, dict[str, Any], datetime]:
    """The next jobs, locked, with what they are asked and the database's clock; those being taken are passed over."""
    query = claimable(pool, kinds, caps, suspects=suspects).join(JobPayload, JobPayload.job_id == Job.id)
    query = query.with_only_columns(Job, JobPayload.spec, func.clock_timestamp())
    return query.limit(most).with_for_update(of=Job, skip_locked=True, key_share=True)


def over(caps: Caps, job: Job) -> ColumnElement[bool] | None:
    """Whether one more running job like this would be one too many; None where nothing limits it."""
    limits = [
        (Job.project_id, job.project_id, caps.project),
        (Job.user_id, job.user_id, caps.user),
    ]
    if not counts(job):
        return None
    full = [
        select(func.count() >= cap).where(_RUNNING, column == value).scalar_subquery()
        for column, value, cap in limits
        if cap is not None and value is not None
    ]
    return or_(*full) if full else None


def counts(job: Job) -> bool:
    """Whether it is on its own account: children are on their root's, and one that goes on has been counted."""
    return job.parent_id is None and job.state == JobState.QUEUED


def stuck_suspect(
    pool: Pool, kinds: Collection[JobKind], caps: Caps, longer_than: timedelta, worker: str
) -> Select[bool]:
    """Whether the pool's next job is a suspect that no idle worker has taken for so long, and this one is to.

    Of all workers only the first by name is: one job must not keep the others from their work.
    """
    before = exists().where(
        WorkerPresence.name < worker,
        ~WorkerPresence.draining,
        WorkerPresence.seen_at > func.clock_timestamp() - timedelta(seconds=SILENT_SECONDS),
        func.jsonb_exists(WorkerPresence.pools, pool.value),
    )
    first = claimable(pool, kinds, caps).limit(1).with_only_columns(Job.losses, Job.queued_at).subquery()
    late = first.c.queued_at < func.clock_timestamp() - longer_than
    return select(and_(first.c.losses >= MOST_LOSSES - 1, late, ~before))


def due(most: int) -> Select[Job]:
    """The jobs whose time has come, locked."""
    come = or_(Job.not_before.is_(None), Job.not_before <= func.clock_timestamp())
    query = select(Job).where(Job.state == JobState.QUEUED, ~Job.in_line, come)
    return query.order_by(Job.not_before).limit(most).with_for_update(skip_locked=True, key_share=True)


async def line_up(session: AsyncSession, jobs: Iterable[Job]) -> None:
    """Give a turn to each job that has come into line without one."""
    waiting = [job for job in jobs if job.in_line and job.turn is None]
    waiting.sort(key=_line)
    with session.no_autoflush:
        for (pool, priority, user_id), others in groupby(waiting, _line):
            whose = {"pool": pool, "priority": priority, "user_id": user_id or None}
            first = (await session.scalars(_NEXT_TURN, whose)).one()
            for place, job in enumerate(others):
                job.turn = first + place


def _next_turn() -> Select[int]:
    """The turn of a user's next job."""
    here = (Job.pool == bindparam("pool"), Job.priority == bindparam("priority"))
    # In the words of its index, so that it is used whatever the parameters are.
    taken = select(func.max(Job.turn)).where(*here, text("attempt > 0")).scalar_subquery()
    own = select(func.max(Job.turn) + 1).where(*here, Job.user_id == bindparam("user_id")).scalar_subquery()
    return select(func.coalesce(func.greatest(taken, own), _BEFORE_THE_FIRST))


_NEXT_TURN = _next_turn()


def silent() -> ColumnElement[bool]:
    """Jobs whose worker has let its lease run out."""
    return and_(Job.state == JobState.PROCESSING, Job.lease_expires_at < func.clock_timestamp())


def overdue(grace: timedelta) -> ColumnElement[bool]:
    """Jobs whose attempt should have ended for so long."""
    late = and_(Job.state == JobState.PROCESSING, Job.attempt_ends_at < func.clock_timestamp() - grace)
    # A parent that has been told of it waits for its children to stop.
    return and_(late, or_(Job.token.is_not(None), Job.error_code.is_(None)))


def childless() -> ColumnElement[bool]:
    """Parents that wait for children none of which is left: only a bug of ours could leave one."""
    child = aliased(Job)
    left = exists().where(child.parent_id == Job.id, child.state.in_([JobState.QUEUED, JobState.PROCESSING]))
    return and_(Job.state == JobState.PROCESSING, Job.token.is_(None), ~Job.in_line, ~left)


_RUNNING = and_(Job.state == JobState.PROCESSING, Job.parent_id.is_(None))


def _within(caps: Caps) -> list[ColumnElement[bool]]:
    limits: list[tuple[InstrumentedAttribute[Any], int | None]] = [
        (Job.project_id, caps.project),
        (Job.user_id, caps.user),
    ]
    found: list[ColumnElement[bool]] = []
    for column, cap in limits:
        if cap is not None:
            # Few run at a time, so this is a small set, found once for the whole query.
            full = select(column).where(_RUNNING, column.is_not(None)).group_by(column).having(func.count() >= cap)
            alone = or_(Job.parent_id.is_not(None), Job.state == JobState.PROCESSING, column.is_(None))
            found.append(or_(alone, column.not_in(full)))
    return found


def _line(job: Job) -> tuple[Pool, int, str]:
    return job.pool, job.priority, job.user_id or ""
