"""An edit within the edit."""

from fractions import Fraction

from domain.ffmpeg.picture import rounded
from domain.ffmpeg.stage import Stage
from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Picture, Shot
from domain.timeline.edit import Track
from domain.timeline.layers import laid
from domain.timeline.placing import end_of, placed_tracks
from domain.timeline.rules import side_problems, track_problems, volume_problems
from domain.timeline.value import parts, said

DEEPEST = 3
LARGEST_STAGE = 8192
"""The longest side of its own stage, in pixels. It is fitted to the stage around it, which is never so large."""


@Content.kind
class Composition(Content):
    """Tracks of their own, shown and heard as one clip. Their frames are counted from the clip's first."""

    width: int = said("Of its picture, in pixels; even.")
    height: int = said("Of its picture, in pixels; even.")
    tracks: tuple[Track, ...] = said("Later ones lie above earlier ones.")
    background: str | None = said(
        "What shows where nothing else does, as #rrggbb; null for what lies below.", default=None
    )
    volume: float = said("A factor on its sound; 0 is silent.", default=1.0)

    @property
    def tracks_within(self) -> tuple[Track, ...]:
        """Its own."""
        return self.tracks

    def problems(self, check: Check, sources: Lengths) -> None:
        """What is wrong with anything in it."""
        check.found += side_problems(f"{check.path}.", self.width, self.height)
        if self.background is not None:
            check.color("background", self.background)
        volume_problems(check, self.volume)
        if _depth(self) > DEEPEST:
            check.wrong(f"compositions lie in one another more than {DEEPEST} deep")
            return
        if not any(track.clips for track in self.tracks):
            check.at("tracks").wrong("there is no clip: a composition needs at least one")
        for each in parts(self.tracks):
            if getattr(each, "bus", None) is not None:
                check.at("tracks").wrong("clips in a composition play on its own bus: leave theirs out")
                break
        track_problems(check.at("tracks"), self.tracks, sources, frozenset())

    def lasts(self, sources: Lengths) -> int | None:
        """To the end of its last clip."""
        try:
            return end_of(placed_tracks(self.tracks, sources))
        except ValueError:
            return None

    def shape(self, stage: Stage) -> tuple[int, int] | None:
        """As it is shown, if it has a background."""
        own = self._stage(stage)
        return None if self.background is None else (own.width, own.height)

    def picture(self, shot: Shot) -> Picture:
        """Its tracks, laid on a stage of their own."""
        own = self._stage(shot.stage)
        assert shot.clip.inner  # noqa: S101 - it was placed with what it holds
        tracks = shot.clip.inner.between(shot.first, shot.first + shot.count)
        link = laid(shot.graph, own, tracks, first=shot.first, count=shot.count, background=self.background)
        return Picture(link=link, width=own.width, height=own.height, alpha=self.background is None, is_ours=True)

    def _stage(self, around: Stage) -> Stage:
        scale = min(around.scale, Fraction(LARGEST_STAGE, max(self.width, self.height)))
        return around.of_size(rounded(self.width * scale), rounded(self.height * scale), scale)


def _depth(composition: Composition) -> int:
    inner = (
        each for track in composition.tracks for clip in track.clips if isinstance(each := clip.content, Composition)
    )
    return 1 + max((_depth(each) for each in inner), default=0)
