"""Schedules: jobs that start by themselves, at the times that a cron expression names."""

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from sqlalchemy import func, select
from strawberry import UNSET, auto

from domain.cron import Cron
from domain.job import Job, Priority
from domain.project import Project
from domain.refusals import InvalidInput, NotFound, StaleVersion, TooManySchedules
from domain.render.output import Output, OutputPreset
from domain.schedule import PauseStart, RenderStart, Schedule, SchedulePauseReason, Start
from domain.user import User
from domain.viewer import Right, Scope
from graph.context import Info
from graph.face import Node, face, said, worded
from graph.guard import mutation, query, scoped, signed_in
from graph.jobs import JobFace
from graph.outputs import CustomOutputFace, GifOutputFace, OutputInput, SoundOutputFace, StillOutputFace
from graph.pages import take_page
from graph.users import Deleted, UserFace
from persistence.work import Work

if TYPE_CHECKING:
    from graph.projects import ProjectFace

worded(SchedulePauseReason)

MOST_TIMES = 25

MaybeProject: TypeAlias = Annotated["ProjectFace", strawberry.lazy("graph.projects")] | None

_CRON = "When: minute, hour, day of the month, month, day of the week. `30 6 * * MON-FRI` is each working day at 6:30."
_ZONE = "On whose clock: a name such as Europe/Berlin, or UTC."


# What clients write


@strawberry.input(description="A render of the timeline as it stands by then.")
class ScheduledRenderInput:
    """As domain RenderStart."""

    output: OutputInput = said("What to make of it.")

    def value(self) -> Start:
        """The domain's value."""
        return RenderStart.of(self.output.asked("start.render.output"))


@strawberry.input(description="A job that only takes time.")
class ScheduledPauseInput:
    """As domain PauseStart."""

    seconds: float = said("How long; at most an hour.")

    def value(self) -> Start:
        """The domain's value."""
        return PauseStart(seconds=self.seconds)


@strawberry.input(one_of=True, description="What a schedule starts: exactly one of these.")
class ScheduledStartInput:
    """As domain Start."""

    render: ScheduledRenderInput | None = strawberry.field(default=UNSET, description="A render.")
    pause: ScheduledPauseInput | None = strawberry.field(default=UNSET, description="A pause, to try it out.")

    def value(self) -> Start:
        """The domain's value."""
        (given,) = (each for each in (self.render, self.pause) if each)
        return given.value()


@strawberry.input(description="A new schedule.")
class CreateScheduleInput:
    """Input of createSchedule."""

    project_id: strawberry.ID = said("Where it starts jobs.")
    name: str = said("What to call it: 1 to 200 characters.")
    cron: str = said(_CRON)
    time_zone: str = strawberry.field(default="UTC", description=_ZONE)
    start: ScheduledStartInput = said("What it starts.")
    priority: Priority = strawberry.field(default=Priority.NORMAL, description="Of its jobs.")
    paused: bool = strawberry.field(default=False, description="Whether it waits to be resumed.")


@strawberry.input(description="What to change; null leaves a thing as it is.")
class UpdateScheduleInput:
    """Input of updateSchedule."""

    id: strawberry.ID = said("The schedule.")
    name: str | None = strawberry.field(default=None, description="Its new name.")
    cron: str | None = strawberry.field(default=None, description=_CRON)
    time_zone: str | None = strawberry.field(default=None, description=_ZONE)
    start: ScheduledStartInput | None = strawberry.field(default=None, description="What it starts.")
    priority: Priority | None = strawberry.field(default=None, description="Of its jobs.")
    paused: bool | None = strawberry.field(
        default=None,
        description="True lets its times pass. False resumes it, and the viewer becomes its user.",
    )
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse if the schedule is at another version by now."
    )


@strawberry.input(description="Which schedule to delete.")
class DeleteScheduleInput:
    """Input of deleteSchedule."""

    id: strawberry.ID = said("The schedule.")


