"""Where each clip of a sound timeline comes to lie."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from domain.timeline.checks import Facts
from domain.timeline.content import Lengths
from domain.timeline.edit import Clip, Timeline, Track


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

    @property
    def fades(self) -> tuple[int, int]:
        """Over how many frames it appears and disappears by itself."""
        of_content = self.clip.content.fades
        return max(self.clip.fade_in, of_content[0]), max(self.clip.fade_out, of_content[1])


PlacedTracks = tuple[tuple[Placed, ...], ...]


def source_lengths(timeline: Timeline, facts: Facts) -> Lengths:
    """How many frames of the timeline's rate each of its assets fills."""
    known = {asset_id: facts.get(asset_id) for asset_id in timeline.asset_ids}
    return {asset_id: each and each.frames(timeline.canvas.frame_rate) for asset_id, each in known.items()}


def placed(timeline: Timeline, facts: Facts) -> PlacedTracks:
    """Resolve every clip of a timeline without problems to its place, track by track."""
    return placed_tracks(timeline.tracks, source_lengths(timeline, facts))


def placed_tracks(tracks: Iterable[Track], sources: Lengths) -> PlacedTracks:
    """The same for tracks anywhere: those of a composition begin at its own frame 0."""
    return tuple(tuple(_track(track.clips, sources)) for track in tracks)


def length(timeline: Timeline, facts: Facts) -> int:
    """How many frames a timeline without problems lasts: to the end of its last clip."""
    return end_of(placed(timeline, facts))


def end_of(tracks: PlacedTracks) -> int:
    """The frame after the last of all clips."""
    return max((clip.end for track in tracks for clip in track), default=0)


def _track(clips: tuple[Clip, ...], sources: Lengths) -> Iterator[Placed]:
    end = 0
    fades = [clip.transition.frames if clip.transition else 0 for clip in clips]
    for clip, fade_in, fade_out in zip(clips, fades, [*fades, 0][1:], strict=True):
        lasts = clip.content.lasts(sources)
        if lasts is None:
            raise ValueError("a timeline with problems cannot be placed")
        start = end - fade_in if clip.start is None else clip.start
        end = start + lasts
        yield Placed(clip=clip, start=start, length=lasts, fade_in=fade_in, fade_out=fade_out)
