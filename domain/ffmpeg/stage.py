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
BY_DECODING_TIME = frozenset({"mp4", "mov"})
"""Those whose index tells when a frame is decoded, not when it is shown."""
SEEK_EARLIER = 1
"""Seconds that a seek aims before the time it needs: decoders take a moment to be right."""
SPARSE = 5
"""Frames a second. Where there are fewer, a frame may well be shown more than SEEK_EARLIER after it was decoded."""


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
        seek = self._seek(at)
        early = ["-noaccurate_seek", "-ss", seconds(seek)] if seek > 0 else []
        options = ["-threads", "2", "-noautorotate", *early, "-f", demuxer, "-i", f"file:{self.name}"]
        return graph.open(options, self.original, at=self.name)

    def _seek(self, at: Fraction) -> Fraction:
        """From when on it is read, so that the frame that is seen at this time is among what comes."""
        facts = self.facts
        if facts.container not in SEEKABLE:
            return Fraction(0)
        early = at - Fraction(self.settling)
        if facts.container not in BY_DECODING_TIME:
            return early
        if facts.shown_late_seconds is None:
            return Fraction(0) if _is_sparse(facts) else early
        # Rounded up to milliseconds: earlier is right too, and a command has the same key wherever it is planned.
        return early - Fraction(-int(-facts.shown_late_seconds * 1000 // 1), 1000)


def _is_sparse(facts: MediaFacts) -> bool:
    return bool(facts.frame_count and facts.duration_seconds and facts.frame_count < SPARSE * facts.duration_seconds)


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

    def of_size(self, width: int, height: int, scale: Fraction) -> "Stage":
        """A stage for a composition, in this size and scale."""
        return replace(self, width=width, height=height, scale=scale)
