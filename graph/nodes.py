"""Finding anything by its global id."""

from typing import Annotated

import strawberry
from sqlalchemy import and_, select

from domain.asset import Asset
from domain.entity import Entity
from domain.job import Job
from domain.membership import Membership
from domain.project import Project
from domain.refusals import NotFound
from domain.schedule import Schedule
from domain.upload import Upload
from domain.user import User
from graph.context import Info
from graph.face import Node
from graph.guard import query, signed_in


@strawberry.type
class NodeQueries:
    """What can be asked of anything."""

    @query(signed_in, Node | None)
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Of anything.")]
    ) -> Entity:
        """Anything that has a global id and that the viewer may see."""
        kind = await info.context.loaders.reads.kind_of(id)
        entity = await info.context.loaders.get(kind, id) if kind else None
        if entity is None or not await _sees(info, entity):
            raise NotFound(what="node", id=id)
        return entity


async def _sees(info: Info, entity: Entity) -> bool:
    if isinstance(entity, User):
        return await _knows(info, entity)
    if isinstance(entity, Project):
        return await info.context.sees(entity.id)
    if isinstance(entity, Membership | Asset | Upload | Job | Schedule):
        return await info.context.sees(entity.project_id)
    return False


async def _knows(info: Info, user: User) -> bool:
    """Whether the viewer is the user, shares a project with them, or administers the installation."""
    me = info.context.me
    if me.is_admin or me.user_id == user.id:
        return True
    mine = select(Membership.project_id).where(Membership.user_id == me.user_id)
    shared = and_(Membership.user_id == user.id, Membership.project_id.in_(mine))
    return await info.context.loaders.reads.count(Membership, shared) > 0
