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
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity, Worded, new_id
from domain.kinds import JobKind, Pool, Spec
from domain.refusals import IdempotencyKeyReused, InvalidInput, JobAlreadyEnded, JobNotRetryable

MOST_FAILURES = 3
"""A job is tried again until it has failed so often."""
MOST_LOSSES = 3
"""A job whose workers vanish so often is taken for what kills them."""
FIRST_BACKOFF = timedelta(seconds=2)
KEY_LENGTH = 200


class JobState(Worded):
    """Where a job is in its life."""

    QUEUED = "QUEUED", "Waits for a worker."
    PROCESSING = "PROCESSING", "A worker is at it; `progress` says how far."
    COMPLETED = "COMPLETED", "Done: `asset` is what came of it."
    FAILED = "FAILED", "Given up; `error` says why."
    CANCELLED = "CANCELLED", "Stopped on request; nothing of it was kept."

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in ENDED


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


class LeaseLost(Exception):
    """The job is no longer this worker's: it was given to another, or is gone."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt failed. A hopeless one (the input's fault) is not tried again."""

    code: str
    message: str
    hopeless: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an attempt has come. `fraction` is between 0 and 1, `speed` in output seconds per second."""

    stage: str
    fraction: float = 0.0
    frames: int | None = None
    total_frames: int | None = None
    fps: float | None = None
    speed: float | None = None
    eta_seconds: float | None = None


class Job(Entity, Base):
    """One piece of long work. A narrow row, since its heartbeat rewrites it: spec and result lie beside it."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_claim", "pool", text("priority DESC"), "queued_at", postgresql_where=text("state = 'QUEUED'")),
        Index("ix_jobs_leases", "lease_expires_at", postgresql_where=text("state = 'PROCESSING'")),
        Index("ix_jobs_project_id_created_at", "project_id", "created_at", "id"),
        Index(
            "uq_jobs_active_render",
            "project_id",
            unique=True,
            postgresql_where=text("kind = 'RENDER' AND state IN ('QUEUED', 'PROCESSING')"),
        ),
        UniqueConstraint("project_id", "idempotency_key"),
    )

    kind: Mapped[JobKind]
    pool: Mapped[Pool]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    queued_at: Mapped[datetime]
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("assets.id", ondelete="SET NULL"), index=True, default=None)
    """The asset it examines, or the one it made."""
    idempotency_key: Mapped[str | None] = mapped_column(String(KEY_LENGTH), default=None)
    request_digest: Mapped[str | None] = mapped_column(String(64), default=None)
    priority: Mapped[int] = mapped_column(default=0)
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
    version: Mapped[int] = mapped_column(init=False)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own spelling

    @property
    def stamp(self) -> tuple[int, int, int]:
        """Orders what was read of the job. A heartbeat may be forgotten in a crash, so it counts last."""
        return (self.version, self.attempt, self.beat)

    # What the world outside asks

    def cancel(self, now: datetime) -> None:
        """Stop it: a waiting job at once, a running one as soon as its worker hears of it. Harmless when repeated."""
        if self.state == JobState.CANCELLED:
            return
        if self.state.ended:
            raise JobAlreadyEnded(state=self.state)
        if self.state == JobState.QUEUED:
            self._end(JobState.CANCELLED, now)
        else:
            self.cancel_requested = True

    def retry(self, now: datetime) -> None:
        """Start over, with a fresh budget, what failed or was cancelled."""
        if self.state not in {JobState.FAILED, JobState.CANCELLED}:
            raise JobNotRetryable(state=self.state)
        self.failures = self.losses = 0
        self.error_code = self.error_message = None
        self.cancel_requested = False
        self.started_at = self.ended_at = None
        self._queue(now, wait=timedelta())

    # What a worker says

    def claim(self, worker: str, now: datetime, lease: timedelta) -> None:
        """Take it: a new attempt with a token and a lease of its own."""
        self.state = JobState.PROCESSING
        self.attempt += 1
        self.token, self.worker = new_id(), worker
        self.lease_expires_at = now + lease
        self.started_at = self.started_at or now
        self.not_before = None
        self._forget_progress("starting")

    def held(self, token: str) -> None:
        """Say LeaseLost unless this token is the present claim's."""
        if self.state != JobState.PROCESSING or self.token != token:
            raise LeaseLost

    def complete(self, token: str, now: datetime, *, asset_id: str | None = None) -> None:
        """It is done. Too late to cancel: what was made is kept."""
        self.held(token)
        self.asset_id = asset_id or self.asset_id
        self.stage, self.fraction, self.eta_seconds = "done", 1.0, 0.0
        self.frames = self.total_frames  # the last heartbeat may have told of fewer
        self.error_code = self.error_message = None
        self._end(JobState.COMPLETED, now)

    def fail(self, token: str, failure: Failure, now: datetime) -> None:
        """The attempt failed: try again after a while, or give up."""
        self.held(token)
        self.failures += 1
        # No database keeps a NUL, and what a program said before it died may hold some.
        self.error_code, self.error_message = failure.code, failure.message.replace("\0", "")[:4000]
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        elif failure.hopeless or self.failures >= MOST_FAILURES:
            self._end(JobState.FAILED, now)
        else:
            self._queue(now, wait=FIRST_BACKOFF * 2 ** (self.failures - 1))

    def stopped(self, token: str, now: datetime) -> None:
        """The worker stopped it because that was asked for."""
        self.held(token)
        self._end(JobState.CANCELLED, now)

    def hand_back(self, token: str, now: datetime) -> None:
        """The worker is going away: another one starts over, and nothing is spent."""
        self.held(token)
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        else:
            self._queue(now, wait=timedelta())

    def lose(self, now: datetime) -> None:
        """The lease ran out. The first loss is the worker's misfortune, waits for nothing and spends nothing."""
        self.losses += 1
        if self.cancel_requested:
            self._end(JobState.CANCELLED, now)
        elif self.losses >= MOST_LOSSES:
            self.error_code = "WORKER_LOST"
            self.error_message = f"{self.losses} workers vanished while they were at it; the last was {self.worker}."
            self._end(JobState.FAILED, now)
        else:
            self._queue(now, wait=timedelta() if self.losses == 1 else FIRST_BACKOFF)

    def _queue(self, now: datetime, *, wait: timedelta) -> None:
        self.state = JobState.QUEUED
        self.queued_at = now
        self.not_before = now + wait if wait else None
        self.token = self.worker = self.lease_expires_at = None
        self._forget_progress("queued")

    def _end(self, state: JobState, now: datetime) -> None:
        self.state, self.ended_at = state, now
        self.token = self.lease_expires_at = None

    def _forget_progress(self, stage: str) -> None:
        self.stage, self.fraction, self.beat = stage, 0.0, 0
        self.frames = self.total_frames = self.fps = self.speed = self.eta_seconds = None


