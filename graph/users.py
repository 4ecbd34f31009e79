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
            projects, memberships = await _belongings(work, input.id)
            user = await work.user(input.id)
            own = {each.project_id for each in memberships if each.role == Role.OWNER}
            if shared := await _shared(work, own):
                raise OwnsSharedProjects(project_ids=shared)
            for project in projects:
                if project.id in own:
                    await work.delete_project(project)
            # One by one, so that the projects they leave are told.
            for membership in memberships:
                if membership.project_id not in own:
                    await work.delete(membership)
            await work.session.flush()
            await work.delete(user)
        return Deleted(id=input.id)


async def _belongings(work: Work, user_id: str) -> tuple[list[Project], list[Membership]]:
    """The user's memberships and their projects, locked: nobody hands them a project over meanwhile."""
    mine = select(Membership).where(Membership.user_id == user_id)
    while True:
        ids = sorted((await work.session.scalars(mine.with_only_columns(Membership.project_id))).all())
        projects = [project for each in ids if (project := await work.locked(Project, each))]
        memberships = list((await work.session.scalars(mine.with_for_update())).all())
        if {each.project_id for each in memberships} <= {each.id for each in projects}:
            return projects, memberships


async def _shared(work: Work, project_ids: set[str]) -> list[str]:
    query = select(Membership.project_id).where(Membership.project_id.in_(project_ids), Membership.role != Role.OWNER)
    return sorted(set((await work.session.scalars(query)).all()))
