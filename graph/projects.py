"""Projects: founding them, naming them, setting their timeline, ending them."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from sqlalchemy import and_, select
from strawberry import auto

from domain.asset import Asset
from domain.job import Job
from domain.kinds import JobKind
from domain.membership import Membership
from domain.project import Project
from domain.refusals import InvalidInput, NotFound, StaleVersion, TimelineInvalid
from domain.schedule import Schedule
from domain.timeline import Timeline
from domain.timeline_version import TimelineVersion
from domain.viewer import Right, Role, Scope
from graph.assets import AssetFace
from graph.context import Info
from graph.face import Node, face, said
from graph.guard import mutation, query, scoped, signed_in
from graph.jobs import JobFace
from graph.members import MembershipFace
from graph.pages import After, Before, Connection, First, Last, connection
from graph.schedules import ScheduleFace
from graph.timelines import TimelineFace, TimelineInput
from graph.users import Deleted

if TYPE_CHECKING:
    from graph.timeline_history import TimelineVersionFace

VersionFace: TypeAlias = Annotated["TimelineVersionFace", strawberry.lazy("graph.timeline_history")]


@face(Project)
class ProjectFace(Node):
    """What people work on together: assets, one timeline, and the jobs on them."""

    name: auto = said("What it is called.")
    created_at: auto = said("When it was founded.")
    version: auto = said("Rises with every change of the project itself.")
    timeline_version: auto = said("Rises with every timeline that is set; 0 before the first.")
    timeline: TimelineFace | None = said("The edit as it stands.")

    @strawberry.field(description="What the viewer is here; null for an administrator who is no member.")
    async def my_role(self: Any, info: Info) -> Role | None:
        return await info.context.role_in(self.id)

    @strawberry.field(
        description="The timelines it has had, the present one first; as many as are remembered.",
        graphql_type=Connection[VersionFace],
    )
    async def timeline_versions(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[TimelineVersion]:
        where = TimelineVersion.project_id == self.id
        return await connection(info, TimelineVersion, where, first=first, after=after, last=last, before=before)

    @strawberry.field(description="Who belongs to it.", graphql_type=Connection[MembershipFace])
    async def members(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Membership]:
        where = Membership.project_id == self.id
        return await connection(info, Membership, where, first=first, after=after, last=last, before=before)

    @strawberry.field(description="Its media.", graphql_type=Connection[AssetFace])
    async def assets(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Asset]:
        where = Asset.project_id == self.id
        return await connection(info, Asset, where, first=first, after=after, last=last, before=before)

    @strawberry.field(description="Its jobs, without previews.", graphql_type=Connection[JobFace])
    async def jobs(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Job]:
        where = and_(Job.project_id == self.id, Job.parent_id.is_(None), Job.kind != JobKind.PREVIEW)
        return await connection(info, Job, where, first=first, after=after, last=last, before=before)

    @strawberry.field(description="What starts jobs in it by itself.", graphql_type=Connection[ScheduleFace])
    async def schedules(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Schedule]:
        where = Schedule.project_id == self.id
        return await connection(info, Schedule, where, first=first, after=after, last=last, before=before)

    @strawberry.field(
        description="Where its log ends now: pass it as `after` to projectEvents to miss nothing from here."
    )
    async def event_cursor(self: Any, info: Info) -> str:
        return str(await info.context.loaders.reads.last_event(self.id))

    @strawberry.field(description="The render that is waiting or at work.", graphql_type=JobFace | None)
    async def active_render(self: Any, info: Info) -> Job | None:
        return await info.context.loaders.active_render(self.id)


@strawberry.input(description="What to found.")
class CreateProjectInput:
    """Input of createProject."""

    name: str = said("What to call it: 1 to 200 characters.")


@strawberry.input(description="What to change.")
class UpdateProjectInput:
    """Input of updateProject."""

    id: strawberry.ID = said("The project.")
    name: str | None = strawberry.field(default=None, description="Its new name; null to leave it.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse if the project is at another version by now."
    )


@strawberry.input(description="What to delete.")
class DeleteProjectInput:
    """Input of deleteProject."""

    id: strawberry.ID = said("The project.")


@strawberry.input(description="The new edit.")
class SetTimelineInput:
    """Input of setTimeline."""

    project_id: strawberry.ID = said("The project.")
    timeline: TimelineInput = said("The edit, whole: it takes the place of the one before.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse if the timeline is at another timelineVersion by now."
    )


@strawberry.type
class ProjectQueries:
    """What can be asked of projects."""

    @query(signed_in, ProjectFace | None)
    async def project(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The project.")]
    ) -> Project:
        """One project."""
        project = await info.context.loaders.get(Project, id)
        if project is None or not await info.context.sees(id):
            raise NotFound(what="project", id=id)
        return project

    @query(signed_in, Connection[ProjectFace])
    async def projects(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Project]:
        """The projects that the viewer is a member of, newest first."""
        mine = select(Membership.project_id).where(Membership.user_id == info.context.me.user_id)
        where = Project.id.in_(mine)
        return await connection(info, Project, where, first=first, after=after, last=last, before=before)


@strawberry.type
class ProjectMutations:
    """What can be done to projects."""

    @mutation(scoped(Scope.PROJECTS_WRITE), ProjectFace, refuses=(InvalidInput,))
    async def create_project(
        self, info: Info, input: Annotated[CreateProjectInput, strawberry.argument(description="What to found.")]
    ) -> Project:
        """Found a project; the viewer owns it."""
        async with info.context.resources.work() as work:
            owner = await work.user(info.context.me.user_id)
            project, membership = Project.founded(owner, input.name)
            work.add(project)
            await work.session.flush()
            work.add(membership)
        return project

    @mutation(scoped(Scope.PROJECTS_WRITE), ProjectFace, refuses=(InvalidInput, StaleVersion))
    async def update_project(
        self, info: Info, input: Annotated[UpdateProjectInput, strawberry.argument(description="What to change.")]
    ) -> Project:
        """Change what a project is called."""
        async with info.context.resources.work() as work:
            project = await work.project(info.context.me, input.id, Right.EDIT)
            project.expect(input.expected_version)
            if input.name is not None:
                project.rename(input.name)
        return project

    @mutation(scoped(Scope.PROJECTS_WRITE), Deleted)
    async def delete_project(
        self, info: Info, input: Annotated[DeleteProjectInput, strawberry.argument(description="What to delete.")]
    ) -> Deleted:
        """Delete a project with all that is in it. Its jobs are cancelled, its files removed."""
        async with info.context.resources.work() as work:
            await work.delete_project(await work.project(info.context.me, input.id, Right.OWN))
        return Deleted(id=input.id)

    @mutation(scoped(Scope.PROJECTS_WRITE), ProjectFace, refuses=(TimelineInvalid, StaleVersion))
    async def set_timeline(
        self, info: Info, input: Annotated[SetTimelineInput, strawberry.argument(description="The new edit.")]
    ) -> Project:
        """Set a project's timeline. All that is wrong with it is told at once, and then nothing changes."""
        # Looking at thousands of clips takes its time, in which others are to be served.
        timeline: Timeline = await asyncio.to_thread(input.timeline.value)
        async with info.context.resources.work() as work:
            project = await work.project(info.context.me, input.project_id, Right.EDIT)
            facts = await work.facts(project.id, timeline.asset_ids)
            version = await asyncio.to_thread(
                project.set_timeline,
                timeline,
                facts,
                expected_version=input.expected_version,
                user_id=info.context.me.user_id,
                now=await work.now(),
            )
            await work.keep_timeline(version)
        return project
