"""What happened in a project, live and from any point on."""

from typing import Annotated, Any

import strawberry
from strawberry import auto

from domain.asset import Asset
from domain.entity import Entity
from domain.event import ProjectEvent, ProjectEventKind
from domain.job import Job
from domain.project import Project
from domain.refusals import InvalidInput
from domain.user import User
from graph.context import Info
from graph.face import Node, face, said, worded
from graph.guard import signed_in, subscription
from graph.transport.live import Log
from graph.transport.sharing import SAME_FOR_ALL

worded(ProjectEventKind)


@face(ProjectEvent)
class ProjectEventFace:
    """One thing that happened in a project."""

    kind: auto = said("What happened.")
    at: auto = said("When.")
    subject_id: strawberry.ID = said("To what: a job, an asset, a user (for members) or the project itself.")

    @strawberry.field(description="Its place in the log: pass it as `after` to go on from here.", metadata=SAME_FOR_ALL)
    def cursor(self: Any) -> str:
        return str(self.seq)

    @strawberry.field(
        description="To what, as it is now; null when it is gone.", graphql_type=Node | None, metadata=SAME_FOR_ALL
    )
    async def subject(self: Any, info: Info) -> Entity | None:
        return await info.context.loaders.get(_subject_type(self.kind), self.subject_id)


def _subject_type(kind: ProjectEventKind) -> type[Entity]:
    subjects: dict[str, type[Entity]] = {"PROJECT": Project, "TIMELINE": Project, "MEMBER": User, "ASSET": Asset}
    return subjects.get(kind.value.partition("_")[0], Job)


@strawberry.type
class EventSubscriptions:
    """What can be watched of a project."""

    @subscription(signed_in, ProjectEventFace)
    async def project_events(
        self,
        info: Info,
        project_id: Annotated[strawberry.ID, strawberry.argument(description="Whose log.")],
        after: Annotated[
            str | None,
            strawberry.argument(
                description="Begin behind this cursor (0: at the first entry); from now on if not said."
            ),
        ] = None,
    ) -> Log[ProjectEvent]:
        """Everything that happens in a project, in order and without gaps; reconnect with the last cursor seen."""
        context = info.context
        await context.must_see(project_id)
        end = await context.loaders.reads.last_event(project_id)
        start = end if after is None else _seq(after)
        return context.hub.log(project_id, context.me, after=start, end=end)


def _seq(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):  # noqa: PLR2004 - digits of a 64-bit number
        raise InvalidInput(path="after", problem="it is not a cursor of this log")
    return int(cursor)
