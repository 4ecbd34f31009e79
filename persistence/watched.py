"""What live connections look at again and again: however many things are looked at, one query asks for them all."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ARRAY, BigInteger, String, any_, column, exists, func, inspect, literal, select, true
from sqlalchemy.orm import aliased

from domain.entity import Entity
from domain.event import ProjectEvent
from domain.membership import Membership
from domain.project import Project
from persistence.database import Database

E = TypeVar("E", bound=Entity)

Member = tuple[str, str]
"""A user and a project, by their ids."""
Place = tuple[str, int]
"""A project's id, and the entry of its log behind which."""


async def snapshots(database: Database, entity: type[E], ids: Sequence[str]) -> list[E | None]:
    """The entities with these ids, in this order, fit for reading only: at a seventh of what loading them costs."""
    mapper = inspect(entity)
    columns = {attribute.key: attribute.columns[0] for attribute in mapper.column_attrs}
    # One parameter, however many ids: PostgreSQL takes 32,767 at most.
    query = select(*columns.values()).where(columns["id"] == any_(literal(list(ids), ARRAY(String))))
    there: dict[str, E] = {}
    async with database.statements() as session:
        for row in await session.execute(query):
            snapshot: E = mapper.class_manager.new_instance()
            vars(snapshot).update(zip(columns, row, strict=True))
            there[snapshot.id] = snapshot
    return [there.get(each) for each in ids]


async def logs(database: Database, places: Sequence[Place], limit: int) -> dict[Place, list[ProjectEvent] | None]:
    """What the logs say behind these places, in order, so many entries of each; None where the project is gone."""
    ids, after = zip(*places, strict=True)
    asked = func.unnest(literal(list(ids), ARRAY(String)), literal(list(after), ARRAY(BigInteger)))
    place = asked.table_valued("project_id", column("after", BigInteger)).render_derived()
    entries = (
        select(ProjectEvent)
        .where(ProjectEvent.project_id == place.c.project_id, ProjectEvent.seq > place.c.after)
        .order_by(ProjectEvent.seq)
        .limit(limit)
        .lateral()
    )
    event = aliased(ProjectEvent, entries)
    query = select(place.c.project_id, place.c.after, event).join(Project, Project.id == place.c.project_id)
    query = query.outerjoin(entries, true()).order_by(place.c.project_id, place.c.after, event.seq)
    found: dict[Place, list[ProjectEvent] | None] = dict.fromkeys(places)
    async with database.statements() as session:
        for project_id, behind, entry in await session.execute(query):
            there = found[project_id, behind] = found[project_id, behind] or []
            if entry:
                there.append(entry)
    return found


async def strangers(database: Database, members: Sequence[Member]) -> list[Member]:
    """Those of these who are no members any more of a project that is still there."""
    users, projects = zip(*members, strict=True)
    asked = func.unnest(literal(list(users), ARRAY(String)), literal(list(projects), ARRAY(String)))
    one = asked.table_valued("user_id", "project_id").render_derived()
    member = exists().where(Membership.user_id == one.c.user_id, Membership.project_id == one.c.project_id)
    query = select(one.c.user_id, one.c.project_id).join(Project, Project.id == one.c.project_id).where(~member)
    async with database.statements() as session:
        return [(row.user_id, row.project_id) for row in await session.execute(query)]
