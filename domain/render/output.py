"""What a render makes: format, codec, size and quality, from a named preset or as the client says."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Self

from domain.entity import Worded
from domain.refusals import Problem
from domain.timeline.edit import Canvas
from domain.timeline.rules import LARGEST_SIDE, SMALLEST_SIDE, side_problems

LOWEST_BITRATE, HIGHEST_BITRATE = 50_000, 200_000_000
LOWEST_SOUND_BITRATE, HIGHEST_SOUND_BITRATE = 32_000, 320_000
LOWEST_GIF_RATE, USUAL_GIF_RATE, HIGHEST_GIF_RATE = 1, 15, 50
"""Frames a second. Browsers show frames that stand for less than two hundredths of a second much longer instead."""
LARGEST_SCALE = 8
"""How much larger than the canvas an output may be, side by side: what is drawn grows with it."""
MOST_GIF_PIXELS = 300_000_000
"""In all its frames together: they wait in memory, four bytes each, until the palette is known."""


class VideoCodec(Worded):
    """How the picture is compressed."""

    H264 = "H264", "H.264 (AVC), High profile: plays everywhere."
    H265 = "H265", "H.265 (HEVC): smaller files, for players of the last ten years."
    AV1 = "AV1", "AV1: smaller still, for players of the last five years."
    VP9 = "VP9", "VP9, in WebM: for browsers, free of fees."

    @property
    def usual_crf(self) -> int:
        """The quality that is right for most: near transparent, at a sensible size. Each codec has its own scale."""
        return {VideoCodec.H264: 20, VideoCodec.H265: 24, VideoCodec.AV1: 32, VideoCodec.VP9: 31}[self]

    @property
    def crfs(self) -> range:
        """All the qualities there are, the best first. 0 is lossless in H.264; SVT-AV1 takes 0 for "not said"."""
        return {
            VideoCodec.H264: range(52),
            VideoCodec.H265: range(52),
            VideoCodec.AV1: range(1, 64),
            VideoCodec.VP9: range(64),
        }[self]

    @property
    def usual_format(self) -> "Format":
        """The file it most often comes in."""
        return Format.WEBM if self is VideoCodec.VP9 else Format.MP4


class Format(Worded):
    """What kind of file is made."""

    MP4 = "MP4", "A movie: H.264, H.265 or AV1 with AAC."
    WEBM = "WEBM", "A movie for browsers: VP9 or AV1 with Opus."
    GIF = "GIF", "A silent animation with a palette of its own, repeated for ever."
    PNG = "PNG", "One frame, without loss."
    JPEG = "JPEG", "One frame, small."
    MP3 = "MP3", "The sound alone: plays everywhere."
    AAC = "AAC", "The sound alone, as AAC in an M4A file: better than MP3 at the same size."
    WAV = "WAV", "The sound alone, uncompressed, 16 bits."

    @property
    def content_type(self) -> str:
        """As HTTP names it."""
        return _FILES[self][0]

    @property
    def extension(self) -> str:
        """How the names of its files end, without the dot."""
        return _FILES[self][1]


_FILES = {
    Format.MP4: ("video/mp4", "mp4"),
    Format.WEBM: ("video/webm", "webm"),
    Format.GIF: ("image/gif", "gif"),
    Format.PNG: ("image/png", "png"),
    Format.JPEG: ("image/jpeg", "jpg"),
    Format.MP3: ("audio/mpeg", "mp3"),
    Format.AAC: ("audio/mp4", "m4a"),
    Format.WAV: ("audio/wav", "wav"),
}
_MOVIES = {
    Format.MP4: (VideoCodec.H264, VideoCodec.H265, VideoCodec.AV1),
    Format.WEBM: (VideoCodec.VP9, VideoCodec.AV1),
}
_STILLS = (Format.PNG, Format.JPEG)
_SOUNDS = (Format.MP3, Format.AAC, Format.WAV)


class Speed(Worded):
    """What the encoder takes its time for."""

    FASTER = "FASTER", "Done sooner, at the price of larger files or a little quality."
    BALANCED = "BALANCED", "What is right for most."
    SMALLER = "SMALLER", "Better for its size, in about twice the time."


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file to be made. What a format does not know stays None (or 0): `problems` says where it does not."""

    format: Format = Format.MP4
    codec: VideoCodec | None = None
    """Of a movie."""
    width: int = 0
    """In pixels, even; 0 for sound."""
    height: int = 0
    crf: int | None = None
    """Constant rate factor of a movie, the smaller the better: one of the codec's. A movie has this, a bitrate or a
    size. Quality is the same everywhere, so spans can be made each for itself and kept."""
    max_bitrate: int | None = None
    """Bits a second that the picture may take at most, beside `crf`; a cap for each moment, so it too keeps to a
    span."""
    bitrate: int | None = None
    """Bits a second that the picture takes on the average of the whole, which is therefore made in one pass."""
    size_bytes: int | None = None
    """About how large the whole file becomes; in one pass too."""
    sound_bitrate: int | None = None
    """Bits a second of compressed sound; what is usual for its codec if None."""
    speed: Speed = Speed.BALANCED
    frame_rate: Fraction | None = None
    """Of a GIF, which need not have all the frames; others have the canvas' rate."""
    frame: int | None = None
    """Of the timeline, that a still shows; of a movie, the one whose picture comes with it as its poster."""

    @property
    def is_movie(self) -> bool:
        """Whether it has pictures and may have sound."""
        return self.format in _MOVIES

    @property
    def is_still(self) -> bool:
        """Whether it is one frame only."""
        return self.format in _STILLS

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to be seen."""
        return self.format in _SOUNDS

    @property
    def hears(self) -> bool:
        """Whether the edit's sound becomes part of it, if it has any."""
        return self.is_movie or self.is_sound

    @property
    def is_incremental(self) -> bool:
        """Whether it is joined from spans, each made for itself: not so where one part depends on all the others."""
        return self.is_movie and self.crf is not None

    @property
    def choice(self) -> str:
        """What a client calls this group of formats; the first step of a problem's path."""
        if self.is_movie:
            return "custom"
        return "gif" if self.format is Format.GIF else "still" if self.is_still else "sound"

    @property
    def poster(self) -> "Output | None":
        """The picture that comes with a movie, to be shown before it plays; None if none is asked for."""
        if not self.is_movie or self.frame is None:
            return None
        return Output(format=Format.JPEG, width=self.width, height=self.height, frame=self.frame)

    def gif_rate(self, canvas_rate: Fraction) -> Fraction:
        """The rate of a GIF: the one that is asked for, else the canvas' own or an even part of it, at most 15."""
        if self.frame_rate is not None:
            return self.frame_rate
        return canvas_rate / -(-canvas_rate // USUAL_GIF_RATE)

    def problems(self, *, canvas: Canvas | None = None, length: int | None = None) -> list[Problem]:
        """Everything that is wrong with it; empty when it can be made.

        With a timeline's canvas, and its number of frames, also what is wrong with it for that timeline.
        """
        found = [*self._size()]
        if self.is_movie:
            found += [*self._movie()]
        if self.sound_bitrate is not None:
            found += _between(
                "soundBitrate" if self.is_movie else "bitrate",
                self.sound_bitrate,
                LOWEST_SOUND_BITRATE,
                HIGHEST_SOUND_BITRATE,
                "bits a second",
            )
        if self.format is Format.WAV and self.sound_bitrate is not None:
            found.append(Problem("bitrate", "a WAV file is not compressed: leave it out"))
        if self.frame_rate is not None:
            found += _between(
                "frameRate", self.frame_rate, LOWEST_GIF_RATE, HIGHEST_GIF_RATE, "frames a second, as a GIF counts time"
            )
        if self.frame is not None and self.frame < 0:
            found.append(Problem(self._frame, f"frames are counted from 0, {self.frame} is none"))
        if canvas is not None and not found:
            found += [*self._enlarged(canvas)]
        if canvas is not None and length is not None and not found:
            found += [*self._for(length, canvas.frame_rate)]
        return found

    @property
    def _frame(self) -> str:
        return "posterFrame" if self.is_movie else "frame"

    def _size(self) -> Iterator[Problem]:
        if not self.is_sound:
            yield from side_problems("", self.width, self.height)

    def _enlarged(self, canvas: Canvas) -> Iterator[Problem]:
        for name, side, own in (("width", self.width, canvas.width), ("height", self.height, canvas.height)):
            if side > own * LARGEST_SCALE:
                yield Problem(
                    name,
                    f"it must be at most {own * LARGEST_SCALE}, {LARGEST_SCALE} times the canvas' {own}, not {side}",
                )

    def _movie(self) -> Iterator[Problem]:
        codecs = _MOVIES[self.format]
        if self.codec is None:
            yield Problem("codec", "a movie needs one")
            return
        if self.codec not in codecs:
            words = " or ".join(codecs)
            yield Problem("format", f"{self.format} takes {words}, not {self.codec}; leave it out for what fits")
        asked = {"crf": self.crf, "bitrate": self.bitrate, "sizeBytes": self.size_bytes}
        named = [name for name, value in asked.items() if value is not None]
        if len(named) != 1:
            yield Problem(named[-1] if named else "crf", "say one of crf, bitrate and sizeBytes")
        if self.crf is not None and self.crf not in self.codec.crfs:
            best, worst = self.codec.crfs[0], self.codec.crfs[-1]
            yield Problem("crf", f"it must be {best} to {worst}, not {self.crf}")
        if self.max_bitrate is not None and self.crf is None:
            yield Problem("maxBitrate", "it goes with crf only: a bitrate or a size is a limit of its own")
        if self.max_bitrate is not None and self.codec is VideoCodec.H264 and self.crf == 0:
            yield Problem("maxBitrate", "crf 0 is lossless in H.264, which takes what it takes")
        for name, value in (("maxBitrate", self.max_bitrate), ("bitrate", self.bitrate)):
            if value is not None:
                yield from _between(name, value, LOWEST_BITRATE, HIGHEST_BITRATE, "bits a second")
        if self.size_bytes is not None and self.size_bytes < 1:
            yield Problem("sizeBytes", f"it must be more than 0, not {self.size_bytes}")

    def _for(self, length: int, rate: Fraction) -> Iterator[Problem]:
        if self.frame is not None and self.frame >= length:
            yield Problem(self._frame, f"the timeline's frames are 0 to {length - 1}, {self.frame} is behind them")
        if self.format is Format.GIF:
            frames = -(-length * self.gif_rate(rate) // rate)
            if frames * self.width * self.height > MOST_GIF_PIXELS:
                most = MOST_GIF_PIXELS // (self.width * self.height)
                yield Problem("frameRate", f"{frames} frames of this size are more than the {most} a GIF may have")
        if self.size_bytes is not None and self.picture_bitrate(length, rate) < LOWEST_BITRATE:
            yield Problem("sizeBytes", f"{self.size_bytes} bytes are too few for {float(length / rate):.1f} seconds")

    def picture_bitrate(self, length: int, rate: Fraction) -> int:
        """Bits a second that the picture of so many frames takes: as asked for, or what a size leaves beside the sound.

        Room is made for the container (0.5 %, and 16 bytes a frame for its tables), and for the encoder, that aims a
        little high with what is short.
        """
        if self.bitrate is not None or self.size_bytes is None:
            return self.bitrate or 0
        seconds = length / rate
        room = Fraction(self.size_bytes * 8 * 97, 100) - 16 * 8 * length
        return int(room / seconds) - self.bits_of_sound

    @property
    def bits_of_sound(self) -> int:
        """Bits a second of the sound, as asked for or as usual; nothing for a format without compressed sound."""
        usual = {Format.MP4: 192_000, Format.AAC: 192_000, Format.MP3: 192_000, Format.WEBM: 160_000}
        return self.sound_bitrate or usual.get(self.format, 0)

    def to_json(self) -> dict[str, Any]:
        """The output as a plain dict, without what is as usual."""
        said = {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }
        return {name: str(value) if isinstance(value, (Worded, Fraction)) else value for name, value in said.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The output that `to_json` wrote. Raises ValueError for one that says what only a newer version knows."""
        if unknown := stored.keys() - {each.name for each in fields(cls)}:
            raise ValueError(f"an output with {', '.join(sorted(unknown))} is of a newer version and cannot be made")
        read: dict[str, Callable[[Any], Any]] = {
            "format": Format,
            "codec": VideoCodec,
            "speed": Speed,
            "frame_rate": Fraction,
        }
        return cls(**{name: read[name](value) if name in read else value for name, value in stored.items()})


def _between(path: str, value: int | Fraction, least: int, most: int, unit: str) -> Iterator[Problem]:
    if not least <= value <= most:
        yield Problem(path, f"it must be {least} to {most} {unit}, not {value}")


class OutputPreset(Worded):
    """A whole output by name. A number is the shorter side in pixels; the longer follows the canvas' shape."""

    H264_2160P = "H264_2160P", "MP4 with H.264, the shorter side 2160 pixels."
    H264_1080P = "H264_1080P", "MP4 with H.264, the shorter side 1080 pixels."
    H264_720P = "H264_720P", "MP4 with H.264, the shorter side 720 pixels."
    H264_480P = "H264_480P", "MP4 with H.264, the shorter side 480 pixels."
    H265_2160P = "H265_2160P", "MP4 with H.265, the shorter side 2160 pixels."
    H265_1080P = "H265_1080P", "MP4 with H.265, the shorter side 1080 pixels."
    H265_720P = "H265_720P", "MP4 with H.265, the shorter side 720 pixels."
    AV1_2160P = "AV1_2160P", "MP4 with AV1, the shorter side 2160 pixels."
    AV1_1080P = "AV1_1080P", "MP4 with AV1, the shorter side 1080 pixels."
    AV1_720P = "AV1_720P", "MP4 with AV1, the shorter side 720 pixels."
    VP9_1080P = "VP9_1080P", "WebM with VP9 and Opus, the shorter side 1080 pixels."
    VP9_720P = "VP9_720P", "WebM with VP9 and Opus, the shorter side 720 pixels."
    GIF_480P = "GIF_480P", "GIF, the shorter side 480 pixels, at most 15 frames a second."
    GIF_240P = "GIF_240P", "GIF, the shorter side 240 pixels, at most 15 frames a second."
    PNG = "PNG", "The first frame as PNG, as large as the canvas."
    JPEG = "JPEG", "The first frame as JPEG, as large as the canvas."
    MP3 = "MP3", "The sound as MP3, 192 kbit/s."
    AAC = "AAC", "The sound as AAC in an M4A file, 192 kbit/s."
    WAV = "WAV", "The sound as WAV, 48 kHz, 16 bits, stereo."

    def output(self, canvas: Canvas) -> Output:
        """What the preset means for a canvas: even sides, none above the largest we make."""
        name, _, side = self.value.partition("_")
        codec = VideoCodec(name) if name in list(VideoCodec) else None
        format_ = codec.usual_format if codec else Format(name)
        if format_ in _SOUNDS:
            return Output(format=format_)
        shorter = int(side.removesuffix("P")) if side else min(canvas.width, canvas.height)
        scale = min(
            Fraction(shorter, min(canvas.width, canvas.height)),
            Fraction(LARGEST_SIDE, max(canvas.width, canvas.height)),
        )
        return Output(
            format=format_,
            codec=codec,
            width=even(canvas.width * scale),
            height=even(canvas.height * scale),
            crf=codec.usual_crf if codec else None,
        )


def even(side: Fraction | int) -> int:
    """The nearest even number of pixels, never less than the smallest side we make."""
    return max(SMALLEST_SIDE, 2 * round(Fraction(side) / 2))
