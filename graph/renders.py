"""Renders: a project's timeline becomes a video."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import UNSET

from domain.job import Job, Priority
from domain.order import Order, same_request
from domain.refusals import (
    IdempotencyKeyReused,
    InvalidInput,
    RenderAlreadyActive,
    TimelineEmpty,
    TimelineInvalid,
)
from domain.render import Output, OutputPreset, VideoCodec
from domain.timeline import Canvas
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import said, worded
from graph.guard import mutation, scoped
from graph.jobs import JobFace, job_with_key

worded(OutputPreset)
worded(VideoCodec)


@strawberry.input(description="A size and a codec of one's own.")
class CustomOutputInput:
    """As domain Output."""

    codec: VideoCodec = said("How the picture is compressed.")
    width: int = said("In pixels; even.")
    height: int = said("In pixels; even.")
    crf: int | None = strawberry.field(
        default=None, description="Quality: 0 (best, largest) to 51; what is right for most if not said."
    )


@strawberry.input(one_of=True, description="What to make: exactly one of these.")
class OutputInput:
    """A preset or a custom output."""

    preset: OutputPreset | None = strawberry.field(default=UNSET, description="One of the usual.")
    custom: CustomOutputInput | None = strawberry.field(default=UNSET, description="One's own.")

    def asked(self) -> OutputPreset | Output:
        """What was asked for; judged by nobody yet."""
        if self.preset:
            return self.preset
        custom = self.custom
        assert custom  # noqa: S101 - @oneOf: validation lets exactly one through
        crf = custom.codec.usual_crf if custom.crf is None else custom.crf
        return Output(codec=custom.codec, width=custom.width, height=custom.height, crf=crf)

    def value(self, canvas: Canvas) -> Output:
        """The domain's value; refused where it cannot be made."""
        asked = self.asked()
        if isinstance(asked, OutputPreset):
            return asked.output(canvas)
        for problem in asked.problems():
            raise InvalidInput(path=f"output.custom.{problem.path}", problem=problem.message)
        return asked


@strawberry.input(description="What to render, and how.")
class StartRenderInput:
    """Input of startRender."""

    project_id: strawberry.ID = said("Whose timeline.")
    output: OutputInput = said("What to make of it.")
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
        """Render the timeline as it stands. One render of a project at a time; the video becomes an asset of it."""
        me = info.context.me
        async with info.context.resources.work() as work:
            project = await work.project(me, input.project_id, Right.EDIT)
            timeline = project.timeline
            if timeline is None:
                raise TimelineEmpty
            output = input.output.value(timeline.canvas)
            if made := await job_with_key(work, project.id, input.idempotency_key):
                wanted = Order(spec=project.render_spec(output), project_id=project.id, user_id=me.user_id)
                return same_request(made, replace(wanted, priority=input.priority, not_before=input.not_before))
            order = project.start_render(
                output,
                await work.facts(project.id, timeline.asset_ids),
                user_id=me.user_id,
                active_job_id=await work.active_render(project.id),
                idempotency_key=input.idempotency_key,
            )
            return await work.place(replace(order, priority=input.priority, not_before=input.not_before))
