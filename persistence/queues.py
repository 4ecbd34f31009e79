"""The queues as their operator sees them, the workers that serve them, and pausing them."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, String, cast, delete, func, literal, null, select, union_all
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.job import MOST_LOSSES, Job, JobState
from domain.kinds import JobKind, Pool
from domain.pool import (
    FAILED_MINUTES,
    RATE_MINUTES,
    SILENT_SECONDS,
    STUCK_SECONDS,
    KindNumbers,
    PausedPool,
    Queue,
    QueueWorker,
    WorkerPresence,
)
from domain.user import User
from persistence.database import Database
from persistence.line import Caps, claimable
from persistence.queue import MOST_WAKES
from persistence.work import Work

_FORGOTTEN_AFTER = timedelta(days=1)
# When the transaction began: an index can be searched by that, but not by a clock that moves during the search.
_NOW: ColumnElement[Any] = func.now()


# What operators see


async def queues(database: Database, caps: Caps) -> list[Queue]:
    """How it stands with every pool: in three statements, and one more for a pool in which jobs seem to be stuck."""
    async with database.sessions() as session:
        return await _queues(session, caps)


async def queues_and_admins(database: Database, caps: Caps) -> tuple[list[Queue], frozenset[str]]:
    """How it stands with every pool, and the ids of all who are administrators at this moment."""
    async with database.sessions() as session:
        found = await _queues(session, caps)
        return found, frozenset((await session.scalars(select(User.id).where(User.is_admin))).all())


async def _queues(session: AsyncSession, caps: Caps) -> list[Queue]:
    tallies = _Tallies()
    for row in await session.execute(_TALLIES):
        tallies.add(*row)
    paused = {each.pool: each for each in await session.scalars(select(PausedPool))}
    silent = WorkerPresence.seen_at < _NOW - timedelta(seconds=SILENT_SECONDS)
    present = (await session.execute(select(WorkerPresence, silent).order_by(WorkerPresence.name))).all()
    found: list[Queue] = []
    for pool in Pool:
        workers = [
            QueueWorker(
                name=worker.name,
                slots=worker.pools[pool],
                running=tallies.running[pool, worker.name],
                draining=worker.draining,
                silent=is_silent,
                started_at=worker.started_at,
                seen_at=worker.seen_at,
            )
            for worker, is_silent in present
            if pool in worker.pools
        ]
        idle = sum(worker.idle_slots for worker in workers if worker.name not in tallies.kept_free)
        late = tallies.oldest(pool) > STUCK_SECONDS
        stuck = await _stuck(session, pool, caps, idle) if idle and late and pool not in paused else {}
        found.append(Queue.of(pool, tallies.kinds(pool, stuck), workers, paused.get(pool)))
    return found


async def _stuck(session: AsyncSession, pool: Pool, caps: Caps, idle: int) -> dict[JobKind, int]:
    """Jobs that a worker should have claimed long ago: at most as many as there are slots that would take them."""
    late = claimable(pool, list(JobKind), caps, suspects=False)
    late = late.where(Job.queued_at < _NOW - timedelta(seconds=STUCK_SECONDS)).limit(idle)
    jobs = late.with_only_columns(Job.kind).subquery()
    rows = await session.execute(select(jobs.c.kind, func.count()).group_by(jobs.c.kind))
    return {kind: count for kind, count in rows}  # noqa: C416 - dict() would lose the types of the row


class _Tallies:
    """What the jobs table says: how many of what, for each pool and kind."""

    def __init__(self) -> None:
        self._counts: dict[Pool, dict[JobKind, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        self._ages: dict[tuple[Pool, JobKind], float] = {}
        self.running: dict[tuple[Pool, str], int] = defaultdict(int)
        """By pool and worker."""
        self.kept_free: set[str] = set()
        """Workers whose free slots stay so: they are at a job that may have no company (see `Job.is_suspect`)."""

    def add(self, what: str, pool: Pool, kind: JobKind, worker: str | None, count: int, age: float | None) -> None:
        counts = self._counts[pool][kind]
        counts[what] = counts.get(what, 0) + count
        if age is not None:
            self._ages[pool, kind] = round(age, 1)
        if worker is not None and what == "running":
            self.running[pool, worker] += count
        elif worker is not None:
            self.kept_free.add(worker)

    def oldest(self, pool: Pool) -> float:
        return max((age for (where, _), age in self._ages.items() if where == pool), default=0.0)

    def kinds(self, pool: Pool, stuck: Mapping[JobKind, int]) -> list[KindNumbers]:
        """Only those with something to tell."""
        return [
            KindNumbers(
                kind=kind,
                depth=count.get("in line", 0),
                scheduled=count.get("scheduled", 0),
                waiting=count.get("waiting", 0),
                oldest_seconds=self._ages.get((pool, kind)),
                running=count.get("running", 0),
                completed_per_minute=count.get("completed", 0) / RATE_MINUTES,
                failures=count.get("failed", 0),
                stuck=count.get("expired", 0) + stuck.get(kind, 0),
            )
            for kind, count in sorted(self._counts[pool].items())
        ]


def _constant(value: str | bool) -> ColumnElement[Any]:
    """Written out in the statement: PostgreSQL must see that the condition is the one of an index."""
    return literal(value, literal_execute=True)


def _tally(
    what: str,
    *where: ColumnElement[bool],
    worker: ColumnElement[Any] | None = None,
    age: ColumnElement[Any] | None = None,
) -> Select[*tuple[Any, ...]]:
    by = [] if worker is None else [worker]
    columns = (
        cast(null(), String) if worker is None else worker,
        func.count(),
        cast(null() if age is None else age, Float),
    )
    return select(literal(what), Job.pool, Job.kind, *columns).where(*where).group_by(Job.pool, Job.kind, *by)


def _in(state: JobState) -> ColumnElement[bool]:
    return Job.state == _constant(state)


def _since(minutes: int) -> ColumnElement[bool]:
    return Job.ended_at > _NOW - timedelta(minutes=minutes)


_AT_WORK = (_in(JobState.PROCESSING), Job.token.is_not(None))

# Each part reads one partial index: the jobs in line, those put off, those at work, those that ended lately. What ended
# long ago is not touched, however much of it there is.
_TALLIES = union_all(
    _tally("in line", Job.in_line.expression, age=func.extract("epoch", _NOW - func.min(Job.queued_at))),
    _tally("scheduled", _in(JobState.QUEUED), ~Job.in_line),
    _tally("waiting", _in(JobState.PROCESSING), ~Job.in_line, Job.token.is_(None)),
    _tally("running", *_AT_WORK, worker=Job.worker.expression),
    _tally("alone", *_AT_WORK, Job.losses >= MOST_LOSSES - 1, worker=Job.worker.expression),
    _tally("expired", _in(JobState.PROCESSING), Job.lease_expires_at < _NOW),
    _tally("completed", _in(JobState.COMPLETED), _since(RATE_MINUTES)),
    _tally("failed", _in(JobState.FAILED), _since(FAILED_MINUTES)),
)


# Pausing


async def pause(work: Work, pool: Pool, user_id: str) -> None:
    """Let nothing more be claimed from the pool. Who paused it first has done so; again is harmless."""
    await work.session.execute(upsert(PausedPool).values(pool=pool, paused_by=user_id).on_conflict_do_nothing())


async def resume(work: Work, pool: Pool) -> None:
    """Let its jobs be claimed again, from this commit on; harmless where it is not paused."""
    await work.session.execute(delete(PausedPool).where(PausedPool.pool == pool))
    work.wakes[pool] = MOST_WAKES


# Presence


async def present(
    database: Database,
    name: str,
    slots: Mapping[Pool, int],
    *,
    draining: bool = False,
    tools: dict[str, Any] | None = None,
) -> None:
    """Say that a worker is there, with so many slots in each pool. Once said every PRESENT_SECONDS."""
    said = upsert(WorkerPresence).values(
        name=name, pools={pool.value: n for pool, n in slots.items()}, draining=draining, tools=tools
    )
    said = said.on_conflict_do_update(
        index_elements=[WorkerPresence.name],
        set_={"seen_at": _NOW, "draining": draining, "pools": said.excluded.pools, "tools": said.excluded.tools},
    )
    async with database.sessions() as session, session.begin():
        # It is said again in a moment: nobody need wait for a disk.
        await session.execute(func.set_config("synchronous_commit", "off", True).select())
        await session.execute(said)


async def absent(database: Database, name: str) -> None:
    """Say that a worker has left, with nothing of its own left to do."""
    async with database.sessions() as session, session.begin():
        await session.execute(delete(WorkerPresence).where(WorkerPresence.name == name))


async def forget_silent_workers(database: Database) -> None:
    """Forget workers that nobody has heard of for a day."""
    async with database.sessions() as session, session.begin():
        await session.execute(delete(WorkerPresence).where(WorkerPresence.seen_at < _NOW - _FORGOTTEN_AFTER))
