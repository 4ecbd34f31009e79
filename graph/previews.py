"""Previews: small pictures and clips of a timeline, at once where they are known, in a moment where not."""

import asyncio
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import strawberry
from sqlalchemy import func, select

from domain.job import Job, JobState
from domain.kinds import JobKind, Pool, PreviewSpec
from domain.order import Order
from domain.piece import Piece
from domain.project import Project
from domain.refusals import (
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    PreviewFailed,
    Problem,
    TimelineEmpty,
    TimelineInvalid,
    TooManyPreviews,
)
from domain.render.previews import Preview, must_be_width, quick, seen
from domain.render.scene import Tools
from domain.template import shown_with
from domain.timeline import Timeline, problems
from domain.viewer import Right
from graph.assets import until
from graph.context import Info
from graph.face import said
from graph.guard import query, signed_in
from graph.jobs import JobFace, job_with_key
from graph.pages import take_page
from graph.renders import VariableValueInput, values_of
from persistence import pieces
from persistence.resources import Resources
from persistence.sources import sources
from persistence.work import Work

PATIENCE = 2.0
"""Seconds that somebody waits here; then they are told of the job."""
MOST_WAITING = 32
"""Previews of one user that wait or are being made."""
TRIED_AGAIN_AFTER = timedelta(seconds=5)
"""For so long a preview that has failed is not tried again, however often it is asked for."""
COST = 5
"""One costs about as much as so many pages of a list."""
NO_TOOLS = Tools(ffmpeg="not known yet")

ProjectId = Annotated[strawberry.ID, strawberry.argument(description="Whose timeline, as it stands.")]
Width = Annotated[int, strawberry.argument(description="In pixels, 16 to 1920; at most that of the canvas.")]
GivenValues = Annotated[
    list[VariableValueInput] | None,
    strawberry.argument(description="For the timeline's variables; what is left out is shown as it is by default."),
]


@strawberry.type
class _Shown:
    """What all previews have."""

    width: int = said("In pixels.")
    height: int = said("In pixels.")
    url: str | None = said("Where it is; null as long as it is being made.")
    expires_at: datetime | None = said("When this URL ends.")
    made_by: strawberry.Private[Job | None]

    @strawberry.field(
        description="What makes it, as long as that is going on: ask again when it has ended.",
        graphql_type=JobFace | None,
    )
    def job(self) -> Job | None:
        return self.made_by


@strawberry.type(description="A picture of one frame of a timeline: a JPEG.")
class PreviewFrame(_Shown):
    """What previewFrame answers."""

    frame: int = said("Which one, counted from 0.")


@strawberry.type(description="A small clip of some frames of a timeline, without sound: an MP4 with H.264.")
class PreviewClip(_Shown):
    """What previewClip answers."""

    first: int = said("The first frame, counted from 0.")
    count: int = said("How many frames.")


@strawberry.type
class PreviewQueries:
    """Looking at a timeline."""

    @query(signed_in, PreviewFrame)
    async def preview_frame(
        self,
        info: Info,
        project_id: ProjectId,
        frame: Annotated[int, strawberry.argument(description="Which one, counted from 0.")],
        width: Width = 480,
        values: GivenValues = None,
    ) -> PreviewFrame:
        """A picture of one frame of the timeline, from small copies of its videos. No render is started.

        One that was asked for before is there at once. Another is made by a job of the kind PREVIEW, which is waited
        for, two seconds at most. Whoever may see the project may ask.
        """
        asked = _Asked(info, project_id, first=frame, count=1, width=width, values=values, as_clip=False)
        return PreviewFrame(frame=frame, **await asked.answer())

    @query(signed_in, PreviewClip)
    async def preview_clip(
        self,
        info: Info,
        project_id: ProjectId,
        first: Annotated[int, strawberry.argument(description="The first frame, counted from 0.")],
        count: Annotated[int, strawberry.argument(description="How many frames; at most 30 seconds.")],
        width: Width = 480,
        values: GivenValues = None,
    ) -> PreviewClip:
        """A small clip of some frames of the timeline, made as previewFrame makes a picture."""
        asked = _Asked(info, project_id, first=first, count=count, width=width, values=values, as_clip=True)
        return PreviewClip(first=first, count=count, **await asked.answer())


async def edit_to_show(info: Info, project_id: str, values: list[VariableValueInput] | None) -> Timeline:
    """A project's timeline, filled in for a look at it. Refuses who may not see it, and values that will not do."""
    await info.context.must_see(project_id)
    project = await info.context.loaders.get(Project, project_id)
    if project is None:
        raise NotFound(what="project", id=project_id)
    timeline = project.timeline
    if timeline is None:
        raise TimelineEmpty
    try:
        return shown_with(timeline, values_of(values or []))
    except TimelineInvalid as invalid:
        raise first_of(invalid.problems) from invalid


def first_of(found: Sequence[Problem]) -> InvalidInput:
    """The error of a query, which cannot carry a list as a mutation's answer does."""
    return InvalidInput(path=found[0].path, problem=found[0].message)


