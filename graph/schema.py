"""The schema: the concepts' parts put together, sealed, and printed."""

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from graph.assets import AssetFace, AssetMutations, AssetQueries
from graph.events import EventSubscriptions
from graph.guard import undescribed, unsealed
from graph.jobs import JobFace, JobMutations, JobQueries, JobSubscriptions
from graph.members import MemberMutations, MembershipFace
from graph.nodes import NodeQueries
from graph.previews import PreviewQueries
from graph.projects import ProjectFace, ProjectMutations, ProjectQueries
from graph.queues import QueueMutations, QueueQueries, QueueSubscriptions
from graph.refusals import handlers
from graph.render_plans import RenderPlanQueries
from graph.renders import RenderMutations
from graph.scalars import SCALARS
from graph.schedules import ScheduleFace, ScheduleMutations, ScheduleQueries
from graph.templates import TemplateMutations
from graph.timeline_history import HistoryMutations
from graph.uploads import UploadFace, UploadMutations, UploadQueries
from graph.users import UserFace, UserMutations, UserQueries


@strawberry.type(description="Everything that can be asked.")
class Query(
    UserQueries,
    NodeQueries,
    ProjectQueries,
    AssetQueries,
    UploadQueries,
    JobQueries,
    ScheduleQueries,
    PreviewQueries,
    RenderPlanQueries,
    QueueQueries,
):
    """The root of queries."""


@strawberry.type(description="Everything that can be done. Each answers with the thing, or with a typed refusal.")
class Mutation(
    ProjectMutations,
    HistoryMutations,
    MemberMutations,
    UploadMutations,
    AssetMutations,
    RenderMutations,
    TemplateMutations,
    JobMutations,
    ScheduleMutations,
    QueueMutations,
    UserMutations,
):
    """The root of mutations."""


@strawberry.type(description="Everything that can be watched.")
class Subscription(JobSubscriptions, EventSubscriptions, QueueSubscriptions):
    """The root of subscriptions."""


class NotSealed(Exception):
    """Root fields without a policy: nobody has said who may use them."""


def build(query: type = Query, mutation: type = Mutation, subscription: type = Subscription) -> strawberry.Schema:
    """Build the schema; refuse one whose root fields are not all sealed."""
    nodes: list[Any] = [UserFace, MembershipFace, ProjectFace, AssetFace, UploadFace, JobFace, ScheduleFace]
    schema = strawberry.Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=nodes,
        exception_handlers=handlers(),
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    if bare := unsealed(schema):
        raise NotSealed(f"no policy says who may use {', '.join(bare)}")
    return schema


def sdl() -> str:
    """The public contract, as it is committed in schema.graphql."""
    schema = build()
    if silent := undescribed(schema):
        raise TypeError(f"these say nothing of themselves: {', '.join(silent)}")
    return schema.as_str().strip() + "\n"
