"""One try at a job: what it says while it runs, how it ends, and what is kept of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ARRAY, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Worded

MESSAGE_LENGTH = 4000
KEPT_LINES = 40


class Outcome(Worded):
    """How an attempt ended."""

    COMPLETED = "COMPLETED", "It did what was asked."
    FORKED = "FORKED", "It handed its work to children; the next attempt goes on when they are done."
    FAILED = "FAILED", "It failed; `error` says why."
    CANCELLED = "CANCELLED", "It was stopped on request."
    HANDED_BACK = "HANDED_BACK", "Its worker was told to stop, and gave the job back."
    LOST = "LOST", "Its worker fell silent for longer than its lease."


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt failed. A hopeless one (the input's fault) is not tried again."""

    code: str
    message: str
    hopeless: bool = False
    exit_code: int | None = None
    """Of the program that ended with an error, if it was one; negative for the signal that killed it."""
    tail: tuple[str, ...] = ()
    """The last lines that this program said."""


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


class Attempt(Base):
    """An attempt that has ended. Written by the verb that ends it, in the same transaction."""

    __tablename__ = "job_attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 1, as the job's own `attempt`."""
    worker: Mapped[str | None] = mapped_column(String(200))
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime]
    outcome: Mapped[Outcome]
    error_code: Mapped[str | None] = mapped_column(String(64), default=None)
    error_message: Mapped[str | None] = mapped_column(String(MESSAGE_LENGTH), default=None)
    exit_code: Mapped[int | None] = mapped_column(default=None)
    tail: Mapped[list[str] | None] = mapped_column(ARRAY(String), default=None)

    def blame(self, failure: Failure) -> None:
        """Keep why it failed."""
        self.error_code, self.error_message = failure.code, fit(failure.message)
        self.exit_code = failure.exit_code
        self.tail = [fit(line) for line in failure.tail[-KEPT_LINES:]] or None


def fit(message: str) -> str:
    """What a column can hold of it: no database keeps a NUL, and what a program said as it died may have some."""
    return message.replace("\0", "")[:MESSAGE_LENGTH]
