"""Schedules: rows that start jobs by themselves, at the times that a cron expression names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Self

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.cron import CRON_LENGTH, ZONE_LENGTH, Cron
from domain.entity import Base, Entity, Worded
from domain.job import Job, Priority
from domain.kinds import LONGEST_PAUSE, JobKind, PauseSpec
from domain.media import MediaFacts
from domain.order import Order
from domain.project import Project
from domain.refusals import InvalidInput, Refusal, StaleVersion, TimelineEmpty, TimelineInvalid, TooManySchedules
from domain.render.output import Output, OutputPreset
from domain.user import NAME_LENGTH, User, clean_name
from domain.viewer import Right, Role, Scope, Viewer

MOST_SCHEDULES = 100
"""Of one project."""
MESSAGE_LENGTH = 1000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What must be known of a project, besides itself, to start something on it."""

    facts: Mapping[str, MediaFacts | None] = field(default_factory=dict[str, MediaFacts | None])
    """Of the assets of its timeline."""
    active_render: str | None = None
    """The id of the render that has not ended."""


@dataclass(frozen=True, kw_only=True)
class Start(ABC):
    """What a schedule starts. Its fields are plain JSON values, kept together with its kind."""

    kind: ClassVar[JobKind]
    of_timeline: ClassVar[bool] = False
    """Whether it must know how the project stands."""

    @abstractmethod
    def check(self) -> None:
        """Refuse what could never be started, wherever the project stands by then."""

    @abstractmethod
    def order(self, project: Project, standing: Standing, *, user_id: str) -> Order:
        """The job, as the project stands now; or the refusal that the same request would meet now."""

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {"kind": self.kind.value, **asdict(self)}

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Start":
        """Return it from how it was kept."""
        fields = dict(kept)
        return STARTS[JobKind(fields.pop("kind"))](**fields)


@dataclass(frozen=True, kw_only=True)
class RenderStart(Start):
    """Render the timeline as it stands by then, to a preset or to an output of one's own."""

    kind = JobKind.RENDER
    of_timeline = True

    preset: str | None = None
    custom: dict[str, Any] | None = None

    @classmethod
    def of(cls, output: OutputPreset | Output) -> Self:
        """Return the start for one of the two."""
        return cls(custom=output.to_json()) if isinstance(output, Output) else cls(preset=output.value)

    @property
    def output(self) -> OutputPreset | Output:
        """One of the two. A preset means another size for another canvas, so it stays a preset."""
        return Output.from_json(self.custom) if self.custom else OutputPreset(self.preset)

    def check(self) -> None:
        """Refuse an output that nobody can make."""
        if isinstance(self.output, Output):
            for problem in self.output.problems():
                where = f"start.render.output.{self.output.choice}.{problem.path}"
                raise InvalidInput(path=where, problem=problem.message)

    def order(self, project: Project, standing: Standing, *, user_id: str) -> Order:
        """As startRender does."""
        if project.timeline is None:
            raise TimelineEmpty
        output = self.output if isinstance(self.output, Output) else self.output.output(project.timeline.canvas)
        return project.start_render(output, standing.facts, user_id=user_id, active_job_id=standing.active_render)


@dataclass(frozen=True, kw_only=True)
class PauseStart(Start):
    """Take this many seconds."""

    kind = JobKind.PAUSE

    seconds: float

    def check(self) -> None:
        """Refuse a pause without a sensible length."""
        if not 0 < self.seconds <= LONGEST_PAUSE:
            raise InvalidInput(
                path="start.pause.seconds", problem=f"it must be more than 0 and at most {LONGEST_PAUSE:g}"
            )

    def order(self, project: Project, standing: Standing, *, user_id: str) -> Order:  # noqa: ARG002 - it needs none
        """As startPause does."""
        return Order(spec=PauseSpec(seconds=self.seconds), project_id=project.id, user_id=user_id)


STARTS: dict[JobKind, type[Start]] = {start.kind: start for start in (RenderStart, PauseStart)}


class SchedulePauseReason(Worded):
    """Why a schedule is paused."""

    ASKED = "ASKED", "Somebody paused it."
    USER_GONE = "USER_GONE", "The user for whom it started jobs is gone. Whoever resumes it takes their place."
    USER_MAY_NOT = (
        "USER_MAY_NOT",
        "The user for whom it started jobs may no longer change the project. Whoever resumes it takes their place.",
    )