class JobPayload(Base):
    """What a job was asked and what came of it, beside its hot row."""

    __tablename__ = "job_payloads"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    spec: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(default=None)


def clean_key(key: str | None) -> str | None:
    """Return the idempotency key as it is kept."""
    if key is not None and not (0 < len(key) <= KEY_LENGTH and key.isprintable()):
        raise InvalidInput(path="idempotencyKey", problem=f"it must have 1 to {KEY_LENGTH} printable characters")
    return key


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job as its maker wants it: what to do, for whom."""

    spec: Spec
    project_id: str
    user_id: str | None
    asset_id: str | None = None
    idempotency_key: str | None = None

    def place(self, now: datetime) -> tuple[Job, JobPayload]:
        """The job and what lies beside it, both new."""
        job = Job(
            kind=self.spec.kind,
            pool=self.spec.pool,
            project_id=self.project_id,
            user_id=self.user_id,
            queued_at=now,
            asset_id=self.asset_id,
            idempotency_key=clean_key(self.idempotency_key),
            request_digest=self.spec.digest,
        )
        return job, JobPayload(job_id=job.id, spec=self.spec.to_json())


def same_request(job: Job, spec: Spec) -> Job:
    """The job that an idempotency key already made; refused when it was made for another input."""
    if (job.kind, job.request_digest) != (spec.kind, spec.digest):
        raise IdempotencyKeyReused(job_id=job.id)
    return job
