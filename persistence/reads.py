"""Look-ups that lock nothing: batches by id and keyset pages. Each opens a session for itself and is done with it."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ARRAY, ColumnElement, Select, String, and_, any_, func, literal, select, tuple_, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from domain.asset import Asset
from domain.asset_text import AssetText
from domain.attempt import Attempt
from domain.entity import Entity
from domain.event import ProjectEvent, ProjectLog
from domain.job import ENDED, Job
from domain.kinds import JobKind, Pool
from domain.membership import Membership
from domain.order import JobPayload
from domain.project import Project
from domain.refusals import InvalidInput
from domain.schedule import Schedule
from domain.timeline import Timeline
from domain.timeline_version import TimelineVersion
from domain.upload import Upload
from domain.user import User
from domain.viewer import Role
from persistence.database import Database
from persistence.line import Caps, claimable, stuck_suspect

E = TypeVar("E", bound=Entity)

LARGEST_PAGE = 100
NODES: tuple[type[Entity], ...] = (User, Membership, Project, Asset, Upload, Job, Schedule)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which page of a list: Relay's four arguments, checked."""

    count: int = 25
    backwards: bool = False
    cursor: tuple[datetime, str] | None = None
    other: tuple[datetime, str] | None = None

    @classmethod
    def of(cls, first: int | None, after: str | None, last: int | None, before: str | None) -> "Window":
        """Check the arguments of a connection."""
        if first is not None and last is not None:
            raise InvalidInput(path="last", problem="give either first or last, not both")
        for path, count in (("first", first), ("last", last)):
            if count is not None and not 0 <= count <= LARGEST_PAGE:
                raise InvalidInput(path=path, problem=f"it must be between 0 and {LARGEST_PAGE}, not {count}")
        earlier, later = _decoded("after", after), _decoded("before", before)
        if last is not None:
            return cls(count=last, backwards=True, cursor=later, other=earlier)
        return cls(count=25 if first is None else first, cursor=earlier, other=later)


def cursor_of(entity: Entity) -> str:
    """Where the entity stands in a list; opaque to clients."""
    return base64.urlsafe_b64encode(f"{entity.created_at.isoformat()} {entity.id}".encode()).decode()