class Schedule(Entity, Base):
    """A row that starts jobs. It is due when `next_at` has come, and whoever acts on that moves it in the same breath.

    Both happen in one transaction that has the row locked, which is why nothing is started twice and nothing is lost.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        Index("ix_schedules_due", "next_at", "id", postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_schedules_project_id_created_at", "project_id", "created_at", "id"),
    )

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    """For whom it starts jobs: who made it, or resumed it last."""
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    cron: Mapped[str] = mapped_column(String(CRON_LENGTH))
    time_zone: Mapped[str] = mapped_column(String(ZONE_LENGTH))
    start_json: Mapped[dict[str, Any]] = mapped_column("start")
    priority: Mapped[Priority] = mapped_column(default=Priority.NORMAL)
    pause_reason: Mapped[SchedulePauseReason | None] = mapped_column(default=None)
    next_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it is due; None while it is paused."""
    last_at: Mapped[datetime | None] = mapped_column(default=None)
    last_job_id: Mapped[str | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="SET NULL"), index=True, default=None
    )
    refusal_code: Mapped[str | None] = mapped_column(String(64), default=None)
    """Why the last time started nothing; None when it did."""
    refusal_message: Mapped[str | None] = mapped_column(String(MESSAGE_LENGTH), default=None)
    version: Mapped[int] = mapped_column(default=1)
    """Counts what people change. That it fires is no change: a form that is open meanwhile must not turn stale."""

    @classmethod
    def made(
        cls,
        *,
        project_id: str,
        user_id: str,
        name: str,
        cron: Cron,
        start: Start,
        priority: Priority,
        paused: bool,
        now: datetime,
        there: int,
    ) -> "Schedule":
        """A new one. `there`: how many the project has already."""
        if there >= MOST_SCHEDULES:
            raise TooManySchedules(limit=MOST_SCHEDULES)
        start.check()
        schedule = cls(
            project_id=project_id,
            user_id=user_id,
            name=clean_name(name),
            cron=cron.expression,
            time_zone=cron.time_zone,
            start_json=start.to_json(),
            priority=priority,
            pause_reason=SchedulePauseReason.ASKED if paused else None,
        )
        schedule._plan(now)
        return schedule

    @property
    def paused(self) -> bool:
        """Whether it lets its times pass."""
        return self.pause_reason is not None

    @property
    def start(self) -> Start:
        """What it starts."""
        return Start.from_json(self.start_json)

    @property
    def when(self) -> Cron:
        """The times at which it is due."""
        return Cron(expression=self.cron, time_zone=self.time_zone)

    # What people change

    def expect(self, version: int | None) -> None:
        """Refuse a change that was thought of for another version (None: any)."""
        if version is not None and version != self.version:
            raise StaleVersion(expected=version, actual=self.version)

    def change(
        self,
        *,
        by: str,
        now: datetime,
        name: str | None = None,
        cron: Cron | None = None,
        start: Start | None = None,
        priority: Priority | None = None,
        paused: bool | None = None,
    ) -> None:
        """Change what is given. Whoever resumes it (`by`) is from then on the one for whom it starts jobs."""
        if name is not None:
            self.name = clean_name(name)
        if start is not None:
            start.check()
            self.start_json = start.to_json()
        if priority is not None:
            self.priority = priority
        if paused and not self.paused:
            self._pause(SchedulePauseReason.ASKED)
        resumed = self.paused and paused is False
        if resumed:
            self.pause_reason, self.user_id = None, by
        retimed = cron is not None and cron != self.when
        if cron is not None:
            self.cron, self.time_zone = cron.expression, cron.time_zone
        if resumed or retimed:
            # Only then: a time that has come, and that no worker has seen yet, is not to be lost by a new name.
            self._plan(now)
        self.version += 1

    # What happens when it is due

    def due(self, now: datetime) -> bool:
        """Whether its time has come."""
        return self.next_at is not None and self.next_at <= now

    def fire(self, now: datetime, user: User | None, role: Role | None) -> bool:
        """Move on to the next time, and say whether to start something. `user` is its user, `role` theirs by now.

        However many times went by while nobody looked, this is for all of them.
        """
        if user is None:
            self._pause(SchedulePauseReason.USER_GONE)
            return False
        viewer = Viewer(user_id=user.id, scopes=frozenset({Scope.RENDERS_WRITE}), is_admin=user.is_admin)
        if not viewer.may(Right.EDIT, role):
            self._pause(SchedulePauseReason.USER_MAY_NOT)
            return False
        self.last_at = now
        self._plan(now)
        return True

    def order(self, project: Project, standing: Standing) -> Order:
        """What it starts, as the project stands now; or the refusal that it meets."""
        assert self.user_id is not None  # noqa: S101 - fire() has seen the user
        return replace(self.start.order(project, standing, user_id=self.user_id), priority=self.priority)

    def started(self, job: Job) -> None:
        """Note the job that came of it."""
        self.last_job_id = job.id
        self.refusal_code = self.refusal_message = None

    def refused(self, refusal: Refusal) -> None:
        """Note why nothing came of it."""
        message = refusal.message
        if isinstance(refusal, TimelineInvalid):
            first = refusal.problems[0]
            message = f"The timeline cannot be rendered as it is: {first.path}: {first.message}."
        self.refusal_code, self.refusal_message = refusal.code, message[:MESSAGE_LENGTH]

    def put_off(self, until: datetime) -> None:
        """Try again then: something went wrong on our side, which must not keep the others waiting."""
        self.next_at = until

    def _pause(self, reason: SchedulePauseReason) -> None:
        self.pause_reason, self.next_at = reason, None

    def _plan(self, now: datetime) -> None:
        """Choose the next time behind now."""
        self.next_at = None if self.paused else next(self.when.times(now), None)