# What clients read


@face(RenderStart, name="ScheduledRender")
class ScheduledRenderFace:
    """A render of the timeline as it stands by then."""

    @strawberry.field(description="The preset; null for an output of one's own.")
    def preset(self: Any) -> OutputPreset | None:
        return self.output if isinstance(self.output, OutputPreset) else None

    @strawberry.field(
        description="The movie of one's own; null for a preset, and for what is no movie.",
        graphql_type=CustomOutputFace | None,
    )
    def custom(self: Any) -> Output | None:
        return _chosen(self, "custom")

    @strawberry.field(description="The GIF, if it is one.", graphql_type=GifOutputFace | None)
    def gif(self: Any) -> Output | None:
        return _chosen(self, "gif")

    @strawberry.field(description="The still, if it is one.", graphql_type=StillOutputFace | None)
    def still(self: Any) -> Output | None:
        return _chosen(self, "still")

    @strawberry.field(description="The sound alone, if it is that.", graphql_type=SoundOutputFace | None)
    def sound(self: Any) -> Output | None:
        return _chosen(self, "sound")


def _chosen(start: RenderStart, choice: str) -> Output | None:
    output = start.output
    return output if isinstance(output, Output) and output.choice == choice else None


@face(PauseStart, name="ScheduledPause")
class ScheduledPauseFace:
    """A job that only takes time."""

    seconds: auto = said("How long.")


StartFace = Annotated[
    ScheduledRenderFace | ScheduledPauseFace,
    strawberry.union("ScheduledStart", description="What a schedule starts."),
]


@strawberry.type(name="ScheduleRefusal", description="Why a schedule started nothing when it was due.")
class ScheduleRefusalFace:
    """Two columns of a schedule as one thing."""

    code: str = said("The kind of refusal, as the mutation that starts such a job would have answered.")
    message: str = said("What was wrong and what to do about it, for people.")


@face(Schedule)
class ScheduleFace(Node):
    """Starts jobs by itself, at the times that a cron expression names: each time once."""

    name: auto = said("What it is called.")
    cron: auto = said(_CRON)
    time_zone: auto = said(_ZONE)
    start: StartFace = said("What it starts.")
    priority: auto = said("Of its jobs.")
    paused: bool = said("Whether it lets its times pass.")
    pause_reason: auto = said("Why it is paused; null when it is not.")
    next_at: auto = said("When it is due next; null while it is paused.")
    last_at: auto = said("When it was last due and acted on that, whether or not a job came of it.")
    created_at: auto = said("When it was made.")
    version: auto = said("Rises with every change that somebody makes; not when it fires.")

    @strawberry.field(description="The last job it started; null before the first.", graphql_type=JobFace | None)
    async def last_job(self: Any, info: Info) -> Job | None:
        return await info.context.loaders.get(Job, self.last_job_id)

    @strawberry.field(description="Why it started nothing the last time; null when it did.")
    def last_refusal(self: Any) -> ScheduleRefusalFace | None:
        if not self.refusal_code:
            return None
        return ScheduleRefusalFace(code=self.refusal_code, message=self.refusal_message or "")

    @strawberry.field(description="The next times that its cron names, in order; they pass while it is paused.")
    async def next_times(
        self: Any,
        info: Info,
        first: Annotated[int, strawberry.argument(description=f"How many, {MOST_TIMES} at most.")] = 5,
    ) -> list[datetime]:
        if not 0 <= first <= MOST_TIMES:
            raise InvalidInput(path="first", problem=f"it must be between 0 and {MOST_TIMES}, not {first}")
        take_page(info)
        return list(islice(self.when.times(datetime.now(UTC)), first))

    @strawberry.field(
        description="For whom it starts jobs: who made it, or resumed it last; null when they are gone.",
        graphql_type=UserFace | None,
    )
    async def user(self: Any, info: Info) -> User | None:
        return await info.context.loaders.get(User, self.user_id)

    @strawberry.field(description="Where it starts jobs; null when that was just deleted.", graphql_type=MaybeProject)
    async def project(self: Any, info: Info) -> Project | None:
        return await info.context.loaders.get(Project, self.project_id)


