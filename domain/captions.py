"""Captions as they are kept, whatever file they came in, and when which of them are seen."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

AT_ONCE = 8
"""How many are shown at the same time, at most: those that came last."""


@dataclass(frozen=True)
class Caption:
    """A text with its times, in milliseconds."""

    start: int
    end: int
    text: str


def to_text(captions: Iterable[Caption]) -> str:
    """The form in which they are kept: a line of JSON for each."""
    return "\n".join(json.dumps([each.start, each.end, each.text], ensure_ascii=False) for each in captions)


def from_text(text: str) -> list[Caption]:
    """The captions that `to_text` wrote."""
    return [Caption(*json.loads(line)) for line in text.split("\n") if line]


@dataclass(frozen=True, slots=True)
class Moment:
    """Some frames over which one text stays: from the frame `first` up to the frame `end`."""

    first: int
    end: int
    text: str


class Schedule:
    """When what is seen: moments in order, none of which overlap."""

    def __init__(self, moments: Iterable[Moment]) -> None:
        """Put cues in order. Where they overlap, their texts stand one below the other, the earliest on top."""
        self._moments = _apart(moments)
        self._ends = [each.end for each in self._moments]

    @property
    def end(self) -> int:
        """The frame after the last one on which anything is seen."""
        return self._ends[-1] if self._ends else 0

    def between(self, first: int, end: int) -> list[Moment]:
        """What is seen from a frame on, up to another one."""
        found: list[Moment] = []
        for each in self._moments[bisect_right(self._ends, first) :]:
            if each.first >= end:
                break
            found.append(Moment(max(each.first, first), min(each.end, end), each.text))
        return found


@lru_cache(maxsize=4)
def moments(text: str, rate: Fraction) -> tuple[Moment, ...]:
    """What captions in the form in which they are kept are at this rate: times are rounded, each lasts a frame or more.

    Kept for the last few, since every span of a timeline asks.
    """
    found: list[Moment] = []
    for each in from_text(text):
        first = frame_at(each.start, rate)
        found.append(Moment(first, max(first + 1, frame_at(each.end, rate)), each.text))
    return tuple(found)


def frame_at(milliseconds: int, rate: Fraction) -> int:
    """The frame nearest to a time."""
    return math.floor(milliseconds * rate / 1000 + Fraction(1, 2))


def _apart(moments: Iterable[Moment]) -> list[Moment]:
    """The same without overlaps."""
    cues = sorted(moments, key=lambda each: (each.first, each.end))
    if all(one.end <= other.first for one, other in pairwise(cues)):
        return cues
    edges = sorted({edge for each in cues for edge in (each.first, each.end)})
    apart: list[Moment] = []
    shown: list[Moment] = []
    coming = iter(cues)
    following = next(coming, None)
    for edge, end in pairwise(edges):
        shown = [each for each in shown if each.end > edge]
        while following and following.first == edge:
            shown.append(following)
            following = next(coming, None)
        if shown:
            text = "\n".join(each.text for each in shown[-AT_ONCE:])
            if apart and apart[-1].end == edge and apart[-1].text == text and len(shown) > AT_ONCE:
                apart[-1] = Moment(apart[-1].first, end, text)
            else:
                apart.append(Moment(edge, end, text))
    return apart


def in_parts(moment: Moment, width: float, lines: int) -> Sequence[Moment]:
    """A text that would take more lines than this, of so many ems, as several shorter ones, one after the other.

    How wide letters are is only estimated, rather too wide: nothing here knows the font.
    """
    taken = sum(max(1, math.ceil(_width(line) / width)) for line in moment.text.splitlines())
    words = moment.text.split()
    if taken <= lines or len(words) < 2:  # noqa: PLR2004 - a single word cannot be parted
        return [moment]
    widths = [_width(word) + SPACE for word in words]
    whole, length = sum(widths), moment.end - moment.first
    # Words seldom end where a line does: a tenth of each line stays empty.
    count = min(math.ceil(whole / (width * lines * 0.9)), len(words), length)
    parts: list[list[str]] = [[] for _ in range(count)]
    passed = 0.0
    for word, its in zip(words, widths, strict=True):
        parts[min(count - 1, int((passed + its / 2) / whole * count))].append(word)
        passed += its
    parts = [part for part in parts if part]
    found: list[Moment] = []
    first, passed = moment.first, 0.0
    for left, part in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
        passed += sum(_width(word) + SPACE for word in part)
        end = moment.end if not left else moment.first + round(length * passed / whole)
        end = min(max(end, first + 1), moment.end - left)
        found.append(Moment(first, end, " ".join(part)))
        first = end
    return found


SPACE, NARROW, LOWER, UPPER, WIDE = 0.35, 0.38, 0.66, 0.78, 1.0
"""In ems, of a bold sans serif."""


def _width(text: str) -> float:
    return sum(_letter(each) for each in text)


def _letter(letter: str) -> float:
    if letter in " ijlItfr.,:;!'|()[]":
        return NARROW
    if ord(letter) >= 0x2E80 or letter in "mwMW@%—":  # noqa: PLR2004 - from here on Han, Kana, Hangul and the like
        return WIDE
    return UPPER if letter.isupper() else LOWER
