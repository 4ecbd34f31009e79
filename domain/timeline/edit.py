"""The parts of an edit, as values, and their stored form."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any, Self

from domain.entity import Worded
from domain.refusals import Problem, TimelineInvalid

STORED_VERSION = 1


class Fit(Worded):
    """How a picture of another shape is put on the canvas."""

    CONTAIN = "CONTAIN", "All of it is seen; what lies below shows at the sides."
    COVER = "COVER", "The canvas is filled; what sticks out is cut off."
    FILL = "FILL", "The canvas is filled; the picture is stretched."


class TransitionKind(Worded):
    """How one clip gives way to the next."""

    CROSS_FADE = "CROSS_FADE", "The one fades into the other, picture and sound."


class TextPosition(Worded):
    """Where a text stands on the canvas; always centred from left to right."""

    TOP = "TOP", "A tenth of the height below the upper edge."
    CENTER = "CENTER", "In the middle."
    BOTTOM = "BOTTOM", "A tenth of the height above the lower edge."


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """The picture that is edited: its size in pixels and its frames a second."""

    width: int
    height: int
    frame_rate: Fraction


def parse_frame_rate(text: str) -> Fraction:
    """Read "25" or "30000/1001"; refuse anything else."""
    if not re.fullmatch(r"[0-9]{1,7}(/[1-9][0-9]{0,6})?", text):
        message = f"it must be a whole number or a fraction like 30000/1001, not {text[:40]!r}"
        raise TimelineInvalid(problems=[Problem("canvas.frameRate", message)])
    return Fraction(text)


@dataclass(frozen=True, kw_only=True)
class Video:
    """A stretch of a video asset, with its own sound."""

    asset_id: str
    in_: int = 0
    """The first frame, counted at the timeline's rate from the start of the source."""
    out: int | None = None
    """The frame after the last; None for the end of the source."""
    volume: float = 1.0
    """A factor on its sound; 0 is mute."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A still picture, held for a while."""

    asset_id: str
    length: int


@dataclass(frozen=True, kw_only=True)
class Text:
    """Lines of text, centred; they break where they have a newline."""

    text: str
    length: int
    size: int
    """The height of a line, in pixels of the canvas."""
    color: str = "#ffffff"
    position: TextPosition = TextPosition.CENTER
    fade_in: int = 0
    fade_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Audio:
    """A stretch of sound, from an audio asset or from a video asset that has sound."""

    asset_id: str
    in_: int = 0
    out: int | None = None
    volume: float = 1.0
    fade_in: int = 0
    fade_out: int = 0


Content = Video | Image | Text | Audio
_CONTENTS: Mapping[str, type[Content]] = {"video": Video, "image": Image, "text": Text, "audio": Audio}


def content_name(content: Content) -> str:
    """The word for a content in paths and in the stored form: video, image, text or audio."""
    return type(content).__name__.lower()


@dataclass(frozen=True, kw_only=True)
class Transition:
    """From the clip before on the same track into this one: both are seen for so many frames."""

    frames: int
    kind: TransitionKind = TransitionKind.CROSS_FADE


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A content at a place on a track."""

    content: Content
    start: int | None = None
    """The first frame on the timeline; None for right after the clip before, overlapping it by the transition."""
    transition: Transition | None = None
    fit: Fit = Fit.CONTAIN


@dataclass(frozen=True, kw_only=True)
class Track:
    """Clips one after the other, in order. Where there is none, what lies below shows."""

    clips: tuple[Clip, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """An edit. Later tracks lie above earlier ones, all of them above the background colour."""

    canvas: Canvas
    background: str = "#000000"
    tracks: tuple[Track, ...] = ()

    @property
    def asset_ids(self) -> frozenset[str]:
        """The assets it uses."""
        contents = (clip.content for track in self.tracks for clip in track.clips)
        return frozenset(content.asset_id for content in contents if not isinstance(content, Text))

    def to_json(self) -> dict[str, Any]:
        """The stored form: a plain dict with a version."""
        return {
            "version": STORED_VERSION,
            "canvas": asdict(self.canvas) | {"frame_rate": str(self.canvas.frame_rate)},
            "background": self.background,
            "tracks": [{"clips": [_clip_to_json(clip) for clip in track.clips]} for track in self.tracks],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The edit that `to_json` wrote, equal in every value."""
        if stored["version"] != STORED_VERSION:
            raise ValueError(f"a timeline stored in version {stored['version']} cannot be read")
        canvas = stored["canvas"]
        return cls(
            canvas=Canvas(**dict(canvas, frame_rate=Fraction(canvas["frame_rate"]))),
            background=stored["background"],
            tracks=tuple(
                Track(clips=tuple(_clip_from_json(clip) for clip in track["clips"])) for track in stored["tracks"]
            ),
        )


def _clip_to_json(clip: Clip) -> dict[str, Any]:
    return {
        "start": clip.start,
        "transition": clip.transition and asdict(clip.transition),
        "fit": clip.fit.value,
        "content": {content_name(clip.content): asdict(clip.content)},
    }


def _clip_from_json(stored: Mapping[str, Any]) -> Clip:
    ((name, values),) = stored["content"].items()
    content: Content = _CONTENTS[name](**values)
    if isinstance(content, Text):
        content = replace(content, position=TextPosition(content.position))
    transition = stored["transition"]
    return Clip(
        start=stored["start"],
        transition=transition and Transition(frames=transition["frames"], kind=TransitionKind(transition["kind"])),
        fit=Fit(stored["fit"]),
        content=content,
    )
