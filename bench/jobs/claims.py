"""How fast jobs are claimed and finished, on an empty queue and on a very long one, and whether anybody starves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, func, insert, inspect, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.jobs.people import Person
from bench.jobs.processor import Meter
from bench.jobs.scenario import Claims
from domain.job import Job, JobState
from domain.kinds import PauseSpec
from domain.order import JobPayload, Order
from persistence.database import Database

_BATCH = 20_000


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Jobs claimed and finished in a time."""

    slots: int
    rows: int
    jobs: int
    seconds: float
    used: dict[str, float]
    """Processor seconds by process."""
    strangers: float

    @property
    def a_second(self) -> float:
        return self.jobs / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        used = ", ".join(f"{name} {seconds * 1000 / max(1, self.jobs):.2f}" for name, seconds in self.used.items())
        return (
            f"  {self.slots:2} slots, {self.rows:7,} rows: {self.a_second:4.0f} a second;"
            f" processor ms a job: {used}; others had {self.strangers:.0%} of the machine"
        )


async def fill(database: Database, crowd: Sequence[Person], rows: int) -> None:
    """Put so many PAUSE jobs in line, as if the crowd had placed them one after another, taking turns."""
    for begun in range(0, rows, _BATCH):
        async with database.sessions() as session, session.begin():
            await _fill(session, crowd, min(_BATCH, rows - begun))
    async with database.sessions() as session:
        # As autovacuum would have done by the time that a line has grown so long.
        await session.execute(text("ANALYZE jobs"))
        await session.commit()


async def empty(database: Database) -> None:
    """Forget all jobs."""
    async with database.sessions() as session, session.begin():
        await session.execute(text("TRUNCATE jobs CASCADE"))


async def _fill(session: AsyncSession, crowd: Sequence[Person], rows: int) -> None:
    homes = [(person.id, project) for person in crowd for project in person.projects]
    number: Any = func.generate_series(1, rows).column_valued("number")
    home = func.unnest(*(literal(list(each), ARRAY(String)) for each in zip(*homes, strict=True)))
    home = home.table_valued("owner", "project", with_ordinality="place").render_derived("home")
    now = (await session.scalars(select(func.clock_timestamp()))).one()
    order = Order(spec=PauseSpec(seconds=3600), project_id=homes[0][1], user_id=homes[0][0])
    sample, payload = order.place(now)
    values = _as_placed(sample) | {
        "id": func.substr(func.md5(func.random().cast(String)), 1, 24),
        "user_id": home.c.owner,
        "project_id": home.c.project,
        "queued_at": literal(now) + number * timedelta(microseconds=1),
        **await _turns(session, home.c.owner, number),
    }
    lot = select(*values.values()).join(home, home.c.place == 1 + number % len(homes))
    made = insert(Job).from_select(list(values), lot).returning(Job.id).cte("made")
    beside = select(made.c.id, literal(payload.spec, JobPayload.spec.type))
    await session.execute(insert(JobPayload).from_select(["job_id", "spec"], beside).add_cte(made))


def _as_placed(sample: Job) -> dict[str, ColumnElement[Any]]:
    """Every column of a fresh job as the product itself fills it."""
    columns = {each.key: each.columns[0] for each in inspect(Job).column_attrs}
    given = {name: getattr(sample, name, None) for name in columns}
    given["version"] = 1
    return {name: literal(value, columns[name].type) for name, value in given.items() if name != "created_at"}


async def _turns(session: AsyncSession, owner: Any, number: Any) -> dict[str, Any]:
    """A user's jobs take the turns behind each other, beginning with the present one."""
    present = await session.scalar(select(func.coalesce(func.max(Job.turn), 0)).where(Job.state != JobState.QUEUED))
    taken = select(func.coalesce(func.max(Job.turn), present)).scalar_subquery()
    return {"turn": taken + func.row_number().over(partition_by=owner, order_by=number)}


async def measured(database: Database, scenario: Claims, slots: int, rows: int, pids: dict[str, int]) -> Rate:
    """Watch a worker that has just been started."""
    await asyncio.sleep(scenario.warm_seconds)
    meter, begun = Meter(pids), await _now(database)
    await asyncio.sleep(scenario.seconds)
    used, strangers, over = meter.used(), meter.strangers(), await _now(database)
    async with database.sessions() as session:
        among = Job.state == JobState.COMPLETED, Job.ended_at > begun, Job.ended_at <= over
        jobs, last = (await session.execute(select(func.count(), func.max(Job.ended_at)).where(*among))).one()
    if last and not await _is_waiting(database):
        over = last  # then there was nothing left to claim
    seconds = (over - begun).total_seconds()
    return Rate(slots=slots, rows=rows, jobs=jobs, seconds=seconds, used=used, strangers=strangers)


async def ended(database: Database, jobs: int, patience: float) -> None:
    """Return when so many jobs have ended. Raises TimeoutError."""
    query = select(func.count()).select_from(Job).where(Job.state == JobState.COMPLETED)
    async with asyncio.timeout(patience), database.sessions() as session:
        while (await session.scalar(query) or 0) < jobs:
            await session.rollback()
            await asyncio.sleep(0.1)


async def claimed_before(database: Database, job_id: str, patience: float) -> tuple[int, bool]:
    """How many jobs were claimed after this one had been placed and before it was; and whether it ever was."""
    async with database.sessions() as session:
        (placed,) = await session.scalars(select(Job.created_at).where(Job.id == job_id))
        started = None
        try:
            async with asyncio.timeout(patience):
                while (started := await session.scalar(select(Job.started_at).where(Job.id == job_id))) is None:
                    await session.rollback()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            started = None
        among = [Job.started_at > placed, Job.id != job_id]
        if started is not None:
            among.append(Job.started_at < started)
        count = await session.scalar(select(func.count()).select_from(Job).where(*among))
        return count or 0, started is not None


async def _now(database: Database) -> datetime:
    async with database.sessions() as session:
        return (await session.scalars(select(func.clock_timestamp()))).one()


async def _is_waiting(database: Database) -> bool:
    async with database.sessions() as session:
        return await session.scalar(select(select(Job.id).where(Job.state == JobState.QUEUED).exists())) is True
