"""The one scenario, as it is read from its file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Pace:
    events: int
    events_per_second: float


@dataclass(frozen=True, kw_only=True)
class Goals:
    cpu_shared: float
    cpu_distinct: float
    memory_above_raw_kb: float


@dataclass(frozen=True, kw_only=True)
class Scenario:
    seed: int
    subscribers: list[int]
    users: int
    shared: Pace
    distinct: Pace
    goals: Goals

    @classmethod
    def read(cls) -> Self:
        """Read scenario.toml beside this file."""
        told = tomllib.loads(Path(__file__).with_name("scenario.toml").read_text())
        paces = {name: Pace(**told.pop(name)) for name in ("shared", "distinct")}
        return cls(goals=Goals(**told.pop("goals")), **paces, **told)