@dataclass(frozen=True)
class _Asked:
    """One look at a timeline."""

    info: Info
    project_id: str
    _: KW_ONLY
    first: int
    count: int
    width: int
    values: list[VariableValueInput] | None
    as_clip: bool

    @property
    def resources(self) -> Resources:
        return self.info.context.resources

    async def answer(self) -> dict[str, Any]:
        """What the answers have in common: where the preview is, or the job that makes it. Refuses what cannot be."""
        for _ in range(COST):
            take_page(self.info)
        must_be_width(self.width)
        timeline = await edit_to_show(self.info, self.project_id, self.values)
        shown = await self._shown(timeline)
        piece, job = await self._kept(shown.command.key), None
        if piece is None:
            job = await self._waited_for(await self._placed(timeline, shown))
            if job.state.ended:
                piece, job = await self._made(job), None
        size = {"width": shown.width, "height": shown.height}
        return {**size, "made_by": job, **(self._signed(piece, shown) if piece else {"url": None, "expires_at": None})}

    async def _shown(self, timeline: Timeline) -> Preview:
        """How it is made, as far as can be known from here."""
        found = await sources(self.info.context.loaders.reads, self.project_id, timeline.asset_ids)
        missing = sorted(timeline.asset_ids - found.keys())
        if self.values or missing:
            facts = {asset_id: source.facts for asset_id, source in found.items()}
            if wrong := problems(timeline, facts):
                raise first_of(wrong)
        if missing:  # and no problem: a template may leave it open
            raise InvalidInput(path="values", problem=f"without one for {missing[0]} there is nothing to show")
        made_with = await self.resources.tooling.newest() or NO_TOOLS
        copies = [each.key for each in quick(found, made_with).values()]
        kept = await pieces.cached(self.resources.database, self.project_id, copies) if copies else {}
        # Thousands of clips take a moment to be placed, in which others are to be served.
        return await asyncio.to_thread(
            seen,
            timeline,
            found,
            made_with,
            kept=kept,
            first=self.first,
            count=self.count,
            width=self.width,
            as_clip=self.as_clip,
        )

    async def _kept(self, key: str) -> Piece | None:
        return (await pieces.touched(self.resources.database, self.project_id, [key])).get(key)

    async def _placed(self, timeline: Timeline, shown: Preview) -> Job:
        """The job that makes it: there is one at a time, however many ask."""
        me = self.info.context.me
        spec = PreviewSpec(
            timeline=timeline.to_json(), first=self.first, count=self.count, width=self.width, format=shown.format.value
        )
        order = Order(
            spec=spec,
            project_id=self.project_id,
            user_id=me.user_id,
            idempotency_key=f"preview:{shown.command.key}",
        )
        async with self.resources.work() as work:
            await work.project(me, self.project_id, Right.SEE)
            made = await job_with_key(work, self.project_id, order.idempotency_key)
            if made and made.kind != JobKind.PREVIEW:
                raise IdempotencyKeyReused(job_id=made.id)  # somebody thought of the same
            if made and not made.state.ended:
                return made
            if made and (made := await work.locked(Job, made.id)):
                if await self._is_of_use(work, made):
                    return made
                made.give_up_key()
                await work.session.flush()
            if await _waiting(work, me.user_id) >= MOST_WAITING:
                raise TooManyPreviews(limit=MOST_WAITING)
            return await work.place(order)

    async def _is_of_use(self, work: Work, ended: Job) -> bool:
        """Whether what an ended job made is still there, or it has failed too lately to be tried again."""
        if ended.state == JobState.FAILED and ended.ended_at:
            return await work.now() - ended.ended_at < TRIED_AGAIN_AFTER
        key = ((await work.payload(ended.id)).result or {}).get("key")
        return key is not None and await work.session.get(Piece, (self.project_id, key)) is not None

    async def _waited_for(self, job: Job) -> Job:
        """The job when it has ended, or as it was if that takes too long. No session is held meanwhile."""
        if job.state.ended:
            return job
        ended: asyncio.Future[Job] = asyncio.get_running_loop().create_future()

        def offer(row: Job | None) -> None:
            if ended.done():
                return
            if row is None:
                ended.set_exception(NotFound(what="project", id=self.project_id))
            elif row.state.ended:
                ended.set_result(row)

        stop = self.info.context.hub.watch_job(job.id, offer)
        try:
            async with asyncio.timeout(PATIENCE):
                return await ended
        except TimeoutError:
            return job
        finally:
            stop()

    async def _made(self, job: Job) -> Piece:
        """What came of a job that has ended. It may be known by another key than was thought here."""
        if job.state == JobState.COMPLETED:
            result = (await self.resources.reads().results([job.id]))[job.id] or {}
            if piece := await self._kept(result["key"]):
                return piece
        raise _failed(job)

    def _signed(self, piece: Piece, shown: Preview) -> dict[str, Any]:
        expires_at = until(datetime.now(UTC), self.resources.settings.download_hours)
        url = self.resources.storage.download_url(
            piece.stored.key,
            filename=f"preview-{self.first}.{shown.format.extension}",
            content_type=shown.format.content_type,
            expires_at=expires_at,
            inline=True,
        )
        return {"url": url, "expires_at": expires_at}


def _failed(job: Job) -> PreviewFailed:
    return PreviewFailed(job_id=job.id, problem=job.error_message or f"The job is {job.state}.")


async def _waiting(work: Work, user_id: str) -> int:
    """How many previews of a user wait for a worker or have one: each counted by an index that is short."""
    theirs = select(func.count()).where(Job.user_id == user_id, Job.kind == JobKind.PREVIEW)
    line = theirs.where(Job.pool == Pool.LIGHT, Job.in_line).scalar_subquery()
    at_work = theirs.where(Job.state == JobState.PROCESSING, ~Job.in_line).scalar_subquery()
    return (await work.session.scalars(select(line + at_work))).one()
