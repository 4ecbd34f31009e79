"""Where each clip of a sound timeline comes to lie."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
    inner: "Rows | None" = field(default=None, compare=False)
    """The clips within it, if it is an edit of its own; by its own frames."""

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


class Rows:
    """The clips of each track, to be found by frame: of thousands, a span shows a few."""

    def __init__(self, tracks: PlacedTracks) -> None:
        """Note where they begin and end; both only rise along a track."""
        self.tracks = tracks
        self._starts = [[clip.start for clip in clips] for clips in tracks]
        self._ends = [[clip.end for clip in clips] for clips in tracks]

    def between(self, first: int, end: int) -> PlacedTracks:
        """The tracks with only the clips that show between these frames."""
        return tuple(self._between(first, end))

    def _between(self, first: int, end: int) -> Iterator[tuple[Placed, ...]]:
        for clips, starts, ends in zip(self.tracks, self._starts, self._ends, strict=True):
            yield clips[bisect_right(ends, first) : bisect_left(starts, end)]


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
        inner = Rows(placed_tracks(clip.content.tracks_within, sources)) if clip.content.tracks_within else None
        lasts = end_of(inner.tracks) if inner else clip.content.lasts(sources)
        if lasts is None:
            raise ValueError("a timeline with problems cannot be placed")
        start = end - fade_in if clip.start is None else clip.start
        end = start + lasts
        yield Placed(clip=clip, start=start, length=lasts, fade_in=fade_in, fade_out=fade_out, inner=inner)
