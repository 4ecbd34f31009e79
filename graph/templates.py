"""Templates: a timeline with variables, rendered once for each row of values."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry

from domain.job import Job, Priority
from domain.order import Order, same_request
from domain.refusals import IdempotencyKeyReused, InvalidInput, Problem, TimelineEmpty, TimelineInvalid
from domain.template import MOST_ROWS, Row, assets_of, batch_problems
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import said
from graph.guard import mutation, scoped
from graph.jobs import JobFace, job_with_key
from graph.outputs import OutputInput
from graph.renders import VariableValueInput, values_of


@strawberry.input(description="One of the files to be made of a template.")
class TemplateRowInput:
    """As domain Row."""

    values: list[VariableValueInput] = strawberry.field(
        default_factory=list, description="For the timeline's variables; those that have a default can be left out."
    )
    name: str | None = strawberry.field(
        default=None,
        description="The name of the file without its extension, as no other row has it; "
        "if not said, the project's name and the row's number, counted from 1.",
    )


@strawberry.input(description="What to render, how, and with which values.")
class RenderTemplateInput:
    """Input of renderTemplate."""

    project_id: strawberry.ID = said("Whose timeline.")
    output: OutputInput = said("What to make of it, the same for each row.")
    rows: list[TemplateRowInput] = said(f"1 to {MOST_ROWS}; each is rendered by a job of its own.")
    priority: Priority = strawberry.field(default=Priority.NORMAL, description="Which jobs come first.")
    not_before: datetime | None = strawberry.field(
        default=None, description="Not before this time; of the timeline as it stands now."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key and input again answer with the same job."
    )


def _rows(given: list[TemplateRowInput]) -> list[Row]:
    rows: list[Row] = []
    found: list[Problem] = []
    for number, row in enumerate(given):
        try:
            rows.append(Row(values=values_of(row.values), name=row.name))
        except TimelineInvalid as invalid:
            found += (Problem(f"rows.{number}.{each.path}", each.message) for each in invalid.problems)
    if found:
        raise TimelineInvalid(problems=found)
    return rows


@strawberry.type
class TemplateMutations:
    """Rendering templates."""

    @mutation(
        scoped(Scope.RENDERS_WRITE),
        JobFace,
        refuses=(InvalidInput, TimelineEmpty, TimelineInvalid, IdempotencyKeyReused),
    )
    async def render_template(
        self, info: Info, input: Annotated[RenderTemplateInput, strawberry.argument(description="What and how.")]
    ) -> Job:
        """Render the timeline as it stands once for each row. All rows are looked at before anything is started.

        The answer is one job, whose children are the renders; each makes an asset. It goes on when one of them fails,
        and fails in the end; a retry then makes what is missing. It does not count as the project's active render.
        """
        me, rows = info.context.me, _rows(input.rows)
        async with info.context.resources.work() as work:
            project = await work.project(me, input.project_id, Right.EDIT)
            timeline = project.timeline
            if timeline is None:
                raise TimelineEmpty
            output = input.output.value(timeline.canvas)
            if made := await job_with_key(work, project.id, input.idempotency_key):
                wanted = Order(spec=project.batch_spec(output, rows), project_id=project.id, user_id=me.user_id)
                return same_request(made, replace(wanted, priority=input.priority, not_before=input.not_before))
            if len(rows) > MOST_ROWS:
                raise TimelineInvalid(problems=list(batch_problems(project.name, timeline, rows)))
            facts = await work.facts(project.id, assets_of(timeline, *(row.values for row in rows)))
            # Looking at hundreds of timelines takes its time, in which others are to be served.
            order = await asyncio.to_thread(
                project.start_batch,
                output,
                rows,
                facts,
                user_id=me.user_id,
                idempotency_key=input.idempotency_key,
            )
            return await work.place(replace(order, priority=input.priority, not_before=input.not_before))
