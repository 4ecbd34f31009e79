"""The one scenario, as it is read from its file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Latency:
    jobs_per_second: float
    warm_seconds: float
    seconds: float
    users: int
    projects_of_each: int
    slots: int
    most_under_way: int
    patience_seconds: float


@dataclass(frozen=True, kw_only=True)
class Claims:
    slots: list[int]
    users: int
    projects_of_each: int
    rounds: int
    shallow_rows: int
    deep_rows: int
    warm_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Fairness:
    rows: int
    slots: int
    claimed_before: int
    patience_seconds: float


@dataclass(frozen=True, kw_only=True)
class Recovery:
    rounds: int
    patience_seconds: float
    margin_seconds: float


@dataclass(frozen=True, kw_only=True)
class Goals:
    total_p50_ms: float
    total_p99_ms: float
    claims_per_second: float
    deep_of_shallow: float


@dataclass(frozen=True, kw_only=True)
class Scenario:
    seed: int
    latency: Latency
    claims: Claims
    fairness: Fairness
    recovery: Recovery
    goals: Goals

    @classmethod
    def read(cls) -> Self:
        """Read scenario.toml beside this file."""
        told = tomllib.loads(Path(__file__).with_name("scenario.toml").read_text())
        return cls(
            seed=told["seed"],
            latency=Latency(**told["latency"]),
            claims=Claims(**told["claims"]),
            fairness=Fairness(**told["fairness"]),
            recovery=Recovery(**told["recovery"]),
            goals=Goals(**told["goals"]),
        )
