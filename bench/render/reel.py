"""The edit: shots that fade one into the other, titles, captions, a song. As plain numbers, and as a timeline."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from bench.render.footage import SONG, films
from bench.render.scenario import Scenario

CAPTION_SIZE, TITLE_SIZE = 54, 96


@dataclass(frozen=True)
class Shot:
    """A stretch of a film."""

    film: str
    in_: int
    length: int


@dataclass(frozen=True)
class Words:
    """A text that is seen for a while."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Reel:
    """All of it, in frames."""

    width: int
    height: int
    rate: int
    shots: tuple[Shot, ...]
    fade: int
    titles: tuple[Words, ...]
    captions: tuple[Words, ...]

    @property
    def length(self) -> int:
        """In frames."""
        return sum(shot.length for shot in self.shots) - self.fade * (len(self.shots) - 1)

    def reworded(self, number: int, text: str) -> "Reel":
        """The same with another text in one caption."""
        captions = list(self.captions)
        captions[number] = replace(captions[number], text=text)
        return replace(self, captions=tuple(captions))

    def timeline(self, assets: Mapping[str, str]) -> dict[str, Any]:
        """As the API takes it; `assets` says under which id each file was uploaded."""
        fade = {"frames": self.fade}
        shots = [
            {
                "content": {"video": {"assetId": assets[shot.film], "in": shot.in_, "out": shot.in_ + shot.length}},
                **({"transition": fade} if number else {}),
            }
            for number, shot in enumerate(self.shots)
        ]
        titles = [
            {
                "start": title.start,
                "content": {"text": {"text": title.text, "length": title.end - title.start, "size": TITLE_SIZE}},
            }
            for title in self.titles
        ]
        cues = [{"start": cue.start, "end": cue.end, "text": cue.text} for cue in self.captions]
        captions = {"cues": cues, "length": self.length, "size": CAPTION_SIZE}
        song = {"assetId": assets[SONG], "out": self.length}
        return {
            "canvas": {"width": self.width, "height": self.height, "frameRate": str(self.rate)},
            "tracks": [
                {"clips": shots},
                {"clips": titles},
                {"clips": [{"content": {"captions": captions}}]},
                {"clips": [{"content": {"audio": song}}]},
            ],
        }


def reel(scenario: Scenario, clips: int) -> Reel:
    """An edit of so many shots, drawn by lot, the same each time."""
    chance, wanted, rate = random.Random(scenario.seed), scenario.edit, scenario.footage.rate
    least, most = (round(each * rate) for each in wanted.shot_seconds)
    names = films(scenario.footage)
    shots: list[Shot] = []
    for number in range(clips):
        length = chance.randint(least, most)
        in_ = chance.randint(0, scenario.footage.seconds * rate - length)
        shots.append(Shot(names[number % len(names)], in_, length))
    made = Reel(
        width=scenario.footage.width,
        height=scenario.footage.height,
        rate=rate,
        shots=tuple(shots),
        fade=wanted.fade_frames,
        titles=(),
        captions=(),
    )
    return replace(
        made,
        titles=_words("Title", made.length, wanted.title_every_seconds * rate, wanted.title_seconds * rate),
        captions=_words(
            "What somebody says here, number",
            made.length,
            wanted.caption_every_seconds * rate,
            wanted.caption_seconds * rate,
        ),
    )


def _words(text: str, length: int, every: float, lasts: float) -> tuple[Words, ...]:
    found: list[Words] = []
    for number in count():
        start = round(number * every)
        end = start + round(lasts)
        if end > length:
            return tuple(found)
        found.append(Words(start, end, f"{text} {number}"))
    raise AssertionError