def _decoded(path: str, cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    try:
        moment, _, entity_id = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        at = datetime.fromisoformat(moment).astimezone(UTC)
        if not entity_id or "\0" in entity_id:
            raise ValueError  # noqa: TRY301 - one message for all that can be wrong with it
    except (ValueError, OverflowError, binascii.Error):
        raise InvalidInput(path=path, problem="it is not a cursor of this list") from None
    return at, entity_id


@dataclass(frozen=True, kw_only=True)
class Page(Generic[E]):
    """A stretch of a list, newest first."""

    items: list[E]
    has_next: bool
    has_previous: bool


def active_render() -> tuple[ColumnElement[bool], ...]:
    """What makes a job the active render of its project."""
    return (Job.kind == JobKind.RENDER, Job.parent_id.is_(None), Job.state.not_in(ENDED))


class Reads:
    """Look-ups; who may see what is asked by the caller."""

    def __init__(self, database: Database) -> None:
        """Open nothing yet."""
        self._sessions = database.statements

    async def by_ids(self, entity: type[E], ids: Sequence[str]) -> list[E | None]:
        """The entities with these ids, in this order."""
        async with self._sessions() as session:
            # One parameter, however many ids: PostgreSQL takes 32,767 at most.
            among = any_(literal(sorted(set(ids)), ARRAY(String)))
            found = await session.scalars(select(entity).where(entity.id == among))
            there = {each.id: each for each in found}
        return [there.get(each) for each in ids]

    async def kind_of(self, entity_id: str) -> type[Entity] | None:
        """Which kind of node has this id."""
        queries = [select(literal(index)).where(kind.id == entity_id) for index, kind in enumerate(NODES)]
        async with self._sessions() as session:
            index = await session.scalar(union_all(*queries))
        return None if index is None else NODES[index]

    async def roles(self, user_id: str, project_ids: Sequence[str]) -> list[Role | None]:
        """What the user is in each of these projects."""
        query = select(Membership.project_id, Membership.role).where(
            Membership.user_id == user_id, Membership.project_id.in_(set(project_ids))
        )
        async with self._sessions() as session:
            there: dict[str, Role] = {row.project_id: row.role for row in await session.execute(query)}
        return [there.get(each) for each in project_ids]

    async def page(self, entity: type[E], where: ColumnElement[bool], window: Window) -> Page[E]:
        """One page, newest first."""
        key = tuple_(entity.created_at, entity.id)
        query = select(entity).where(where)
        # "after" means older, since the newest come first.
        if window.cursor:
            edge = tuple_(*(literal(each) for each in window.cursor))
            query = query.where(key > edge if window.backwards else key < edge)
        if window.other:
            edge = tuple_(*(literal(each) for each in window.other))
            query = query.where(key < edge if window.backwards else key > edge)
        order = (entity.created_at, entity.id)
        query = query.order_by(*(order if window.backwards else (each.desc() for each in order)))
        async with self._sessions() as session:
            found = list((await session.scalars(query.limit(window.count + 1))).all())
        more, items = len(found) > window.count, found[: window.count]
        if window.backwards:
            items.reverse()
            return Page(items=items, has_next=window.cursor is not None, has_previous=more or window.other is not None)
        return Page(items=items, has_next=more or window.other is not None, has_previous=window.cursor is not None)

    async def count(self, entity: type[E], where: ColumnElement[bool]) -> int:
        """How many there are in all."""
        return await self._one(select(func.count()).select_from(entity).where(where))

    async def payload(self, job_id: str) -> JobPayload | None:
        """What lies beside a job."""
        async with self._sessions() as session:
            return await session.get(JobPayload, job_id)

    async def asset_jobs(self, asset_ids: Sequence[str]) -> list[Job | None]:
        """The newest job that made or examined each of these assets."""
        query = select(Job).where(Job.asset_id.in_(set(asset_ids)), Job.kind != JobKind.PREPARE)
        query = query.ext(distinct_on(Job.asset_id))
        query = query.order_by(Job.asset_id, Job.created_at.desc())
        async with self._sessions() as session:
            newest = {job.asset_id: job for job in await session.scalars(query)}
        return [newest.get(each) for each in asset_ids]

    async def timelines(self, version_ids: Sequence[str]) -> list[Timeline | None]:
        """What each of these versions of timelines was; None for those that are forgotten."""
        among = any_(literal(sorted(set(version_ids)), ARRAY(String)))
        query = select(TimelineVersion.id, TimelineVersion.timeline_json).where(TimelineVersion.id == among)
        async with self._sessions() as session:
            there = {row.id: Timeline.from_json(row.timeline_json) for row in await session.execute(query)}
        return [there.get(each) for each in version_ids]

    async def texts(self, asset_ids: Collection[str]) -> dict[str, str]:
        """What those of these assets say that are text."""
        among = any_(literal(sorted(set(asset_ids)), ARRAY(String)))
        query = select(AssetText.asset_id, AssetText.text).where(AssetText.asset_id == among)
        async with self._sessions() as session:
            return {row.asset_id: row.text for row in await session.execute(query)}

    async def active_renders(self, project_ids: Sequence[str]) -> list[Job | None]:
        """The render of each of these projects that has not ended."""
        query = select(Job).where(Job.project_id.in_(set(project_ids)), *active_render())
        async with self._sessions() as session:
            there = {job.project_id: job for job in await session.scalars(query)}
        return [there.get(each) for each in project_ids]

    async def has_claimable(self, pool: Pool, kinds: Collection[JobKind], caps: Caps) -> bool:
        """Whether a job of the pool waits to be claimed."""
        async with self._sessions() as session:
            return await session.scalar(select(claimable(pool, kinds, caps).exists())) is True

    async def stuck_suspect(
        self, pools: Collection[Pool], kinds: Collection[JobKind], caps: Caps, longer_than: timedelta, worker: str
    ) -> Pool | None:
        """A pool for whose next job, which must have no company, this worker is to make room."""
        async with self._sessions() as session:
            for pool in pools:
                if await session.scalar(stuck_suspect(pool, kinds, caps, longer_than, worker)):
                    return pool
        return None

    async def children(self, parent_id: str) -> list[Job]:
        """The jobs that a job has handed its work to, in the order in which it did."""
        query = select(Job).where(Job.parent_id == parent_id).order_by(Job.created_at, Job.place)
        async with self._sessions() as session:
            return list((await session.scalars(query)).all())

    async def results(self, job_ids: Collection[str]) -> dict[str, dict[str, Any] | None]:
        """What came of each of these jobs."""
        among = any_(literal(list(job_ids), ARRAY(String)))
        query = select(JobPayload.job_id, JobPayload.result).where(JobPayload.job_id == among)
        async with self._sessions() as session:
            return {row.job_id: row.result for row in await session.execute(query)}

    async def attempts(self, job_ids: Sequence[str]) -> list[list[Attempt]]:
        """The attempts at each of these jobs that have ended, newest first; the last hundred at most."""
        place = func.row_number().over(partition_by=Attempt.job_id, order_by=Attempt.number.desc())
        numbered = select(Attempt, place.label("place")).where(Attempt.job_id.in_(set(job_ids))).subquery()
        attempt = aliased(Attempt, numbered)
        query = select(attempt).where(numbered.c.place <= LARGEST_PAGE).order_by(attempt.number.desc())
        there: dict[str, list[Attempt]] = defaultdict(list)
        async with self._sessions() as session:
            for each in await session.scalars(query):
                there[each.job_id].append(each)
        return [there[each] for each in job_ids]

    async def events(self, project_id: str, after: int, limit: int) -> list[ProjectEvent]:
        """The project's log behind this entry, in order."""
        query = (
            select(ProjectEvent)
            .where(and_(ProjectEvent.project_id == project_id, ProjectEvent.seq > after))
            .order_by(ProjectEvent.seq)
            .limit(limit)
        )
        async with self._sessions() as session:
            return list((await session.scalars(query)).all())

    async def last_event(self, project_id: str) -> int:
        """Where the project's log ends."""
        return await self._one(
            select(func.coalesce(func.max(ProjectLog.last_seq), 0)).where(ProjectLog.project_id == project_id)
        )

    async def _one(self, query: Select[int]) -> int:
        async with self._sessions() as session:
            return (await session.scalars(query)).one()
