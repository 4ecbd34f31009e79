"""Who belongs to a project."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from sqlalchemy import select
from strawberry import auto

from domain.membership import Membership, hand_over
from domain.project import Project
from domain.refusals import AlreadyMember, InvalidInput, NotFound, OwnerStays
from domain.user import User, clean_email
from domain.viewer import Right, Role, Scope
from graph.context import Info
from graph.face import Node, face, said
from graph.guard import mutation, scoped
from graph.users import Deleted, UserFace

if TYPE_CHECKING:
    from graph.projects import ProjectFace

ProjectRef: TypeAlias = Annotated["ProjectFace", strawberry.lazy("graph.projects")]


@face(Membership)
class MembershipFace(Node):
    """A user's place in a project."""

    role: auto = said("What they may do.")
    created_at: auto = said("Since when.")

    @strawberry.field(description="Who.", graphql_type=UserFace)
    async def user(self: Any, info: Info) -> User | None:
        return await info.context.loaders.get(User, self.user_id)

    @strawberry.field(description="Where.", graphql_type=ProjectRef)
    async def project(self: Any, info: Info) -> Project | None:
        return await info.context.loaders.get(Project, self.project_id)


@strawberry.input(description="Whom to let in.")
class AddMemberInput:
    """Input of addMember."""

    project_id: strawberry.ID = said("The project.")
    email: str = said("The address of a registered user.")
    role: Role = said("EDITOR or VIEWER; ownership is handed over with transferProject.")


@strawberry.input(description="Who is to leave.")
class RemoveMemberInput:
    """Input of removeMember."""

    project_id: strawberry.ID = said("The project.")
    user_id: strawberry.ID = said("The member. Anybody may remove themselves; the owner may remove others.")


@strawberry.input(description="Who is to own the project.")
class TransferProjectInput:
    """Input of transferProject."""

    project_id: strawberry.ID = said("The project.")
    user_id: strawberry.ID = said("A member of it, who becomes the owner; the former owner stays as an editor.")


@strawberry.type
class MemberMutations:
    """What can be done to memberships."""

    @mutation(scoped(Scope.PROJECTS_WRITE), MembershipFace, refuses=(InvalidInput, AlreadyMember))
    async def add_member(
        self, info: Info, input: Annotated[AddMemberInput, strawberry.argument(description="Whom to let in.")]
    ) -> Membership:
        """Let a registered user into a project."""
        if input.role == Role.OWNER:
            raise InvalidInput(path="role", problem="a project has one owner; use transferProject")
        async with info.context.resources.work() as work:
            project = await work.project(info.context.me, input.project_id, Right.OWN)
            email = clean_email(input.email)
            user = await work.session.scalar(select(User).where(User.email == email))
            if user is None:
                raise NotFound(what="user", id=email)
            if there := await work.membership(project.id, user.id):
                raise AlreadyMember(role=there.role)
            membership = Membership(project_id=project.id, user_id=user.id, role=input.role)
            work.add(membership)
        return membership

    @mutation(scoped(Scope.PROJECTS_WRITE), Deleted, refuses=(OwnerStays,))
    async def remove_member(
        self, info: Info, input: Annotated[RemoveMemberInput, strawberry.argument(description="Who is to leave.")]
    ) -> Deleted:
        """Remove a member from a project, or leave it."""
        me = info.context.me
        async with info.context.resources.work() as work:
            right = Right.SEE if input.user_id == me.user_id else Right.OWN
            project = await work.project(me, input.project_id, right)
            membership = await work.membership(project.id, input.user_id)
            if membership is None:
                raise NotFound(what="member", id=input.user_id)
            membership.leave()
            await work.delete(membership)
        return Deleted(id=strawberry.ID(membership.id))

    @mutation(scoped(Scope.PROJECTS_WRITE), ProjectRef)
    async def transfer_project(
        self,
        info: Info,
        input: Annotated[TransferProjectInput, strawberry.argument(description="Who is to own the project.")],
    ) -> Project:
        """Hand a project over to another member."""
        async with info.context.resources.work() as work:
            project = await work.project(info.context.me, input.project_id, Right.OWN)
            members = await work.session.scalars(
                select(Membership).where(Membership.project_id == project.id).with_for_update()
            )
            by_user = {each.user_id: each for each in members}
            successor = by_user.get(input.user_id)
            if successor is None:
                raise NotFound(what="member", id=input.user_id)
            owner = next(each for each in by_user.values() if each.role == Role.OWNER)
            if successor is not owner:
                hand_over(owner, successor)
        return project
