"""What pictures and sounds are put together from, and on."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from domain.media import CONTAINERS, MediaFacts
from domain.render.graph import seconds

SEEKABLE = frozenset({"mp4", "mov", "matroska", "webm"})
"""Containers whose index leads to a keyframe before any time. The others are read from their start, which is slow and
right: MPEG-TS lands anywhere, MP3 guesses."""
SEEK_EARLIER = 1
"""Seconds that a seek aims before the time it needs: decoders take a moment to be right."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An original on disk."""

    path: Path
    facts: MediaFacts

    def input(self, *, at: Fraction = Fraction(0), max_pixels: int) -> list[str]:
        """The options that open it, ready to be read from this time (in seconds from its start) on.

        The demuxer is named, never guessed, so that no file can turn out to be a playlist. Pictures come as stored: the
        graph turns them itself, the same way in every version of FFmpeg.
        """
        demuxer = CONTAINERS[self.facts.container]
        seek = at - SEEK_EARLIER if self.facts.container in SEEKABLE else Fraction(0)
        early = ["-noaccurate_seek", "-ss", seconds(seek)] if seek > 0 else []
        limits = ["-protocol_whitelist", "file", "-max_pixels", str(max_pixels), "-threads", "2"]
        return [*limits, "-noautorotate", *early, "-f", demuxer, "-i", f"file:{self.path}"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where the pictures are put together: the canvas in the size of the output."""

    width: int
    height: int
    rate: Fraction
    scale: Fraction
    """Pixels of the stage for each pixel of the canvas."""
    font: Path
    max_pixels: int
    sources: Mapping[str, Source]
