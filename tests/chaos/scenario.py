"""What a run is to be: read from its file, and drawn from its seed."""

import random
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")


class Kind(StrEnum):
    """What a job is for. Each ends in one way only, unless it is cancelled or its workers are killed too often."""

    PAUSE = "pause"
    FLOW = "flow"
    """A pause in parts: a parent with children."""
    INGEST = "ingest"
    REJECT = "reject"
    """An upload that is not what it says it is."""
    RENDER = "render"


class Happening(StrEnum):
    """What goes wrong."""

    WORKER_KILLED = "workers killed"
    WORKER_STOPPED = "workers stopped"
    """By SIGTERM: a deploy."""
    WORKER_FROZEN = "workers frozen"
    """For longer than a lease: whoever thaws then takes its job for its own, and it is not any more."""
    SWEEPER_KILLED = "workers killed in the middle of a sweep"
    PARENT_KILLED = "parents of workers killed"
    API_KILLED = "API processes killed"
    API_STOPPED = "API processes stopped"
    API_FROZEN = "API processes frozen"
    REDIS_KILLED = "Redis killed"
    REDIS_WIPED = "Redis killed and wiped"
    POSTGRES_KILLED = "PostgreSQL killed"
    POSTGRES_ABORTED = "PostgreSQL stopped by SIGQUIT"
    LINKS_STRANDED = "links to Redis half open"
    LINKS_SILENT = "links to Redis silent"
    LINKS_CUT = "links to Redis cut"


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How many of a hundred jobs …"""

    cancelled: float
    retried: float
    """… of those that ended FAILED or CANCELLED."""
    answer_lost: float
    """… are started by a client that hears no answer, and sends the same again."""
    sent_twice: float
    """… are started by the same request to two API processes at once."""
    watched_twice: float
    scheduled: float
    """… are to start some seconds later."""
    low: float
    high: float
    speech: float
    """… are for the pool of that name."""
    long: float
    """… take several seconds instead of about one."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run."""

    seed: int
    seconds: float
    """Of trouble. The jobs are started in the first nine tenths."""
    settle_seconds: float
    """How long everything may take to end once nothing goes wrong any more."""
    lease_seconds: float
    drain_seconds: float
    machines: int
    """Each is a supervisor, an API process and workers, and has a link of its own to Redis."""
    workers: int
    """On each machine."""
    people: int
    projects: int
    """Of each person."""
    jobs: Mapping[Kind, int]
    of_a_hundred: Shares
    trouble: Mapping[Happening, int]

    @classmethod
    def read(cls, file: Path) -> Self:
        said = tomllib.loads(file.read_text())
        jobs = {Kind(name): number for name, number in said.pop("jobs").items()}
        trouble = {Happening(name): number for name, number in said.pop("trouble").items()}
        return cls(jobs=jobs, trouble=trouble, of_a_hundred=Shares(**said.pop("of_a_hundred")), **said)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One job to be."""

    number: int
    kind: Kind
    at: float
    """Seconds after the beginning."""
    seconds: float
    """How long it takes, if it only takes time."""
    parts: int
    person: int
    project: int
    """Of the person."""
    pool: str
    priority: str
    not_before: float
    """Seconds after its start; 0 for at once."""
    cancel_after: float | None
    retry: bool
    """Once it has ended FAILED or CANCELLED."""
    answer_lost: bool
    sent_twice: bool
    watchers: int


@dataclass(frozen=True, kw_only=True)
class Blow:
    """One thing to go wrong."""

    at: float
    happening: Happening
    seed: int


def plans(scenario: Scenario) -> list[Plan]:
    """The jobs of a run, in the order in which they are started."""
    chance = random.Random(scenario.seed)
    share = scenario.of_a_hundred
    kinds = _shuffled(scenario.jobs, chance)
    moments = sorted(chance.uniform(0, scenario.seconds * 0.9) for _ in kinds)

    def is_one_of(in_a_hundred: float) -> bool:
        return chance.random() * 100 < in_a_hundred

    return [
        Plan(
            number=number,
            kind=kind,
            at=at,
            seconds=round(chance.uniform(3, 6) if is_one_of(share.long) else chance.uniform(0.2, 1.2), 2),
            parts=3 if kind == Kind.FLOW else 0,
            person=chance.randrange(scenario.people),
            project=chance.randrange(scenario.projects),
            pool="SPEECH" if is_one_of(share.speech) else "LIGHT",
            priority="HIGH" if is_one_of(share.high) else "LOW" if is_one_of(share.low) else "NORMAL",
            not_before=chance.uniform(0.5, 3) if is_one_of(share.scheduled) else 0,
            cancel_after=chance.uniform(0, 1.5) if is_one_of(share.cancelled) else None,
            retry=is_one_of(share.retried),
            answer_lost=is_one_of(share.answer_lost),
            sent_twice=is_one_of(share.sent_twice),
            watchers=2 if is_one_of(share.watched_twice) else 1,
        )
        for number, (kind, at) in enumerate(zip(kinds, moments, strict=True))
    ]


def blows(scenario: Scenario) -> list[Blow]:
    """What goes wrong in a run, in order: spread evenly, for what comes all at once comes only once."""
    chance = random.Random(scenario.seed)
    happenings = _shuffled(scenario.trouble, chance)
    step = scenario.seconds / (len(happenings) + 1)
    return [
        Blow(at=step * (index + chance.uniform(0.6, 1.4)), happening=happening, seed=chance.getrandbits(32))
        for index, happening in enumerate(happenings)
    ]


def _shuffled(numbers: Mapping[T, int], chance: random.Random) -> list[T]:
    each: Iterable[T] = (name for name, number in numbers.items() for _ in range(number))
    drawn = list(each)
    chance.shuffle(drawn)
    return drawn
