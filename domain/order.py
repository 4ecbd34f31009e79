"""A job as its maker wants it: what to do, for whom, when."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base
from domain.job import KEY_LENGTH, Job, Priority
from domain.kinds import Spec
from domain.refusals import IdempotencyKeyReused, InvalidInput

FARTHEST = timedelta(days=366)
"""How far ahead a job may be asked for."""


class JobPayload(Base):
    """What a job was asked and what came of it, beside its hot row."""

    __tablename__ = "job_payloads"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    spec: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(default=None)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is wanted. `not_before`: leave it alone until then."""

    spec: Spec
    project_id: str
    user_id: str | None
    asset_id: str | None = None
    idempotency_key: str | None = None
    priority: Priority = Priority.NORMAL
    not_before: datetime | None = None

    @property
    def digest(self) -> str:
        """A fingerprint (SHA-256) by which equal requests are known."""
        asked = self.spec.asked()
        if self.priority != Priority.NORMAL:
            asked["priority"] = self.priority
        if self.not_before is not None:
            asked["not_before"] = self.not_before.isoformat()
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def place(self, now: datetime) -> tuple[Job, JobPayload]:
        """The job and what lies beside it, both new."""
        not_before = clean_time(self.not_before, now)
        job = Job(
            kind=self.spec.kind,
            pool=self.spec.pool,
            project_id=self.project_id,
            user_id=self.user_id,
            queued_at=now,
            asset_id=self.asset_id,
            idempotency_key=clean_key(self.idempotency_key),
            request_digest=self.digest,
            priority=self.priority.rank,
            in_line=not_before is None,
            not_before=not_before,
        )
        return job, JobPayload(job_id=job.id, spec=self.spec.to_json())


@dataclass(frozen=True, kw_only=True)
class Child:
    """A part of a job's work, to be done as a job of its own. `weight`: next to its siblings'."""

    spec: Spec
    weight: float = 1.0
    number: int | None = None
    """Its place, where that is not the one among its siblings of this fork."""

    def place(self, parent: Job, number: int, now: datetime) -> tuple[Job, JobPayload]:
        """The job and what lies beside it: for the same user, of the same priority, and due when its parent is."""
        job = Job(
            kind=self.spec.kind,
            pool=self.spec.pool,
            project_id=parent.project_id,
            user_id=parent.user_id,
            queued_at=now,
            parent_id=parent.id,
            root_id=parent.root_id or parent.id,
            place=number if self.number is None else self.number,
            weight=self.weight,
            priority=parent.priority,
            ends_by=parent.ends_by,
        )
        return job, JobPayload(job_id=job.id, spec=self.spec.to_json())


def clean_key(key: str | None) -> str | None:
    """Return the idempotency key as it is kept."""
    if key is not None and not (0 < len(key) <= KEY_LENGTH and key.isprintable()):
        raise InvalidInput(path="idempotencyKey", problem=f"it must have 1 to {KEY_LENGTH} printable characters")
    return key


def clean_time(not_before: datetime | None, now: datetime) -> datetime | None:
    """Return when the job may be taken; None for at once."""
    if not_before is None:
        return None
    if not_before.tzinfo is None:
        raise InvalidInput(path="notBefore", problem="it must say its offset from UTC, such as Z or +02:00")
    if not_before > now + FARTHEST:
        raise InvalidInput(path="notBefore", problem=f"it must be within {FARTHEST.days} days")
    return not_before if not_before > now else None


def same_request(job: Job, order: Order) -> Job:
    """The job that an idempotency key already made; refused when it was made for another input."""
    if (job.kind, job.request_digest) != (order.spec.kind, order.digest):
        raise IdempotencyKeyReused(job_id=job.id)
    return job
