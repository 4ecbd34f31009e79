"""Outputs: what a render makes, as clients ask for it and read it, and what was measured of it."""

from collections.abc import Mapping
from typing import Any, Self

import strawberry
from strawberry import UNSET

from domain.refusals import InvalidInput, TimelineInvalid
from domain.render.output import Format, Output, OutputPreset, Speed, VideoCodec
from domain.timeline.edit import Canvas, parse_frame_rate
from graph.face import face, said, worded
from graph.scalars import Long

worded(Format, name="OutputFormat")
worded(OutputPreset)
worded(Speed, name="EncodingSpeed")
worded(VideoCodec)

_CRF = "Quality: 0 (best, largest) to 51, for AV1 1 to 63, for VP9 0 to 63. 0 is without loss in H.264."
_CAP = "Beside crf: bits a second that the picture takes at most, where that quality would take more."
_BITRATE = "Instead of crf: bits a second of the picture, on the average."
_SIZE = "Instead of crf: about how many bytes the whole file is to have."
_SOUND = "Bits a second of the sound: 32000 to 320000."
_POSTER = "A frame of the timeline that comes with the movie as a picture, to be shown before it plays."
_GIF_RATE = "Frames a second, 1 to 50."
_FRAME = "Which frame of the timeline, counted from 0."
_SPEED = "What the encoder takes its time for."


# What clients write


@strawberry.input(description="A movie of one's own: its quality by crf (as usual), by bitrate or by size.")
class CustomOutputInput:
    """A movie."""

    codec: VideoCodec = said("How the picture is compressed.")
    width: int = said("In pixels; even.")
    height: int = said("In pixels; even.")
    crf: int | None = strawberry.field(default=None, description=f"{_CRF} What is right for most if not said.")
    format: Format | None = strawberry.field(
        default=None, description="MP4 or WEBM; if not said, WEBM for VP9 and MP4 for all others."
    )
    max_bitrate: int | None = strawberry.field(default=None, description=_CAP)
    bitrate: int | None = strawberry.field(
        default=None, description=f"{_BITRATE} The picture is then encoded as a whole each time, not in spans."
    )
    size_bytes: Long | None = strawberry.field(
        default=None, description=f"{_SIZE} The picture is then encoded as a whole each time, not in spans."
    )
    sound_bitrate: int | None = strawberry.field(
        default=None, description=f"{_SOUND} If not said, 192000 in MP4 and 160000 in WebM."
    )
    speed: Speed = strawberry.field(default=Speed.BALANCED, description=_SPEED)
    poster_frame: int | None = strawberry.field(default=None, description=_POSTER)

    def value(self, at: str) -> Output:
        """The domain's value; `at`: where in the input it stands."""
        usual = self.codec.usual_crf if self.bitrate is None and self.size_bytes is None else None
        format_ = self.codec.usual_format if self.format is None else self.format
        if format_ not in {Format.MP4, Format.WEBM}:
            raise InvalidInput(path=f"{at}.format", problem=f"a movie is MP4 or WEBM, not {format_}")
        return Output(
            format=format_,
            codec=self.codec,
            width=self.width,
            height=self.height,
            crf=usual if self.crf is None else self.crf,
            max_bitrate=self.max_bitrate,
            bitrate=self.bitrate,
            size_bytes=self.size_bytes,
            sound_bitrate=self.sound_bitrate,
            speed=self.speed,
            frame=self.poster_frame,
        )


@strawberry.input(description="An animated GIF of the whole timeline, without sound.")
class GifOutputInput:
    """A GIF."""

    width: int = said("In pixels; even.")
    height: int = said("In pixels; even.")
    frame_rate: str | None = strawberry.field(
        default=None,
        description=f"{_GIF_RATE} If not said, the canvas' own or an even part of it, at most 15.",
    )

    def value(self, at: str) -> Output:
        """The domain's value; `at`: where in the input it stands."""
        try:
            rate = None if self.frame_rate is None else parse_frame_rate(self.frame_rate)
        except TimelineInvalid as invalid:
            raise InvalidInput(path=f"{at}.frameRate", problem=invalid.problems[0].message) from None
        return Output(format=Format.GIF, width=self.width, height=self.height, frame_rate=rate)


@strawberry.input(description="One frame as a picture.")
class StillOutputInput:
    """A PNG or JPEG."""

    format: Format = strawberry.field(default=Format.JPEG, description="PNG or JPEG.")
    width: int = said("In pixels; even.")
    height: int = said("In pixels; even.")
    frame: int = strawberry.field(default=0, description=_FRAME)

    def value(self, at: str) -> Output:
        """The domain's value; `at`: where in the input it stands."""
        if self.format not in {Format.PNG, Format.JPEG}:
            raise InvalidInput(path=f"{at}.format", problem=f"a still is PNG or JPEG, not {self.format}")
        return Output(format=self.format, width=self.width, height=self.height, frame=self.frame)


@strawberry.input(description="The sound alone.")
class SoundOutputInput:
    """MP3, AAC or WAV."""

    format: Format = said("MP3, AAC or WAV.")
    bitrate: int | None = strawberry.field(default=None, description=f"{_SOUND} If not said, 192000. None for WAV.")

    def value(self, at: str) -> Output:
        """The domain's value; `at`: where in the input it stands."""
        if self.format not in {Format.MP3, Format.AAC, Format.WAV}:
            raise InvalidInput(path=f"{at}.format", problem=f"sound is MP3, AAC or WAV, not {self.format}")
        return Output(format=self.format, sound_bitrate=self.bitrate)


