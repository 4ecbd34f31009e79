"""What was seen of each job while things went wrong, and whether that is as it should be."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter

from bench.goals import Goal

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
LOST_TOO_OFTEN = "WORKER_LOST"
LOSSES = 3
"""So many workers vanish with a job before it is given up."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One state that a subscriber was shown."""

    state: str
    version: int
    attempt: int
    fraction: float


@dataclass(kw_only=True)
class Sitting:
    """What came over one connection."""

    era: int = 0
    """How often PostgreSQL had been taken down and brought up before: even while it runs."""
    seen: list[Seen] = field(default_factory=list)


@dataclass(kw_only=True)
class Watch:
    """One subscriber, who came again as often as the connection broke."""

    life: int = 0
    """How often the job had been retried when it began."""
    sittings: list[Sitting] = field(default_factory=list)
    completed: bool = False
    """Its subscription completed."""

    @property
    def seen(self) -> list[Seen]:
        return [seen for sitting in self.sittings for seen in sitting.seen]

    @property
    def end(self) -> str | None:
        """The end that was shown, if it was one."""
        seen = self.seen
        return seen[-1].state if self.completed and seen and seen[-1].state in ENDED else None

    @property
    def was_shown_backwards(self) -> bool:
        within = (_is_backwards(*pair, ended=True) for each in self.sittings for pair in pairwise(each.seen))
        return any(within) or any(_is_backwards(*pair, ended=False) for pair in self._seams())

    def _seams(self) -> Iterator[tuple[Seen, Seen]]:
        """The last state of one connection, and the first of the next that showed any."""
        sittings = [sitting for sitting in self.sittings if sitting.seen]
        for before, after in pairwise(sittings):
            last, first = before.seen[-1], after.seen[0]
            # A heartbeat waits for no disk, so what a killed PostgreSQL kept of it may be less than was shown.
            forgetful = before.era != after.era or after.era % 2
            of_one_attempt = (last.version, last.attempt) == (first.version, first.attempt)
            if not (forgetful and of_one_attempt and last.state == first.state):
                yield last, first


