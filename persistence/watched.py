"""What live connections look at again and again: however many things are looked at, one query asks for them all.

The statements are built once: for a few rows that costs more than the rows.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    String,
    any_,
    bindparam,
    column,
    exists,
    func,
    inspect,
    select,
    true,
)
from sqlalchemy.orm import aliased

from domain.entity import Entity
from domain.event import ProjectEvent
from domain.job import Job
from domain.membership import Membership
from domain.project import Project
from domain.viewer import Role
from persistence.database import Database

E = TypeVar("E", bound=Entity)

Member = tuple[str, str]
"""A user and a project, by their ids."""
Place = tuple[str, int]
"""A project's id, and the entry of its log behind which."""


async def snapshots(database: Database, entity: type[E], ids: Sequence[str]) -> list[E | None]:
    """The entities with these ids, in this order, fit for reading only: at a seventh of what loading them costs."""
    query, snapshot = _snapshots(entity)
    async with database.statements() as session:
        there = {each.id: each for each in map(snapshot, await session.execute(query, {"ids": list(ids)}))}
    return [there.get(each) for each in ids]


async def job_and_role(database: Database, job_id: str, user_id: str) -> tuple[Job | None, Role | None]:
    """A job, fit for reading only, and what a user is in its project: what it takes to admit a watcher."""
    query, snapshot = _snapshots(Job)
    async with database.statements() as session:
        row = (await session.execute(_with_role(query), {"ids": [job_id], "user_id": user_id})).one_or_none()
    return (snapshot(row[:-1]), row[-1]) if row else (None, None)


async def logs(database: Database, places: Sequence[Place], limit: int) -> dict[Place, list[ProjectEvent] | None]:
    """What the logs say behind these places, in order, so many entries of each; None where the project is gone."""
    ids, after = zip(*places, strict=True)
    found: dict[Place, list[ProjectEvent] | None] = dict.fromkeys(places)
    asked = {"ids": list(ids), "after": list(after), "limit": limit}
    async with database.statements() as session:
        for project_id, behind, entry in await session.execute(_entries(), asked):
            there = found[project_id, behind] = found[project_id, behind] or []
            if entry:
                there.append(entry)
    return found


async def strangers(database: Database, members: Sequence[Member]) -> list[Member]:
    """Those of these who are no members any more of a project that is still there."""
    users, projects = zip(*members, strict=True)
    async with database.statements() as session:
        found = await session.execute(_lost_members(), {"users": list(users), "projects": list(projects)})
        return [(row.user_id, row.project_id) for row in found]


@cache
def _snapshots(entity: type[E]) -> tuple[Select[*tuple[Any, ...]], Callable[[Sequence[Any]], E]]:
    """The query for the rows of an entity with `ids`, and what makes a snapshot of a row."""
    mapper = inspect(entity)
    columns = {attribute.key: attribute.columns[0] for attribute in mapper.column_attrs}
    new_instance: Callable[[], E] = mapper.class_manager.new_instance

    def snapshot(row: Sequence[Any]) -> E:
        made = new_instance()
        made.__dict__.update(zip(columns, row, strict=True))
        return made

    # One parameter, however many ids: PostgreSQL takes 32,767 at most.
    among = columns["id"] == any_(bindparam("ids", type_=ARRAY(String)))
    return select(*columns.values()).where(among), snapshot


@cache
def _with_role(jobs: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    mine = Membership.project_id == Job.project_id, Membership.user_id == bindparam("user_id")
    return jobs.add_columns(select(Membership.role).where(*mine).scalar_subquery())


@cache
def _entries() -> Select[Any, Any, ProjectEvent]:
    asked = func.unnest(bindparam("ids", type_=ARRAY(String)), bindparam("after", type_=ARRAY(BigInteger)))
    place = asked.table_valued("project_id", column("after", BigInteger)).render_derived()
    entries = (
        select(ProjectEvent)
        .where(ProjectEvent.project_id == place.c.project_id, ProjectEvent.seq > place.c.after)
        .order_by(ProjectEvent.seq)
        .limit(bindparam("limit", type_=BigInteger))
        .lateral()
    )
    event = aliased(ProjectEvent, entries)
    query = select(place.c.project_id, place.c.after, event).join(Project, Project.id == place.c.project_id)
    return query.outerjoin(entries, true()).order_by(place.c.project_id, place.c.after, event.seq)


@cache
def _lost_members() -> Select[Any, Any]:
    asked = func.unnest(bindparam("users", type_=ARRAY(String)), bindparam("projects", type_=ARRAY(String)))
    one = asked.table_valued("user_id", "project_id").render_derived()
    member = exists().where(Membership.user_id == one.c.user_id, Membership.project_id == one.c.project_id)
    return select(one.c.user_id, one.c.project_id).join(Project, Project.id == one.c.project_id).where(~member)
