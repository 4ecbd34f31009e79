"""Captions: texts that come and go, with their times."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property

from domain.captions import Moment, Schedule, in_parts, moments
from domain.ffmpeg.stage import Stage
from domain.media import MediaKind
from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Picture, Shot
from domain.timeline.lettering import (
    Lettering,
    Showing,
    TextPosition,
    TextStroke,
    TextStyle,
    size_problems,
    wrong_text,
)
from domain.timeline.value import AssetId, Part, part, said

MOST_CUES = 20_000
MOST_LINES_AT_ONCE = 10

_READABLE = TextStyle(stroke=TextStroke(width=2), max_width=0.9)


@part
class Cue(Part):
    """A text with its times."""

    start: int = said("The frame it comes at, counted from the clip's start.")
    end: int = said("The frame it is gone at.")
    text: str = said("What it says; lines break at newlines.")


@Content.kind
class Captions(Content):
    """Texts that come and go, from a file or written here. Those that overlap stand one below the other."""

    is_media = False

    cues: tuple[Cue, ...] = said("The texts; none where a file has them.", default=())
    asset_id: AssetId | None = said("A file of captions; null where the texts are written here.", default=None)
    in_: int = said("The first frame of the file that is used, counted at the timeline's frame rate.", default=0)
    length: int | None = said("For how many frames; null for up to the end of the last text.", default=None)
    size: int = said("How large letters are: the side of their square (the em), in pixels of the canvas.")
    color: str = said("As #rrggbb.", default="#ffffff")
    position: TextPosition = said("Where on the canvas.", default=TextPosition.BOTTOM)
    style: TextStyle = said("How letters look, and where lines break.", default=_READABLE)
    max_lines: int | None = said(
        "A text that would take more lines is shown in parts, one after the other; null for whole texts.", default=None
    )

    def problems(self, check: Check, sources: Lengths) -> None:
        """There are texts, from one place, that come before they go."""
        if self.asset_id is not None:
            check.asset(self.asset_id, MediaKind.CAPTIONS)
            self._file_problems(check, sources.get(self.asset_id))
        elif not self.cues:
            check.at("cues").wrong("there is neither a text nor a file of them")
        elif self.in_:
            check.at("in").wrong("it is for captions from a file")
        if self.asset_id is not None and self.cues:
            check.at("cues").wrong("the texts come either from a file or from here")
        elif len(self.cues) > MOST_CUES:
            check.at("cues").wrong(f"{len(self.cues)} texts are more than the {MOST_CUES} allowed")
        else:
            for index, cue in enumerate(self.cues):
                _cue_problems(check.at("cues", index), cue)
        if self.length is not None:
            check.at_least("length", self.length, 1)
        if self.max_lines is not None:
            check.between("max_lines", self.max_lines, 1, MOST_LINES_AT_ONCE)
        size_problems(check, self.size)
        check.color("color", self.color)
        self.style.problems(check.at("style"))

    def _file_problems(self, check: Check, frames: int | None) -> None:
        if self.in_ < 0:
            check.at("in").wrong(f"it must be at least 0, not {self.in_}")
        elif frames is not None and self.in_ >= frames:
            check.at("in").wrong(f"the file has {frames} frames at this rate")

    def lasts(self, sources: Lengths) -> int | None:
        """As long as it says, else to the end of the last text."""
        if self.length is not None:
            return self.length
        if self.asset_id is None:
            return max((cue.end for cue in self.cues), default=None)
        whole = sources.get(self.asset_id)
        return None if whole is None else whole - self.in_

    def picture(self, shot: Shot) -> Picture:
        """On nothing."""
        showings = list(self._showings(shot))
        return self._lettering.picture(shot, showings, moves=bool(showings))

    def drawn(self, shot: Shot, below: str, at: int) -> str | None:
        """Straight onto what lies below."""
        return self._lettering.drawn(shot, below, at, list(self._showings(shot)))

    @property
    def _lettering(self) -> Lettering:
        return Lettering(size=self.size, color=self.color, position=self.position, style=self.style)

    def _showings(self, shot: Shot) -> Iterator[Showing]:
        """What is seen in a shot, by its own frames."""
        for each in self._schedule(shot.stage).between(shot.first + self.in_, shot.first + self.in_ + shot.count):
            moved = shot.first + self.in_
            yield Showing(each.first - moved, each.end - moved, each.text)

    def _schedule(self, stage: Stage) -> Schedule:
        """When what is seen. Worked out once for each canvas: every span of a timeline asks."""
        text = stage.sources[self.asset_id].text if self.asset_id is not None else None
        width = round(stage.width / stage.scale)
        key = (text, stage.rate, width)
        if key not in self._schedules:
            self._schedules[key] = Schedule(self._moments(text, stage.rate, width))
        return self._schedules[key]

    @cached_property
    def _schedules(self) -> dict[tuple[str | None, Fraction, int], Schedule]:
        return {}

    def _moments(self, text: str | None, rate: Fraction, width: int) -> Iterator[Moment]:
        written = (Moment(cue.start, cue.end, cue.text) for cue in self.cues)
        for each in written if text is None else moments(text, rate):
            if self.max_lines is None:
                yield each
            else:
                yield from in_parts(each, self.style.max_width * width / self.size, self.max_lines)


def _cue_problems(check: Check, cue: Cue) -> None:
    check.at_least("start", cue.start, 0)
    if cue.end <= cue.start:
        check.at("end").wrong(f"it must be after its start at frame {cue.start}, not {cue.end}")
    if wrong := wrong_text(cue.text):
        check.at("text").wrong(wrong)
