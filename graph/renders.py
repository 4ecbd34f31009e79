"""Renders: a project's timeline becomes a video."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry

from domain.job import Job, Priority
from domain.order import Order, same_request
from domain.refusals import (
    IdempotencyKeyReused,
    InvalidInput,
    Problem,
    RenderAlreadyActive,
    TimelineEmpty,
    TimelineInvalid,
)
from domain.template import assets_of
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import said
from graph.guard import mutation, scoped
from graph.jobs import JobFace, job_with_key
from graph.outputs import OutputInput


@strawberry.input(description="What is put in for a variable of the timeline.")
class VariableValueInput:
    """One of a template's values."""

    name: str = said("The variable's name.")
    value: str = said("A text, a colour or the id of an asset, as the variable wants it.")


def values_of(given: list[VariableValueInput]) -> dict[str, str]:
    """The values by their names. Refuses names that are there twice: which of the two is meant?"""
    values = {each.name: each.value for each in given}
    if len(values) < len(given):
        counts = Counter(each.name for each in given)
        twice = [Problem(f"values.{name}", "it is given more than once") for name, n in counts.items() if n > 1]
        raise TimelineInvalid(problems=twice)
    return values


@strawberry.input(description="What to render, and how.")
class StartRenderInput:
    """Input of startRender."""

    project_id: strawberry.ID = said("Whose timeline.")
    output: OutputInput = said("What to make of it.")
    values: list[VariableValueInput] = strawberry.field(
        default_factory=list, description="For the timeline's variables; those that have a default can be left out."
    )
    priority: Priority = strawberry.field(default=Priority.NORMAL, description="Which renders come first.")
    not_before: datetime | None = strawberry.field(
        default=None, description="Not before this time; of the timeline as it stands now."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key and input again answer with the same job."
    )


@strawberry.type
class RenderMutations:
    """Starting renders; stopping and repeating them is every job's."""

    @mutation(
        scoped(Scope.RENDERS_WRITE),
        JobFace,
        refuses=(InvalidInput, TimelineEmpty, TimelineInvalid, RenderAlreadyActive, IdempotencyKeyReused),
    )
    async def start_render(
        self, info: Info, input: Annotated[StartRenderInput, strawberry.argument(description="What and how.")]
    ) -> Job:
        """Render the timeline as it stands. One render of a project at a time; what is made becomes an asset of it."""
        me = info.context.me
        async with info.context.resources.work() as work:
            project = await work.project(me, input.project_id, Right.EDIT)
            timeline = project.timeline
            if timeline is None:
                raise TimelineEmpty
            output, values = input.output.value(timeline.canvas), values_of(input.values)
            if made := await job_with_key(work, project.id, input.idempotency_key):
                wanted = Order(spec=project.render_spec(output, values), project_id=project.id, user_id=me.user_id)
                return same_request(made, replace(wanted, priority=input.priority, not_before=input.not_before))
            # Looking at thousands of clips takes its time, in which others are to be served.
            order = await asyncio.to_thread(
                project.start_render,
                output,
                await work.facts(project.id, assets_of(timeline, values)),
                user_id=me.user_id,
                active_job_id=await work.active_render(project.id),
                idempotency_key=input.idempotency_key,
                values=values,
            )
            return await work.place(replace(order, priority=input.priority, not_before=input.not_before))
