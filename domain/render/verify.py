"""Whether what came out is what was planned."""

from dataclasses import dataclass

from domain.render.compiler import Plan
from domain.render.output import VideoCodec
from domain.render.sound import CHANNELS, SAMPLE_RATE

CODECS = {VideoCodec.H264: "h264", VideoCodec.H265: "hevc"}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A rendered file, measured packet by packet."""

    video_codec: str
    width: int
    height: int
    frame_rate: str
    """As the file says, an exact fraction."""
    frames: int
    first_time: str
    """Of the first frame in seconds, an exact fraction."""
    uneven_steps: int
    """Frames that last other than one frame of that rate."""
    audio_codec: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    samples: int | None = None
    """What a player plays: without the encoder's lead-in and padding."""


def mismatches(plan: Plan, measured: Measured) -> list[str]:
    """Say, one sentence each, where a rendered file is not as planned."""
    sound = plan.samples is not None
    pairs = {
        "video codec": (CODECS[plan.codec], measured.video_codec),
        "width": (plan.width, measured.width),
        "height": (plan.height, measured.height),
        "frame rate": (str(plan.frame_rate), measured.frame_rate),
        "number of frames": (plan.frames, measured.frames),
        "time of the first frame": ("0", measured.first_time),
        "number of uneven frames": (0, measured.uneven_steps),
        "audio codec": ("aac" if sound else None, measured.audio_codec),
        "sample rate": (SAMPLE_RATE if sound else None, measured.sample_rate),
        "number of channels": (CHANNELS if sound else None, measured.channels),
        "number of samples": (plan.samples, measured.samples),
    }
    return [
        f"The {name} is {_said(is_)}, planned was {_said(planned)}."
        for name, (planned, is_) in pairs.items()
        if planned != is_
    ]


def _said(value: str | int | None) -> str:
    return "none" if value is None else str(value)
