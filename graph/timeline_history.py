"""The timelines that a project has had, and bringing one back."""

import asyncio
from typing import Annotated, Any

import strawberry
from strawberry import auto

from domain.project import Project
from domain.refusals import NotFound, StaleVersion, TimelineInvalid
from domain.timeline import Timeline
from domain.timeline_version import TimelineVersion
from domain.user import User
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import face, said
from graph.guard import mutation, scoped
from graph.projects import ProjectFace
from graph.timelines import TimelineFace
from graph.users import UserFace


@face(TimelineVersion)
class TimelineVersionFace:
    """A timeline as it was set once. It never changes."""

    number: auto = said("The project's `timelineVersion` while it was the present one.", name="version")
    created_at: auto = said("When it was set.")
    restored_from: auto = said("The version that it brought back; null when it was a new edit.")

    @strawberry.field(description="Who set it; null when they are gone, or nobody knows.", graphql_type=UserFace | None)
    async def user(self: Any, info: Info) -> User | None:
        return await info.context.loaders.get(User, self.user_id)

    @strawberry.field(
        description="The edit as it stood; null when it was forgotten a moment ago.",
        graphql_type=TimelineFace | None,
    )
    async def timeline(self: Any, info: Info) -> Timeline | None:
        return await info.context.loaders.timeline(self.id)


@strawberry.input(description="Which timeline to bring back.")
class RestoreTimelineInput:
    """Input of restoreTimeline."""

    project_id: strawberry.ID = said("The project.")
    version: int = said("The version to bring back: one of its `timelineVersions`.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse if the timeline is at another timelineVersion by now."
    )


@strawberry.type
class HistoryMutations:
    """What can be done with earlier timelines."""

    @mutation(scoped(Scope.PROJECTS_WRITE), ProjectFace, refuses=(TimelineInvalid, StaleVersion))
    async def restore_timeline(
        self, info: Info, input: Annotated[RestoreTimelineInput, strawberry.argument(description="Which one.")]
    ) -> Project:
        """Set a project's timeline to an earlier one. That makes a new version: the present one is not lost.

        What it used and is no longer there is told, all at once, and then nothing changes.
        """
        async with info.context.resources.work() as work:
            project = await work.project(info.context.me, input.project_id, Right.EDIT)
            earlier = await work.timeline_version(project.id, input.version)
            if earlier is None:
                raise NotFound(what="timeline version", id=str(input.version))
            facts = await work.facts(project.id, earlier.timeline.asset_ids)
            # Looking at thousands of clips takes its time, in which others are to be served.
            version = await asyncio.to_thread(
                project.restore_timeline,
                earlier,
                facts,
                expected_version=input.expected_version,
                user_id=info.context.me.user_id,
                now=await work.now(),
            )
            await work.keep_timeline(version)
        return project
