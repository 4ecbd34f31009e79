"""Users: who is signed in, and leaving for good."""

from typing import Annotated

import strawberry
from sqlalchemy import select
from strawberry import auto

from domain.membership import Membership
from domain.project import Project
from domain.refusals import NotFound, OwnsSharedProjects
from domain.user import User
from domain.viewer import Role, Scope
from graph.context import Info
from graph.face import Node, face, said
from graph.guard import anyone, mutation, query, scoped
from persistence.work import Work


@face(User)
class UserFace(Node):
    """A person with an account."""

    email: auto = said("The address they sign in with.")
    name: auto = said("What they are called.")
    is_admin: auto = said("Whether they administer the installation.")
    created_at: auto = said("When they registered.")


@strawberry.type(name="Deleted", description="It is gone.")
class Deleted:
    """What a deletion answers."""

    id: strawberry.ID = said("The id it had.")


@strawberry.input(description="Whom to delete.")
class DeleteUserInput:
    """Input of deleteUser."""

    id: strawberry.ID = said("The user: oneself, or anybody for an administrator.")


@strawberry.type
class UserQueries:
    """What can be asked of users."""

    @query(anyone, UserFace | None)
    async def viewer(self, info: Info) -> User | None:
        """The signed-in user; null for nobody."""
        viewer = info.context.viewer
        return await info.context.loaders.get(User, viewer.user_id) if viewer else None


@strawberry.type
class UserMutations:
    """What can be done to users."""

    @mutation(scoped(Scope.PROJECTS_WRITE), Deleted, refuses=(OwnsSharedProjects,))
    async def delete_user(
        self, info: Info, input: Annotated[DeleteUserInput, strawberry.argument(description="Whom to delete.")]
    ) -> Deleted:
        """Delete a user with the projects that are theirs alone. Jobs are cancelled and files removed."""
        me = info.context.me
        if input.id != me.user_id and not me.is_admin:
            raise NotFound(what="user", id=input.id)
        async with info.context.resources.work() as work:
            user = await work.user(input.id)
            own = await _projects_of(work, user)
            if shared := await _shared(work, own):
                raise OwnsSharedProjects(project_ids=shared)
            for project in own:
                await work.delete_project(project)
            # One by one, so that the projects they leave are told.
            for membership in await work.session.scalars(select(Membership).where(Membership.user_id == user.id)):
                await work.delete(membership)
            await work.session.flush()
            await work.delete(user)
        return Deleted(id=input.id)


async def _projects_of(work: Work, user: User) -> list[Project]:
    query = select(Membership.project_id).where(Membership.user_id == user.id, Membership.role == Role.OWNER)
    ids = (await work.session.scalars(query.order_by(Membership.project_id))).all()
    found = [await work.locked(Project, each) for each in ids]
    return [project for project in found if project]


async def _shared(work: Work, projects: list[Project]) -> list[str]:
    ids = [project.id for project in projects]
    query = select(Membership.project_id).where(Membership.project_id.in_(ids), Membership.role != Role.OWNER)
    return sorted(set((await work.session.scalars(query)).all()))
