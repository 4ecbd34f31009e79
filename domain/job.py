"""The one life of all long work.

    QUEUED ──claim──▶ PROCESSING ──complete──▶ COMPLETED
      ▲  │                │ │ └────fail────▶ FAILED ───┐
      │  └───cancel───┐   │ └─cancel + stopped─▶ CANCELLED
      │               ▼   │                        │    │
      ├──requeue── (CANCELLED)                     │    │
      │      ▲────────────┘ fail, lease lost       │    │
      └──────────────────retry─────────────────────┴────┘

A state is changed by the verbs below on a locked row, and by nothing else. Everything a worker says carries the
fencing token of its claim: a worker that was given up, and comes back, has no say.

A job may hand its work to children (`fork`): it stays PROCESSING without a worker until all of them have ended, and
then waits in line for its next step. A family fails and is cancelled as one.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.attempt import Attempt, Failure, Outcome, fit
from domain.entity import Base, Entity, Worded, new_id
from domain.kinds import JobKind, Pool
from domain.refusals import JobAlreadyEnded, JobNotRetryable

MOST_FAILURES = 3
"""A job is tried again until it has failed so often."""
MOST_LOSSES = 3
"""A job whose workers vanish so often is taken for what kills them. For its last try it has a worker for itself."""
FIRST_BACKOFF = timedelta(seconds=2)
JITTER = 0.25
"""By so much of itself a wait may grow, so that what failed together is not tried again together."""
KEY_LENGTH = 200

WORKER_LOST, OVERDUE = "WORKER_LOST", "OVERDUE"


class JobState(Worded):
    """Where a job is in its life."""

    QUEUED = "QUEUED", "Waits for a worker, or for its time to come."
    PROCESSING = "PROCESSING", "A worker or its children are at it; `progress` says how far."
    COMPLETED = "COMPLETED", "Done: `asset` is what came of it."
    FAILED = "FAILED", "Given up; `error` says why."
    CANCELLED = "CANCELLED", "Stopped on request; no asset came of it."

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in ENDED


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class Priority(Worded):
    """Which jobs of a pool come first, whoever they belong to."""

    LOW = "LOW", "When nothing else waits."
    NORMAL = "NORMAL", "As most."
    HIGH = "HIGH", "Before all others."

    @property
    def rank(self) -> int:
        """As it is kept: the higher comes first."""
        return list(Priority).index(self) - 1


class LeaseLost(Exception):
    """The job is no longer this worker's: it was given to another, or is gone."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms a worker has a job."""

    lease: timedelta
    """How long it may stay silent."""
    attempt: timedelta
    """How long one attempt may take."""
    job: timedelta
    """How long all of it may take, from the first claim on."""


