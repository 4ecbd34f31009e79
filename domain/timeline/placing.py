"""Where each clip of a sound timeline comes to lie."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.media import MediaFacts
from domain.timeline.edit import Clip, Content, Image, Text, Timeline

Facts = Mapping[str, MediaFacts | None]
"""What is known of each asset that may be used: None while it is not ready, absent when there is no such asset."""

Lengths = Mapping[str, int | None]
"""How many frames of the timeline each asset fills; None for an image, or where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A clip with its place on the timeline, in whole frames."""

    clip: Clip
    start: int
    length: int
    fade_in: int = 0
    """Frames at its start that it shares with the clip before."""
    fade_out: int = 0
    """Frames at its end that it shares with the clip after."""

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.start + self.length


def source_lengths(timeline: Timeline, facts: Facts) -> Lengths:
    """How many frames of the timeline's rate each of its assets fills."""
    known = {asset_id: facts.get(asset_id) for asset_id in timeline.asset_ids}
    return {asset_id: each and each.frames(timeline.canvas.frame_rate) for asset_id, each in known.items()}


def content_length(content: Content, sources: Lengths) -> int | None:
    """How many frames a content lasts; None where that hangs on an asset of unknown length."""
    if isinstance(content, Image | Text):
        return content.length
    out = sources.get(content.asset_id) if content.out is None else content.out
    return None if out is None else out - content.in_


def placed(timeline: Timeline, facts: Facts) -> tuple[tuple[Placed, ...], ...]:
    """Resolve every clip of a timeline without problems to its place, track by track."""
    sources = source_lengths(timeline, facts)
    return tuple(tuple(_track(track.clips, sources)) for track in timeline.tracks)


def length(timeline: Timeline, facts: Facts) -> int:
    """How many frames a timeline without problems lasts: to the end of its last clip."""
    return max((clip.end for track in placed(timeline, facts) for clip in track), default=0)


def _track(clips: tuple[Clip, ...], sources: Lengths) -> Iterator[Placed]:
    end = 0
    fades = [clip.transition.frames if clip.transition else 0 for clip in clips]
    for clip, fade_in, fade_out in zip(clips, fades, [*fades, 0][1:], strict=True):
        lasts = content_length(clip.content, sources)
        if lasts is None:
            raise ValueError("a timeline with problems cannot be placed")
        start = end - fade_in if clip.start is None else clip.start
        end = start + lasts
        yield Placed(clip=clip, start=start, length=lasts, fade_in=fade_in, fade_out=fade_out)
