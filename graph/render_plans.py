"""What a render would do, told before anything runs."""

import asyncio
from typing import Annotated

import strawberry
from strawberry import auto

from domain.project import Project
from domain.refusals import InvalidInput, NotFound, TimelineEmpty, TimelineInvalid
from domain.render.estimate import signature, usual_pace
from domain.render.movie import NothingToHear, movie
from domain.render.plan import PlannedSpan, RenderPlan, render_plan
from domain.template import resolved
from domain.timeline import length, problems
from graph.context import Info
from graph.face import face, said
from graph.guard import query, signed_in
from graph.outputs import OutputInput
from graph.pages import take_page
from graph.previews import COST, NO_TOOLS, ProjectId, first_of
from graph.renders import VariableValueInput, values_of
from graph.scalars import Long
from persistence import pieces
from persistence.sources import sources


@face(PlannedSpan)
class PlannedSpanFace:
    """A stretch of a movie that is made, and kept, by itself."""

    first: auto = said("Its first frame.")
    count: auto = said("How many frames.")
    is_cached: auto = said("Whether it is there already, from an earlier render.")


@face(RenderPlan)
class RenderPlanFace:
    """What a render would do, as far as can be known."""

    frames: auto = said("How many there are in all.")
    spans: list[PlannedSpanFace] = said("Of what the picture is joined, in order; none if it is made in one run.")
    cached_spans: int = said("How many of them are there already.")
    frames_to_encode: int = said("How many are in the others.")
    has_sound: auto = said("Whether the file gets any.")
    sound_is_cached: auto = said("Whether that is there already, mixed and encoded.")
    processor_seconds: auto = said(
        "About how long one processor core is busy with it: a guess until a project has renders."
    )
    size: Long = said("About how many bytes the file will have.")


@strawberry.type
class RenderPlanQueries:
    """Planning renders."""

    @query(signed_in, RenderPlanFace)
    async def render_plan(
        self,
        info: Info,
        project_id: ProjectId,
        output: Annotated[OutputInput, strawberry.argument(description="What would be made of it.")],
        values: Annotated[
            list[VariableValueInput] | None, strawberry.argument(description="For the timeline's variables.")
        ] = None,
    ) -> RenderPlan:
        """What startRender would do with the same input now: what is there, what must be encoded, and what it costs."""
        for _ in range(COST):
            take_page(info)
        context = info.context
        await context.must_see(project_id)
        project = await context.loaders.get(Project, project_id)
        if project is None:
            raise NotFound(what="project", id=project_id)
        template = project.timeline
        if template is None:
            raise TimelineEmpty
        wanted = output.value(template.canvas)
        try:
            timeline = resolved(template, values_of(values or []))
        except TimelineInvalid as invalid:
            raise first_of(invalid.problems) from invalid
        found = await sources(context.loaders.reads, project_id, timeline.asset_ids)
        facts = {asset_id: source.facts for asset_id, source in found.items()}
        # Thousands of clips, or an hour of timeline, take a part of a second, in which others are to be served.
        if wrong := await asyncio.to_thread(problems, timeline, facts):
            raise first_of(wrong)
        for problem in wanted.problems(canvas=timeline.canvas, length=length(timeline, facts)):
            raise InvalidInput(path=f"output.{wanted.choice}.{problem.path}", problem=problem.message)
        made_with = await context.resources.tooling.newest() or NO_TOOLS
        try:
            plan = await asyncio.to_thread(movie, timeline, wanted, found, made_with)
        except NothingToHear:
            raise InvalidInput(path="output", problem="the timeline has no sound to make a file of") from None
        database = context.resources.database
        kept = await pieces.cached(database, project_id, [each.key for each in plan.command.tree()])
        pace = await pieces.pace(database, project_id, signature(wanted, made_with)) or usual_pace(wanted)
        return render_plan(plan, kept, pace)