@dataclass(kw_only=True)
class JobHistory:
    """One job from all sides: who watched it, what was asked of it, the project's log, and its row at the end."""

    kind: str = ""
    watches: list[Watch] = field(default_factory=list)
    is_scheduled: bool = False
    """It was not to start at once."""
    cancels: int = 0
    """How often that was asked for."""
    retries: int = 0
    """How often that was asked for."""
    ends: frozenset[str] = frozenset({"COMPLETED"})
    """How it may end, after all that was asked; besides being lost too often."""
    errors: frozenset[str | None] = frozenset()
    """With which errors it may fail, besides that."""
    told: list[str] = field(default_factory=list)
    """The kinds of its entries in the project's log."""
    outcomes: list[str] = field(default_factory=list)
    """How each of its attempts ended."""
    losers: list[int] = field(default_factory=list)
    """The processes that were said to have vanished with it."""
    children: list["JobHistory"] = field(default_factory=list)
    """Those of its last life."""
    state: str = ""
    error: str | None = None
    attempt: int = 0
    version: int = 0

    def watched(self) -> Watch:
        """One more who watches it from now on."""
        self.watches.append(Watch(life=self.retries))
        return self.watches[-1]

    @property
    def is_lost(self) -> bool:
        return self.state not in ENDED

    @property
    def was_given_up(self) -> bool:
        return self.state == "FAILED" and self.error == LOST_TOO_OFTEN

    @property
    def vanished(self) -> list[int]:
        """The workers for whose sake it, or a child of it, was given up."""
        family = [each for each in (self, *self.children) if each.was_given_up and each.losers]
        return family[-1].losers[-LOSSES:] if family else []

    @property
    def was_interrupted(self) -> bool:
        return not {"LOST", "HANDED_BACK"}.isdisjoint(self.outcomes)

    @property
    def completed_twice(self) -> bool:
        once = self.told.count("JOB_COMPLETED") <= 1 and self.outcomes.count("COMPLETED") <= 1
        return not once or any(child.completed_twice for child in self.children)

    @property
    def ended_otherwise_than_once(self) -> bool:
        """Whether the log has other than one end of each of its lives, or anything behind that end.

        A retry begins another life. Or whether some attempt has no end; or whether the row was written more often than
        what happened to the job explains.
        """
        if self.is_lost:
            return False
        lives = self._lives()
        ends = [[kind for kind in life if _is_end(kind)] for life in lives]
        once = all(len(end) == 1 and life[-1:] == end for life, end in zip(lives, ends, strict=True))
        retried = len(lives) - 1 == self.retries and ["JOB_COMPLETED"] not in ends[:-1]
        if not once or not retried or self.told[-1:] != [f"JOB_{self.state}"]:
            return True
        return len(self.outcomes) != self.attempt or not 0 <= self.version - len(self.told) <= self._untold

    @property
    def left_children(self) -> bool:
        """Whether its children have not all ended, or not as they must have for its own end."""
        ends = {child.state for child in self.children}
        return not self.is_lost and not ends <= ({"COMPLETED"} if self.state == "COMPLETED" else ENDED)

    @property
    def ended_without_reason(self) -> bool:
        if self.is_lost or self.was_given_up:
            return False
        return self.state not in self.ends or (self.state == "FAILED" and self.error not in self.errors)

    @property
    def end_was_not_shown(self) -> bool:
        last = {watch.end for watch in self.watches if watch.life == self.retries}
        return last != {self.state} or None in {watch.end for watch in self.watches}

    @property
    def was_shown_backwards(self) -> bool:
        return any(watch.was_shown_backwards for watch in self.watches)

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, in words."""
        return [name for name, is_so in FAULTS.items() if is_so(self)]

    @property
    def _untold(self) -> int:
        """How often its row may have changed without an entry in the log."""
        asked = min(self.cancels, self.retries + 1)
        waited = self.is_scheduled + sum(self.outcomes.count(each) for each in ("LOST", "FAILED"))
        # Of a fork: that itself, a child that failed, the end of the last child, and the claim of the next step.
        return asked + waited + 4 * self.outcomes.count("FORKED")

    def _lives(self) -> list[list[str]]:
        """Its entries in the log, each retry beginning another list."""
        lives: list[list[str]] = []
        for before, kind in pairwise([None, *self.told]):
            if before is None or (kind == "JOB_QUEUED" and _is_end(before)):
                lives.append([])
            lives[-1].append(kind or "")
        return lives


FAULTS: dict[str, Callable[[JobHistory], bool]] = {
    "jobs lost": attrgetter("is_lost"),
    "jobs completed twice": attrgetter("completed_twice"),
    "jobs that ended other than once": attrgetter("ended_otherwise_than_once"),
    "jobs whose children did not end with them": attrgetter("left_children"),
    "jobs that ended for no reason": attrgetter("ended_without_reason"),
    "subscribers without the end": attrgetter("end_was_not_shown"),
    "subscribers shown a step backwards": attrgetter("was_shown_backwards"),
}


def _is_end(kind: str) -> bool:
    return kind.removeprefix("JOB_") in ENDED


def _is_backwards(before: Seen, after: Seen, *, ended: bool) -> bool:
    """Whether one state may not follow the other; `ended` if nothing may follow an end."""
    if (ended and before.state in ENDED) or (after.version, after.attempt) < (before.version, before.attempt):
        return True
    if (after.version, after.attempt) == (before.version, before.attempt):
        return after.state != before.state or after.fraction < before.fraction
    return after.attempt < before.attempt


def goals(jobs: Iterable[JobHistory]) -> list[Goal]:
    """What every job's history has to answer for."""
    jobs = list(jobs)
    faults = Counter(fault for job in jobs for fault in job.faults)
    return [
        *(Goal(name=name, value=faults[name], wanted=0) for name in FAULTS),
        # Without this, the rest says nothing.
        Goal(name="jobs interrupted", value=sum(job.was_interrupted for job in jobs), wanted=1, at_least=True),
    ]