class Job(Entity, Base):
    """One piece of long work. A narrow row, since its heartbeat rewrites it: spec and result lie beside it."""

    __tablename__ = "jobs"
    __table_args__ = (
        # None of these has a column that a heartbeat writes, so that it need not touch any index.
        Index("ix_jobs_claim", "pool", text("priority DESC"), "turn", "queued_at", postgresql_where=text("in_line")),
        Index("ix_jobs_turns", "pool", "priority", "turn", postgresql_where=text("attempt > 0")),
        Index("ix_jobs_turns_of_user", "user_id", "pool", "priority", "turn"),
        Index("ix_jobs_scheduled", "not_before", postgresql_where=text("state = 'QUEUED' AND NOT in_line")),
        Index("ix_jobs_processing", "claimed_at", postgresql_where=text("state = 'PROCESSING'")),
        Index("ix_jobs_project_id_created_at", "project_id", "created_at", "id"),
        Index(
            "ix_jobs_ended",
            "state",
            "ended_at",
            postgresql_where=text("state IN ('COMPLETED', 'FAILED', 'CANCELLED')"),
        ),
        Index("ix_jobs_created_at_id", "created_at", "id"),
        Index("ix_jobs_family", "parent_id", "state", postgresql_where=text("parent_id IS NOT NULL")),
        Index(
            "uq_jobs_active_render",
            "project_id",
            unique=True,
            postgresql_where=text("kind = 'RENDER' AND parent_id IS NULL AND state IN ('QUEUED', 'PROCESSING')"),
        ),
        UniqueConstraint("project_id", "idempotency_key"),
    )

    kind: Mapped[JobKind]
    pool: Mapped[Pool]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    queued_at: Mapped[datetime]
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("assets.id", ondelete="SET NULL"), index=True, default=None)
    """The asset it examines, or the one it made."""
    idempotency_key: Mapped[str | None] = mapped_column(String(KEY_LENGTH), default=None)
    request_digest: Mapped[str | None] = mapped_column(String(64), default=None)

    parent_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), default=None)
    root_id: Mapped[str | None] = mapped_column(String(32), default=None)
    """The head of its family; None for one that is that itself."""
    # With defaults of the database's too: processes of a version that knows no families may still be at work.
    place: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Its number among the children of one fork."""
    weight: Mapped[float] = mapped_column(default=1.0, server_default=text("1"))
    """How much of its parent's progress it is, next to its siblings."""
    step: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Counts the forks: which part of its work comes next."""
    floor: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))
    """Where the progress of the present step begins."""
    share: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))
    """What part of the whole the children make while it waits for them."""

    priority: Mapped[int] = mapped_column(default=0)
    turn: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """Its place in the fair order of its pool and priority (see `Work.line_up`)."""
    in_line: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    """Whether a worker may take it now, as far as its state lets it."""
    not_before: Mapped[datetime | None] = mapped_column(default=None)

    state: Mapped[JobState] = mapped_column(default=JobState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    """Counts claims; orders what clients see."""
    failures: Mapped[int] = mapped_column(default=0)
    """Spends the retry budget."""
    losses: Mapped[int] = mapped_column(default=0)
    """Counts workers that vanished with it."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    token: Mapped[str | None] = mapped_column(String(32), default=None)
    worker: Mapped[str | None] = mapped_column(String(200), default=None)
    lease_expires_at: Mapped[datetime | None] = mapped_column(default=None)
    claimed_at: Mapped[datetime | None] = mapped_column(default=None)
    attempt_ends_at: Mapped[datetime | None] = mapped_column(default=None)
    ends_by: Mapped[datetime | None] = mapped_column(default=None)
    """When all of it must have ended; known from the first claim on."""
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    error_code: Mapped[str | None] = mapped_column(String(64), default=None)
    error_message: Mapped[str | None] = mapped_column(String(4000), default=None)

    stage: Mapped[str] = mapped_column(String(64), default="queued")
    fraction: Mapped[float] = mapped_column(default=0.0)
    frames: Mapped[int | None] = mapped_column(default=None)
    total_frames: Mapped[int | None] = mapped_column(default=None)
    fps: Mapped[float | None] = mapped_column(default=None)
    speed: Mapped[float | None] = mapped_column(default=None)
    eta_seconds: Mapped[float | None] = mapped_column(default=None)
    beat: Mapped[int] = mapped_column(default=0)
    """Counts the heartbeats of this attempt."""
    beat_at: Mapped[datetime | None] = mapped_column(default=None)
    version: Mapped[int] = mapped_column(init=False)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own spelling

    @cached_property
    def ended_attempts(self) -> list[Attempt]:
        """Those that the verbs have ended and that are still to be kept with it."""
        return []

    @property
    def stamp(self) -> tuple[int, int, int]:
        """Orders what was read of the job. A heartbeat may be forgotten in a crash, so it counts last."""
        return (self.version, self.attempt, self.beat)

    @property
    def waits_for_children(self) -> bool:
        """Whether it has handed its work on and is nobody's until that is done."""
        return self.state == JobState.PROCESSING and self.token is None and not self.in_line

    @property
    def is_suspect(self) -> bool:
        """Whether one more worker that vanishes with it is one too many."""
        return self.losses >= MOST_LOSSES - 1

    @property
    def children_stand_alone(self) -> bool:
        """Whether one of its children that fails takes no other along, and a retry leaves those that are completed."""
        return self.kind == JobKind.RENDER_BATCH

    # What the world outside asks

    def cancel(self, now: datetime) -> None:
        """Stop it: a waiting job at once, a running one as soon as its worker hears of it. Harmless when repeated."""
        if self.state == JobState.CANCELLED:
            return
        if self.state.ended:
            raise JobAlreadyEnded(state=self.state)
        self.cancel_requested = True
        if self.attempt == 0:
            self.turn = None  # it was never taken: its user owes nothing for it
        if self.in_line or self.state == JobState.QUEUED:
            self._end(JobState.CANCELLED, now)

    def retry(self, now: datetime) -> None:
        """Start over, with a fresh budget, what failed or was cancelled."""
        if self.state not in {JobState.FAILED, JobState.CANCELLED}:
            raise JobNotRetryable(state=self.state)
        self.failures = self.losses = self.step = 0
        self.floor = self.share = 0.0
        self.error_code = self.error_message = None
        self.cancel_requested = False
        self.started_at = self.ended_at = self.ends_by = None
        self.turn = None  # it goes to the end of the line, or retrying would be a way past others
        self._queue(now, wait=timedelta())

    def give_up_key(self) -> None:
        """Another job may be made by its idempotency key."""
        self.idempotency_key = None

    def due(self) -> None:
        """Its time has come: it may be taken, and waits from that time on."""
        self.queued_at = self.not_before or self.queued_at
        self.in_line, self.not_before = True, None

    # What a worker says

    def claim(self, worker: str, now: datetime, terms: Terms) -> None:
        """Take it: a new attempt with a token and a lease of its own."""
        self.state, self.in_line = JobState.PROCESSING, False
        self.attempt += 1
        self.token, self.worker = new_id(), worker
        self.lease_expires_at = now + terms.lease
        self.started_at = self.started_at or now
        self.claimed_at, self.not_before = now, None
        self.ends_by = ends_by = self.ends_by or now + terms.job
        self.attempt_ends_at = min(now + terms.attempt, ends_by)
        self._forget_progress("starting")

    def held(self, token: str) -> None:
        """Say LeaseLost unless this token is the present claim's."""
        if self.state != JobState.PROCESSING or self.token != token:
            raise LeaseLost

    def complete(self, token: str, now: datetime, *, asset_id: str | None = None) -> None:
        """It is done. Too late to cancel: what was made is kept."""
        self.held(token)
        self._record(Outcome.COMPLETED, now)
        self.asset_id = asset_id or self.asset_id
        self.stage, self.fraction, self.eta_seconds = "done", 1.0, 0.0
        self.frames = self.total_frames  # the last heartbeat may have told of fewer
        self.error_code = self.error_message = None
        self._end(JobState.COMPLETED, now)

    def fail(self, token: str, failure: Failure, now: datetime) -> None:
        """The attempt failed: try again after a while, or give up."""
        self.held(token)
        self._fail(failure, now)

    def stopped(self, token: str, now: datetime) -> None:
        """The worker stopped it because that was asked for."""
        self.held(token)
        self._record(Outcome.CANCELLED, now)
        self._end(JobState.CANCELLED, now)

    def hand_back(self, token: str, now: datetime) -> None:
        """The worker is going away: another one starts over, and nothing is spent."""
        self.held(token)
        self._record(Outcome.HANDED_BACK, now)
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        else:
            self._queue(now, wait=timedelta())

    def fork(self, token: str, now: datetime, *, stage: str, share: float) -> None:
        """Children take over; they make this share of the whole. The worker is free."""
        self.held(token)
        self._record(Outcome.FORKED, now)
        self.step += 1
        self.floor = self.fraction
        self.share = min(share, 1 - self.floor)
        self._let_go()
        self.attempt_ends_at = self.ends_by
        self.error_code = self.error_message = None
        self._forget_progress(stage)

    # What the sweeper finds

    def lose(self, now: datetime) -> None:
        """The lease ran out. The first loss is the worker's misfortune, waits for nothing and spends nothing."""
        self.losses += 1
        failure = Failure(
            code=WORKER_LOST,
            message=f"{self.losses} workers vanished while they were at it.",
        )
        self._record(Outcome.LOST, now)
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        elif self.losses >= MOST_LOSSES:
            self._give_up(failure, now)
        else:
            self._queue(now, wait=timedelta() if self.losses == 1 else self._backoff(self.losses - 1))

    def overrun(self, now: datetime) -> None:
        """Its time is over and nobody has said so: the worker hangs, or its children take too long."""
        if self.waits_for_children:
            self.child_failed(_overdue(self.ends_by))
        else:
            self._fail(_overdue(self.attempt_ends_at), now)

    # What becomes of its children

    def child_failed(self, failure: Failure) -> None:
        """A child was given up: it will fail too, as soon as the others have stopped."""
        self.error_code, self.error_message = self.error_code or failure.code, self.error_message or failure.message

    def children_ended(self, now: datetime) -> None:
        """The last of its children has ended: go on, or end as they did."""
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        elif self.error_code is not None:
            self._end(JobState.FAILED, now)
        else:
            self.floor, self.share = self.floor + self.share, 0.0
            self.fraction = max(self.fraction, self.floor)
            self.in_line, self.queued_at = True, now
            self.attempt_ends_at = None  # nobody has one now; a claim minds the end of it all

    def _fail(self, failure: Failure, now: datetime) -> None:
        self.failures += 1
        self._record(Outcome.FAILED, now, failure)
        self.error_code, self.error_message = failure.code, fit(failure.message)
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        elif failure.hopeless or self.failures >= MOST_FAILURES or (self.ends_by and now >= self.ends_by):
            self._end(JobState.FAILED, now)
        else:
            self._queue(now, wait=self._backoff(self.failures))

    def _give_up(self, failure: Failure, now: datetime) -> None:
        self.error_code, self.error_message = failure.code, failure.message
        self._end(JobState.FAILED, now)

    def _backoff(self, tries: int) -> timedelta:
        """Longer each time; by a chance that is drawn from its id, so that the rule stays a rule."""
        drawn = zlib.crc32(f"{self.id} {tries}".encode()) / 2**32
        return FIRST_BACKOFF * 2 ** (tries - 1) * (1 + JITTER * drawn)

    def _record(self, outcome: Outcome, now: datetime, failure: Failure | None = None) -> None:
        attempt = Attempt(
            job_id=self.id,
            number=self.attempt,
            worker=self.worker,
            started_at=self.claimed_at,
            ended_at=now,
            outcome=outcome,
        )
        if failure:
            attempt.blame(failure)
        self.ended_attempts.append(attempt)

    def _queue(self, now: datetime, *, wait: timedelta) -> None:
        self.state = JobState.QUEUED
        self.queued_at = now
        self.in_line, self.not_before = not wait, now + wait if wait else None
        self.worker = None
        self._let_go()
        self._forget_progress("queued")

    def _end(self, state: JobState, now: datetime) -> None:
        self.state, self.ended_at, self.in_line, self.not_before = state, now, False, None
        self._let_go()

    def _let_go(self) -> None:
        self.token = self.lease_expires_at = self.attempt_ends_at = None

    def _forget_progress(self, stage: str) -> None:
        self.stage, self.fraction, self.beat = stage, self.floor, 0
        self.frames = self.total_frames = self.fps = self.speed = self.eta_seconds = None


def _overdue(at: datetime | None) -> Failure:
    return Failure(code=OVERDUE, message=f"It was to be done by {at:%Y-%m-%d %H:%M:%S} UTC, and was not.")
