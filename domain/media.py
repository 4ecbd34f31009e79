"""What is known of a media file once it has been examined."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Self

from domain.entity import Worded


class MediaKind(Worded):
    """What a file is to an edit."""

    VIDEO = "VIDEO", "Moving pictures, with or without sound. An animated GIF is one too."
    IMAGE = "IMAGE", "A single picture."
    AUDIO = "AUDIO", "Sound; a cover picture in the file does not count."
    CAPTIONS = "CAPTIONS", "Texts with their times: SubRip, WebVTT or ASS."
    LUT = "LUT", "A table of colours, as .cube."
    FONT = "FONT", "A font: TrueType or OpenType."


CONTAINERS: Mapping[str, str] = MappingProxyType(
    {
        "mp4": "mov",
        "mov": "mov",
        "matroska": "matroska",
        "webm": "matroska",
        "avi": "avi",
        "mpegts": "mpegts",
        "mp3": "mp3",
        "wav": "wav",
        "flac": "flac",
        "ogg": "ogg",
        "aac": "aac",
        "aiff": "aiff",
        "gif": "gif",
        "png": "png_pipe",
        "jpeg": "jpeg_pipe",
        "webp": "webp_pipe",
        "bmp": "bmp_pipe",
        "tiff": "tiff_pipe",
    }
)
"""The containers we take, and FFmpeg's demuxer for each. An allow-list: demuxers that open other files (concat, HLS,
image sequences) must never be reached by an upload, whatever it claims to be."""

TEXTS: Mapping[str, MediaKind] = MappingProxyType(
    {
        "srt": MediaKind.CAPTIONS,
        "vtt": MediaKind.CAPTIONS,
        "ass": MediaKind.CAPTIONS,
        "cube": MediaKind.LUT,
        "ttf": MediaKind.FONT,
        "otf": MediaKind.FONT,
    }
)
"""The forms we take of what is neither seen nor heard by itself. FFmpeg reads none of them as an input."""


@dataclass(frozen=True, kw_only=True)
class MediaFacts:
    """The facts of one file, as measured at ingest."""

    kind: MediaKind
    container: str
    """One of CONTAINERS or of TEXTS."""
    video_codec: str | None = None
    audio_codec: str | None = None
    width: int | None = None
    """As displayed: after rotation, with square pixels."""
    height: int | None = None
    rotation: int = 0
    """Degrees clockwise that the stored picture is turned for display: 0, 90, 180 or 270."""
    color_matrix: str | None = None
    """How YUV is meant, in FFmpeg's words ("bt709"); None where the file does not say."""
    frame_rate: str | None = None
    """Frames a second as an exact fraction, e.g. "30000/1001"; the average where the rate varies."""
    duration_seconds: float | None = None
    """From the first moment of the file to the end of its last frame, sample or caption; None for what has no end."""
    frame_count: int | None = None
    shown_late_seconds: float | None = None
    """How long at most after its decoding time a frame is shown: by so much the index of an MP4 may mislead. None where
    that was not measured, as of a file that was examined before it was."""
    channels: int | None = None
    sample_rate: int | None = None
    cue_count: int | None = None
    """Of captions."""
    lut_size: int | None = None
    """Of a table of colours: how many steps each of its three sides has."""
    font_family: str | None = None
    """The name that a font is asked for by."""
    font_weight: int | None = None
    """400 is regular, 700 bold."""
    font_italic: bool | None = None
    font_height: float | None = None
    """From the highest to the lowest that a font reserves for a line, in ems."""

    @property
    def has_sound(self) -> bool:
        """Whether there is anything to hear."""
        return self.audio_codec is not None

    def frames(self, rate: Fraction) -> int | None:
        """How many frames of a timeline at this rate it fills: the nearest number, at least 1; None for an image."""
        if self.duration_seconds is None:
            return None
        return max(1, math.floor(Fraction(self.duration_seconds) * rate + Fraction(1, 2)))

    def to_json(self) -> dict[str, Any]:
        """The facts as a plain dict; what is not known of a file is left out."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        } | {"kind": self.kind.value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The facts that `to_json` wrote. Those that a newer version knows beside them are passed over."""
        known: dict[str, Any] = {each.name: stored[each.name] for each in fields(cls) if each.name in stored}
        return cls(**dict(known, kind=MediaKind(stored["kind"])))
