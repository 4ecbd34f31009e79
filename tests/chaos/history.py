"""What was seen of each job while things were killed, and whether that is as it should be."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from operator import eq, ge

ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
LOST_TOO_OFTEN = "WORKER_LOST"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One state that a subscriber was shown."""

    state: str
    version: int
    attempt: int
    fraction: float


@dataclass(kw_only=True)
class JobHistory:
    """One job from all sides: who watched it, who cancelled it, the project's log, and its row at the end."""

    seen: list[Seen] = field(default_factory=list)
    completed: bool = False
    """Its subscription completed."""
    cancelled: bool = False
    """Somebody asked for that."""
    told: list[str] = field(default_factory=list)
    """The kinds of its entries in the project's log."""
    state: str = ""
    error: str | None = None
    attempt: int = 0
    version: int = 0

    @property
    def is_lost(self) -> bool:
        return self.state not in ENDED

    @property
    def ended_otherwise_than_once(self) -> bool:
        """Whether the log has other than one end of it, or anything behind that end; or an end was written over.

        Each change of a job counts up its version and is told in the log, but for the request to cancel it.
        """
        ends = [kind for kind in self.told if kind.removeprefix("JOB_") in ENDED]
        untold = self.version - len(self.told)
        as_it_should = ends == [f"JOB_{self.state}"] == self.told[-1:] and 0 <= untold <= self.cancelled
        return not self.is_lost and not as_it_should

    @property
    def ended_without_reason(self) -> bool:
        match self.state:
            case "CANCELLED":
                return not self.cancelled
            case "FAILED":
                return self.error != LOST_TOO_OFTEN
            case _:
                return False

    @property
    def end_was_not_shown(self) -> bool:
        return not self.completed or not self.seen or self.seen[-1].state != self.state

    @property
    def was_shown_backwards(self) -> bool:
        return any(_is_backwards(before, after) for before, after in pairwise(self.seen))


def _is_backwards(before: Seen, after: Seen) -> bool:
    if before.state in ENDED or (after.version, after.attempt) < (before.version, before.attempt):
        return True
    if (after.version, after.attempt) == (before.version, before.attempt):
        return after.state != before.state or after.fraction < before.fraction
    return after.attempt < before.attempt


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A number, and what it should be."""

    name: str
    value: int
    wanted: int = 0
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        compare: Callable[[int, int], bool] = ge if self.at_least else eq
        return compare(self.value, self.wanted)

    def __str__(self) -> str:
        operator = ">=" if self.at_least else "="
        verdict = "ok" if self.is_met else "short"
        return f"goal {self.name}: {self.value} (wanted {operator} {self.wanted}) {verdict}"


def goals(jobs: Iterable[JobHistory]) -> list[Goal]:
    """What every job's history has to answer for."""
    jobs = list(jobs)
    faults = Counter[str]()
    for job in jobs:
        faults["jobs lost"] += job.is_lost
        faults["jobs that ended other than once"] += job.ended_otherwise_than_once
        faults["jobs that ended for no reason"] += job.ended_without_reason
        faults["subscribers without the end"] += job.end_was_not_shown
        faults["subscribers shown a step backwards"] += job.was_shown_backwards
    return [
        *(Goal(name=name, value=value) for name, value in faults.items()),
        # Without this, the rest says nothing.
        Goal(name="jobs interrupted", value=sum(job.attempt > 1 for job in jobs), wanted=1, at_least=True),
    ]
