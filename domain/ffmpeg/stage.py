"""What pictures and sounds are put together from, and on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from domain.ffmpeg.command import Command, Original
from domain.ffmpeg.graph import Graph, seconds
from domain.media import CONTAINERS, MediaFacts

SEEKABLE = frozenset({"mp4", "mov", "matroska", "webm"})
"""Containers whose index leads to a keyframe before any time. The others are read from their start, which is slow and
right: MPEG-TS lands anywhere, MP3 guesses."""
SEEK_EARLIER = 1
"""Seconds that a seek aims before the time it needs: decoders take a moment to be right."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An asset as something to be shown or heard."""

    original: Original | Command
    """Its file, or a smaller copy that is made of it."""
    facts: MediaFacts
    text: str | None = None
    """What stands in it, for one of text: captions, a table of colours."""
    settling: float = SEEK_EARLIER
    """How far before the time it needs a seek aims, in seconds."""

    @property
    def name(self) -> str:
        """Where it lies in the folder of a command."""
        return f"in/{self.original.key}"

    def open(self, graph: Graph, *, at: Fraction = Fraction(0)) -> int:
        """Open it, ready to be read from this time (in seconds from its start) on; return the input's number.

        The demuxer is named, never guessed, so that no file can turn out to be a playlist (who runs the command sees
        to all other limits). Pictures come as stored: the graph turns them itself, alike in every version of FFmpeg.
        """
        demuxer = CONTAINERS[self.facts.container]
        seek = at - Fraction(self.settling) if self.facts.container in SEEKABLE else Fraction(0)
        early = ["-noaccurate_seek", "-ss", seconds(seek)] if seek > 0 else []
        options = ["-threads", "2", "-noautorotate", *early, "-f", demuxer, "-i", f"file:{self.name}"]
        return graph.open(options, self.original, at=self.name)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where pictures are put together: the canvas in the size of the output."""

    width: int
    height: int
    rate: Fraction
    scale: Fraction
    """Pixels of the stage for each pixel of the canvas."""
    sources: Mapping[str, Source]
    """By the id of the asset."""

    def of_size(self, width: int, height: int) -> "Stage":
        """A stage for a composition of this size, in pixels of its own canvas, shown at the same scale."""
        return replace(self, width=width, height=height)
