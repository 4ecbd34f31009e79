"""A stretch of a video."""

from fractions import Fraction

from domain.ffmpeg.graph import counted
from domain.ffmpeg.stage import Stage
from domain.media import MediaKind
from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Picture, Shot
from domain.timeline.contents.still import in_matrix, size_of, turned
from domain.timeline.rules import stretch_problems, volume_problems
from domain.timeline.speed import seen_frames, speed_problems
from domain.timeline.value import AssetId, said

TICKS = 10_000
"""Parts of a frame that the time of a source's frame is told in."""

OPAQUE = frozenset({"h264", "hevc", "av1", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "h263", "theora", "dvvideo"})
"""Codecs whose pictures have no transparent parts."""


@Content.kind
class Video(Content):
    """A stretch of a video asset, with its own sound."""

    asset_id: AssetId = said("The video.")
    in_: int = said("The first frame of the source, counted at the timeline's frame rate.", default=0)
    out: int | None = said("The frame behind the last one of the source; null for its end.", default=None)
    volume: float = said("A factor on its sound; 0 is silent.", default=1.0)
    speed: float = said(
        "How fast it plays: 2 is twice as fast, 0.5 half as fast. Voices keep their pitch.", default=1.0
    )

    def problems(self, check: Check, sources: Lengths) -> None:
        """It is a video, and these frames are in it."""
        check.asset(self.asset_id, MediaKind.VIDEO)
        stretch_problems(check, self.in_, self.out, sources.get(self.asset_id))
        volume_problems(check, self.volume)
        speed_problems(check, self.speed)

    def lasts(self, sources: Lengths) -> int | None:
        """From the in-point to the out-point, at its speed."""
        return seen_frames(self.in_, sources.get(self.asset_id) if self.out is None else self.out, self.speed)

    def shape(self, stage: Stage) -> tuple[int, int] | None:
        """As it is shown; some codecs know transparency."""
        facts = stage.sources[self.asset_id].facts
        return size_of(facts) if facts.video_codec in OPAQUE else None

    def picture(self, shot: Shot) -> Picture:
        """The frame of each moment of the source.

        That is the last one whose time, rounded to the timeline's frames, has come. Times move in parts of a frame
        first, so that rounding is done only once.
        """
        source = shot.stage.sources[self.asset_id]
        speed, rate = Fraction(str(self.speed)), shot.rate
        entry = self.in_ + shot.first * speed  # in frames of the source, perhaps between two
        number = source.open(shot.graph, at=entry / rate)
        moved = f"PTS-{self.in_ * rate.denominator * TICKS}"
        if speed != 1:
            moved = f"({moved})/{self.speed:.9g}"
        if shot.first:
            moved += f"-{shot.first * rate.denominator * TICKS}"
        link = shot.graph.chain(
            f"settb=1/{rate.numerator * TICKS}",
            f"setpts={moved}",
            f"fps={rate}:start_time=0",
            "tpad=stop=-1:stop_mode=clone",
            f"trim=end_frame={shot.count}",
            *turned(source.facts),
            counted(rate),
            links=[f"[{number}:V:0]"],
        )
        width, height = size_of(source.facts)
        alpha = source.facts.video_codec not in OPAQUE
        return Picture(link=link, width=width, height=height, in_matrix=in_matrix(source.facts), alpha=alpha)