async def _visible(info: Info, schedule_id: str) -> Schedule:
    schedule = await info.context.loaders.get(Schedule, schedule_id)
    if schedule is None or not await info.context.sees(schedule.project_id):
        raise NotFound(what="schedule", id=schedule_id)
    return schedule


async def _locked(info: Info, work: Work, schedule_id: str) -> Schedule:
    """The schedule, locked, for somebody who may change it. The project first: it is what puts all of this in order."""
    seen = await _visible(info, schedule_id)
    await work.project(info.context.me, seen.project_id, Right.EDIT)
    schedule = await work.locked(Schedule, schedule_id)
    if schedule is None:
        raise NotFound(what="schedule", id=schedule_id)
    return schedule


@strawberry.type
class ScheduleQueries:
    """What can be asked of schedules; a project lists its own."""

    @query(signed_in, ScheduleFace | None)
    async def schedule(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The schedule.")]
    ) -> Schedule:
        """One schedule."""
        return await _visible(info, id)


@strawberry.type
class ScheduleMutations:
    """What can be done to schedules."""

    @mutation(scoped(Scope.RENDERS_WRITE), ScheduleFace, refuses=(InvalidInput, TooManySchedules))
    async def create_schedule(
        self, info: Info, input: Annotated[CreateScheduleInput, strawberry.argument(description="When and what.")]
    ) -> Schedule:
        """Let a job start by itself, at the times that a cron expression names. It is the viewer's job each time."""
        me = info.context.me
        async with info.context.resources.work() as work:
            project = await work.project(me, input.project_id, Right.EDIT)
            now = await work.now()
            there = select(func.count()).select_from(Schedule).where(Schedule.project_id == project.id)
            schedule = Schedule.made(
                project_id=project.id,
                user_id=me.user_id,
                name=input.name,
                cron=Cron.read(input.cron, input.time_zone, now),
                start=input.start.value(),
                priority=input.priority,
                paused=input.paused,
                now=now,
                there=(await work.session.scalars(there)).one(),
            )
            work.add(schedule)
        return schedule

    @mutation(scoped(Scope.RENDERS_WRITE), ScheduleFace, refuses=(InvalidInput, StaleVersion))
    async def update_schedule(
        self, info: Info, input: Annotated[UpdateScheduleInput, strawberry.argument(description="What to change.")]
    ) -> Schedule:
        """Change, pause or resume a schedule. What it has started goes on."""
        async with info.context.resources.work() as work:
            schedule = await _locked(info, work, input.id)
            schedule.expect(input.expected_version)
            now = await work.now()
            schedule.change(
                by=info.context.me.user_id,
                now=now,
                name=input.name,
                cron=_cron(input, schedule, now),
                start=input.start.value() if input.start else None,
                priority=input.priority,
                paused=input.paused,
            )
        return schedule

    @mutation(scoped(Scope.RENDERS_WRITE), Deleted)
    async def delete_schedule(
        self, info: Info, input: Annotated[DeleteScheduleInput, strawberry.argument(description="Which one.")]
    ) -> Deleted:
        """Delete a schedule. What it has started goes on."""
        async with info.context.resources.work() as work:
            await work.delete(await _locked(info, work, input.id))
        return Deleted(id=input.id)


def _cron(input: UpdateScheduleInput, schedule: Schedule, now: datetime) -> Cron | None:
    """The times asked for, if any; half of them may be as they were."""
    if input.cron is None and input.time_zone is None:
        return None
    expression = schedule.cron if input.cron is None else input.cron
    return Cron.read(expression, schedule.time_zone if input.time_zone is None else input.time_zone, now)
