"""What a render makes: codec, size and quality, from a named preset or as the client says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Self

from domain.entity import Worded
from domain.refusals import Problem
from domain.timeline.edit import Canvas
from domain.timeline.rules import LARGEST_SIDE, SMALLEST_SIDE, side_problems

BEST_CRF, WORST_CRF = 0, 51


class VideoCodec(Worded):
    """How the picture is compressed."""

    H264 = "H264", "H.264 (AVC), High profile: plays everywhere."
    H265 = "H265", "H.265 (HEVC): smaller files, for players of the last ten years."

    @property
    def usual_crf(self) -> int:
        """The quality that is right for most: near transparent, at a sensible size."""
        return {VideoCodec.H264: 21, VideoCodec.H265: 25}[self]


@dataclass(frozen=True, kw_only=True)
class Output:
    """An MP4 to be made; its frame rate is the canvas'."""

    codec: VideoCodec
    width: int
    height: int
    crf: int
    """Constant rate factor, 0 (best, largest) to 51."""

    def problems(self) -> list[Problem]:
        """Everything that is wrong with it; empty when it can be made."""
        found = list(side_problems("", self.width, self.height))
        if not BEST_CRF <= self.crf <= WORST_CRF:
            found.append(Problem("crf", f"it must be {BEST_CRF} to {WORST_CRF}, not {self.crf}"))
        return found

    def to_json(self) -> dict[str, Any]:
        """The output as a plain dict."""
        return asdict(self) | {"codec": self.codec.value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The output that `to_json` wrote."""
        return cls(**dict(stored, codec=VideoCodec(stored["codec"])))


class OutputPreset(Worded):
    """A codec and a size by name. The number is the shorter side; the longer follows the canvas' shape."""

    H264_1080P = "H264_1080P", "H.264, the shorter side 1080 pixels."
    H264_720P = "H264_720P", "H.264, the shorter side 720 pixels."
    H264_480P = "H264_480P", "H.264, the shorter side 480 pixels."
    H265_1080P = "H265_1080P", "H.265, the shorter side 1080 pixels."
    H265_720P = "H265_720P", "H.265, the shorter side 720 pixels."

    def output(self, canvas: Canvas) -> Output:
        """What the preset means for a canvas: even sides, none above the largest we make."""
        name, _, side = self.value.partition("_")
        codec, shorter = VideoCodec(name), int(side.removesuffix("P"))
        scale = min(
            Fraction(shorter, min(canvas.width, canvas.height)),
            Fraction(LARGEST_SIDE, max(canvas.width, canvas.height)),
        )
        return Output(
            codec=codec, width=even(canvas.width * scale), height=even(canvas.height * scale), crf=codec.usual_crf
        )


def even(side: Fraction | int) -> int:
    """The nearest even number of pixels, never less than the smallest side we make."""
    return max(SMALLEST_SIDE, 2 * round(Fraction(side) / 2))
