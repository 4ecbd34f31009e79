"""A stretch of sound."""

from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Shot
from domain.timeline.rules import fade_problems, stretch_problems, volume_problems
from domain.timeline.speed import seen_frames, speed_problems
from domain.timeline.value import AssetId, said


@Content.kind
class Audio(Content):
    """A stretch of sound, from an audio asset or from a video asset that has sound."""

    is_seen = False
    is_media = False

    asset_id: AssetId = said("The sound.")
    in_: int = said("The first frame of the source, counted at the timeline's frame rate.", default=0)
    out: int | None = said("The frame behind the last one of the source; null for its end.", default=None)
    volume: float = said("A factor on its sound; 0 is silent.", default=1.0)
    fade_in: int = said("Over how many frames it becomes loud.", default=0)
    fade_out: int = said("Over how many frames it becomes silent.", default=0)
    speed: float = said(
        "How fast it plays: 2 is twice as fast, 0.5 half as fast. Voices keep their pitch.", default=1.0
    )

    @property
    def fades(self) -> tuple[int, int]:
        """As it says."""
        return self.fade_in, self.fade_out

    def problems(self, check: Check, sources: Lengths) -> None:
        """There is something to hear, and these frames are in it."""
        check.asset(self.asset_id, sound=True)
        stretch_problems(check, self.in_, self.out, sources.get(self.asset_id))
        volume_problems(check, self.volume)
        speed_problems(check, self.speed)
        fade_problems(check, self.fade_in, self.fade_out, self.lasts(sources))

    def lasts(self, sources: Lengths) -> int | None:
        """From the in-point to the out-point, at its speed."""
        return seen_frames(self.in_, sources.get(self.asset_id) if self.out is None else self.out, self.speed)

    def picture(self, shot: Shot) -> None:
        """There is none."""
