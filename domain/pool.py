"""Pools as their operator sees them: what waits and what runs in each, who serves it, and whether it is paused."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base
from domain.kinds import JobKind, Pool

PRESENT_SECONDS = 2.0
"""How often a worker says that it is there."""
SILENT_SECONDS = 3 * PRESENT_SECONDS
"""A worker that has said nothing for longer is taken for gone: its slots no longer count."""
STUCK_SECONDS = 30.0
"""A job that is in line for longer while a slot stands idle is stuck: idle workers look every second."""
RATE_MINUTES = 5
"""Over how long the rate of completed jobs is taken."""
FAILED_MINUTES = 60
"""For how long a failed job is counted."""


class PausedPool(Base):
    """A pool from which nothing is claimed. What runs there goes on; what comes waits in line."""

    __tablename__ = "paused_pools"

    pool: Mapped[Pool] = mapped_column(primary_key=True)
    paused_by: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), default=None)
    paused_at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)


class WorkerPresence(Base):
    """A worker that is there, or was until lately. It writes this row itself, and removes it when it leaves."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    pools: Mapped[dict[str, Any]]
    """How many slots it has in each pool."""
    tools: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """What it makes things with (`domain.render.scene.Tools`); None if it makes none."""
    draining: Mapped[bool] = mapped_column(default=False)
    """Whether it finishes what it has, and claims nothing more."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """How it stands with a pool, or with one kind of job in it."""

    depth: int = 0
    scheduled: int = 0
    waiting: int = 0
    oldest_seconds: float | None = None
    running: int = 0
    completed_per_minute: float = 0.0
    failures: int = 0
    stuck: int = 0


@dataclass(frozen=True, kw_only=True)
class KindNumbers(Numbers):
    """How it stands with one kind of job in a pool."""

    kind: JobKind


@dataclass(frozen=True, kw_only=True)
class QueueWorker:
    """What one worker has to do with a pool."""

    name: str
    slots: int
    running: int
    draining: bool
    silent: bool
    started_at: datetime
    seen_at: datetime = field(compare=False)
    """Not compared: that a worker is still there is no news."""

    @property
    def serving_slots(self) -> int:
        """The slots that take jobs, now or when they are free."""
        return 0 if self.draining or self.silent else self.slots

    @property
    def idle_slots(self) -> int:
        """The slots that could take a job at once."""
        return max(0, self.serving_slots - self.running)


@dataclass(frozen=True, kw_only=True)
class Queue(Numbers):
    """How it stands with a pool."""

    pool: Pool
    paused_at: datetime | None
    paused_by: str | None
    kinds: tuple[KindNumbers, ...]
    workers: tuple[QueueWorker, ...]

    @property
    def slots(self) -> int:
        """The slots that take jobs, of all workers."""
        return sum(worker.serving_slots for worker in self.workers)

    @classmethod
    def of(
        cls, pool: Pool, kinds: Iterable[KindNumbers], workers: Iterable[QueueWorker], paused: PausedPool | None
    ) -> "Queue":
        """Sum the kinds up; the oldest of all is the oldest of any."""
        kinds = tuple(kinds)
        ages = [each.oldest_seconds for each in kinds if each.oldest_seconds is not None]
        return cls(
            pool=pool,
            paused_at=paused.paused_at if paused else None,
            paused_by=paused.paused_by if paused else None,
            kinds=kinds,
            workers=tuple(workers),
            depth=sum(each.depth for each in kinds),
            scheduled=sum(each.scheduled for each in kinds),
            waiting=sum(each.waiting for each in kinds),
            oldest_seconds=max(ages, default=None),
            running=sum(each.running for each in kinds),
            completed_per_minute=sum(each.completed_per_minute for each in kinds),
            failures=sum(each.failures for each in kinds),
            stuck=sum(each.stuck for each in kinds),
        )
