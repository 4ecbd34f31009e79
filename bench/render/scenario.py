"""The one scenario, as it is read from its file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Footage:
    files: int
    seconds: int
    width: int
    height: int
    rate: int
    groups: list[int]
    grain: int


@dataclass(frozen=True, kw_only=True)
class Edit:
    shot_seconds: list[float]
    fade_frames: int
    title_every_seconds: float
    title_seconds: float
    caption_every_seconds: float
    caption_seconds: float


@dataclass(frozen=True, kw_only=True)
class Encoder:
    crf: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Preview:
    frames: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Hour:
    clips: int
    captions: int


@dataclass(frozen=True, kw_only=True)
class Goals:
    cold_of_plain: float
    one_caption_short: float
    one_caption_long: float
    nothing_of_whole: float
    preview_p50_ms: float
    preview_again_p50_ms: float
    two_workers: float
    plan_seconds: float


@dataclass(frozen=True, kw_only=True)
class Scenario:
    seed: int
    footage: Footage
    edit: Edit
    short: int
    """Clips of the short edit; of the long one; of the one that one worker makes, and two."""
    long: int
    parallel: int
    encoder: Encoder
    preview: Preview
    hour: Hour
    goals: Goals

    @classmethod
    def read(cls) -> Self:
        """Read scenario.toml beside this file."""
        told = tomllib.loads(Path(__file__).with_name("scenario.toml").read_text())
        return cls(
            seed=told["seed"],
            footage=Footage(**told["footage"]),
            edit=Edit(**told["edit"]),
            short=told["short"]["clips"],
            long=told["long"]["clips"],
            parallel=told["parallel"]["clips"],
            encoder=Encoder(**told["encoder"]),
            preview=Preview(**told["preview"]),
            hour=Hour(**told["hour"]),
            goals=Goals(**told["goals"]),
        )
