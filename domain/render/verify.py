"""Whether what came out is what was planned."""

from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Self

from domain.render.encode import CHANNELS, SAMPLE_RATE, gif_frames
from domain.render.output import Format, Output, VideoCodec

CODECS = {VideoCodec.H264: "h264", VideoCodec.H265: "hevc", VideoCodec.AV1: "av1", VideoCodec.VP9: "vp9"}
CONTAINERS = {
    Format.MP4: "mov",
    Format.WEBM: "matroska",
    Format.GIF: "gif",
    Format.PNG: "png_pipe",
    Format.JPEG: "jpeg_pipe",
    Format.MP3: "mp3",
    Format.AAC: "mov",
    Format.WAV: "wav",
}
PICTURES = {Format.GIF: "gif", Format.PNG: "png", Format.JPEG: "mjpeg"}
SOUNDS = {
    Format.MP4: "aac",
    Format.WEBM: "opus",
    Format.MP3: "mp3",
    Format.AAC: "aac",
    Format.WAV: "pcm_s16le",
}
COARSE = frozenset({"matroska", "gif"})
"""Containers that count time too coarsely to state a rate exactly."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A made file, measured packet by packet. What is not in it is None (or 0)."""

    container: str
    """FFmpeg's name of the demuxer; the first of them, where it goes by several."""
    video_codec: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: str | None = None
    """As the file says, an exact fraction."""
    frames: int = 0
    first_time: str | None = None
    """Of the first frame in seconds, an exact fraction."""
    uneven_steps: int = 0
    """Frames that do not come when they should, or (the last one) do not end then, as near as the file can say it."""
    audio_codec: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    samples: int | None = None
    """What a player plays: without the encoder's lead-in and padding."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a file must be when it is measured."""

    container: str
    video_codec: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: Fraction | None = None
    """None where there is no picture, and for a still, which may state any."""
    frames: int = 0
    audio_codec: str | None = None
    samples: int | None = None
    """None where there is no sound."""

    @classmethod
    def of_span(cls, output: Output, rate: Fraction, frames: int) -> Self:
        """Of what `video_arguments` makes."""
        assert output.codec is not None  # noqa: S101 - Output.problems
        return cls(
            container="mov",
            video_codec=CODECS[output.codec],
            width=output.width,
            height=output.height,
            frame_rate=rate,
            frames=frames,
        )

    @classmethod
    def of_sound(cls, output: Output, samples: int) -> Self:
        """Of what `sound_arguments` makes."""
        container = "ogg" if output.format is Format.WEBM else CONTAINERS[output.format]
        return cls(container=container, audio_codec=SOUNDS[output.format], samples=samples)

    @classmethod
    def of(cls, output: Output, rate: Fraction, frames: int, samples: int | None) -> Self:
        """Of the finished file, from a timeline of so many frames; `samples`: of its sound, if it has any."""
        if output.is_sound:
            return cls.of_sound(output, samples or 0)
        heard = samples if output.hears else None
        moves = output.is_movie or output.format is Format.GIF
        return cls(
            container=CONTAINERS[output.format],
            video_codec=CODECS[output.codec] if output.codec else PICTURES[output.format],
            width=output.width,
            height=output.height,
            frame_rate=None if not moves else rate if output.is_movie else output.gif_rate(rate),
            frames=frames if output.is_movie else gif_frames(output, frames, rate) if moves else 1,
            audio_codec=SOUNDS[output.format] if heard is not None else None,
            samples=heard,
        )


def mismatches(expected: Expected, measured: Measured) -> list[str]:
    """Say, one sentence each, where a made file is not as planned."""
    sound = expected.samples is not None
    moves = expected.frame_rate is not None
    stated = _rate(expected, measured)
    pairs = {
        "container": (expected.container, measured.container),
        "video codec": (expected.video_codec, measured.video_codec),
        "width": (expected.width, measured.width),
        "height": (expected.height, measured.height),
        "frame rate": (str(expected.frame_rate), stated) if moves else (None, None),
        "number of frames": (expected.frames, measured.frames),
        "time of the first frame": ("0", measured.first_time) if moves else (None, None),
        "number of uneven frames": (0, measured.uneven_steps) if moves else (None, None),
        "audio codec": (expected.audio_codec, measured.audio_codec),
        "sample rate": (SAMPLE_RATE if sound else None, measured.sample_rate),
        "number of channels": (CHANNELS if sound else None, measured.channels),
        "number of samples": (expected.samples, measured.samples),
    }
    return [
        f"The {name} is {_said(is_)}, planned was {_said(planned)}."
        for name, (planned, is_) in pairs.items()
        if planned != is_
    ]


def verification(expected: Expected, measured: Measured) -> dict[str, Any]:
    """What was planned and what was measured, as plain values; for the result of a job."""
    sound = expected.samples is not None
    moves = expected.frame_rate is not None
    planned = {
        **asdict(expected),
        "frame_rate": str(expected.frame_rate) if moves else None,
        "first_time": "0" if moves else None,
        "uneven_steps": 0,
        "sample_rate": SAMPLE_RATE if sound else None,
        "channels": CHANNELS if sound else None,
    }
    return {"planned": {each.name: planned[each.name] for each in fields(Measured)}, "measured": asdict(measured)}


def _rate(expected: Expected, measured: Measured) -> str | None:
    """The rate that a file states; the planned one, if the file's clock is too coarse to state it better.

    Its frames are measured one by one: `uneven_steps`.
    """
    return str(expected.frame_rate) if measured.container in COARSE else measured.frame_rate


def _said(value: str | int | None) -> str:
    return "none" if value is None else str(value)