@strawberry.input(one_of=True, description="What to make: exactly one of these.")
class OutputInput:
    """A preset or an output of one's own."""

    preset: OutputPreset | None = strawberry.field(default=UNSET, description="One of the usual.")
    custom: CustomOutputInput | None = strawberry.field(default=UNSET, description="A movie of one's own.")
    gif: GifOutputInput | None = strawberry.field(default=UNSET, description="An animated GIF.")
    still: StillOutputInput | None = strawberry.field(default=UNSET, description="One frame.")
    sound: SoundOutputInput | None = strawberry.field(default=UNSET, description="The sound alone.")

    def asked(self, at: str = "output") -> OutputPreset | Output:
        """What was asked for; hardly judged yet. `at`: where in the input this stands."""
        if self.preset:
            return self.preset
        choices = {"custom": self.custom, "gif": self.gif, "still": self.still, "sound": self.sound}
        # @oneOf: validation lets exactly one through
        ((choice, given),) = ((name, each) for name, each in choices.items() if each)
        return given.value(f"{at}.{choice}")

    def value(self, canvas: Canvas) -> Output:
        """The domain's value; refused where it cannot be made."""
        asked = self.asked()
        if isinstance(asked, OutputPreset):
            made = asked.output(canvas)
            for problem in made.problems(canvas=canvas):
                raise InvalidInput(path="output.preset", problem=f"its {problem.path}: {problem.message}")
            return made
        for problem in asked.problems(canvas=canvas):
            raise InvalidInput(path=f"output.{asked.choice}.{problem.path}", problem=problem.message)
        return asked


# What clients read


@face(Output, name="CustomOutput")
class CustomOutputFace:
    """A movie of one's own."""

    codec: VideoCodec = said("How the picture is compressed.")
    width: int = said("In pixels.")
    height: int = said("In pixels.")
    format: Format = said("MP4 or WEBM.")
    max_bitrate: int | None = said(_CAP)
    bitrate: int | None = said(_BITRATE)
    size_bytes: Long | None = said(_SIZE)
    sound_bitrate: int | None = said(_SOUND)
    speed: Speed = said(_SPEED)

    @strawberry.field(name="crf", description=f"{_CRF} Just the usual where bitrate or sizeBytes is said.")
    def crf_(self: Any) -> int:
        return self.codec.usual_crf if self.crf is None else self.crf

    @strawberry.field(description=_POSTER)
    def poster_frame(self: Any) -> int | None:
        return self.frame


@face(Output, name="GifOutput")
class GifOutputFace:
    """An animated GIF of the whole timeline, without sound."""

    width: int = said("In pixels.")
    height: int = said("In pixels.")

    @strawberry.field(name="frameRate", description=f"{_GIF_RATE} Null for the canvas' own or an even part of it.")
    def frame_rate_(self: Any) -> str | None:
        return self.frame_rate and str(self.frame_rate)


@face(Output, name="StillOutput")
class StillOutputFace:
    """One frame as a picture."""

    format: Format = said("PNG or JPEG.")
    width: int = said("In pixels.")
    height: int = said("In pixels.")
    frame: int = said(_FRAME)


@face(Output, name="SoundOutput")
class SoundOutputFace:
    """The sound alone."""

    format: Format = said("MP3, AAC or WAV.")

    @strawberry.field(name="bitrate", description=f"{_SOUND} Null for what is usual.")
    def bitrate_(self: Any) -> int | None:
        return self.sound_bitrate


@strawberry.type(name="FileFacts", description="What a finished file is, or was to be, measured packet by packet.")
class FileFactsFace:
    """As domain Measured."""

    container: str = said("The kind of file, in FFmpeg's words: mov for MP4 and M4A, matroska for WebM.")
    video_codec: str | None = said("How the picture is compressed, in FFmpeg's words.")
    width: int | None = said("In pixels.")
    height: int | None = said("In pixels.")
    frame_rate: str | None = said("Frames a second, an exact fraction; as near as the file says it, where measured.")
    frames: int = said("How many frames of picture.")
    first_time: str | None = said("When the first frame is shown, in seconds, an exact fraction.")
    uneven_steps: int = said("How many frames are not shown when they should be, as near as such a file can say it.")
    audio_codec: str | None = said("How the sound is compressed, in FFmpeg's words.")
    sample_rate: int | None = said("Samples a second.")
    channels: int | None = said("Of the sound.")
    samples: Long | None = said("Of each channel, as players play them: without what encoders put before and behind.")


@strawberry.type(
    name="RenderVerification",
    description="What was checked before a render was published. A file that is not as planned never is.",
)
class VerificationFace:
    """As domain verification."""

    planned: FileFactsFace = said("What the timeline and the output ask for.")
    measured: FileFactsFace = said("What the file is.")
    spans: int = said(
        "How many spans its picture was joined from: one where a bitrate or a size was asked for, none for a GIF, a "
        "still or a sound."
    )
    encoded: int = said("How many of them had to be encoded; the others were known from before.")

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """From the result of a job."""
        return cls(
            planned=FileFactsFace(**kept["planned"]),
            measured=FileFactsFace(**kept["measured"]),
            spans=kept["spans"],
            encoded=kept["encoded"],
        )
