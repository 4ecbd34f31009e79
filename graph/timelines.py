"""The timeline as clients write and read it: typed all through, in whole frames."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry
from strawberry import UNSET, auto

from domain.asset import Asset
from domain.timeline import (
    Audio,
    Canvas,
    Clip,
    Content,
    Fit,
    Image,
    Text,
    TextPosition,
    Timeline,
    Track,
    Transition,
    TransitionKind,
    Video,
    parse_frame_rate,
)
from graph.context import Info
from graph.face import face, said, worded

if TYPE_CHECKING:
    from graph.assets import AssetFace

worded(Fit)
worded(TextPosition)
worded(TransitionKind)

MaybeAsset: TypeAlias = Annotated["AssetFace", strawberry.lazy("graph.assets")] | None

_START = "Its first frame on the timeline; null for right behind the clip before it on the track."
_IN = "The first frame of the source, counted at the timeline's frame rate."
_OUT = "The frame behind the last one of the source; null for its end."
_VOLUME = "A factor on its sound; 0 is silent."


def _given(default: Any, sentence: str, **options: Any) -> Any:
    return strawberry.field(default=default, description=sentence, **options)


# What clients write


@strawberry.input(description="The picture: its size and its frames a second.")
class CanvasInput:
    """As domain Canvas."""

    width: int = said("In pixels; even.")
    height: int = said("In pixels; even.")
    frame_rate: str = said("Frames a second, as a whole number or an exact fraction: 25, 30000/1001.")


@strawberry.input(description="A stretch of a video asset, with its sound.")
class VideoInput:
    """As domain Video."""

    asset_id: strawberry.ID = said("The video.")
    in_: int = _given(0, _IN, name="in")
    out: int | None = _given(None, _OUT)
    volume: float = _given(1.0, _VOLUME)


@strawberry.input(description="A still picture, held for a while.")
class ImageInput:
    """As domain Image."""

    asset_id: strawberry.ID = said("The image.")
    length: int = said("For how many frames.")


@strawberry.input(description="Lines of text.")
class TextInput:
    """As domain Text."""

    text: str = said("What it says; lines break at newlines.")
    length: int = said("For how many frames.")
    size: int = said("The height of a line in pixels of the canvas.")
    color: str = _given("#ffffff", "As #rrggbb.")
    position: TextPosition = _given(TextPosition.CENTER, "Where on the canvas.")
    fade_in: int = _given(0, "Over how many frames it appears.")
    fade_out: int = _given(0, "Over how many frames it disappears.")


@strawberry.input(description="A stretch of sound, from an audio asset or a video that has sound.")
class AudioInput:
    """As domain Audio."""

    asset_id: strawberry.ID = said("The sound.")
    in_: int = _given(0, _IN, name="in")
    out: int | None = _given(None, _OUT)
    volume: float = _given(1.0, _VOLUME)
    fade_in: int = _given(0, "Over how many frames it becomes loud.")
    fade_out: int = _given(0, "Over how many frames it becomes silent.")


@strawberry.input(one_of=True, description="What a clip shows or plays: exactly one of these.")
class ContentInput:
    """As domain Content."""

    video: VideoInput | None = _given(UNSET, "A stretch of a video.")
    image: ImageInput | None = _given(UNSET, "A still picture.")
    text: TextInput | None = _given(UNSET, "Lines of text.")
    audio: AudioInput | None = _given(UNSET, "A stretch of sound.")


@strawberry.input(description="How the clip before gives way to this one.")
class TransitionInput:
    """As domain Transition."""

    frames: int = said("For how many frames both are there; this clip begins so much earlier.")
    kind: TransitionKind = _given(TransitionKind.CROSS_FADE, "In which manner.")


@strawberry.input(description="A content at a place on a track.")
class ClipInput:
    """As domain Clip."""

    content: ContentInput = said("What it shows or plays.")
    start: int | None = _given(None, _START)
    transition: TransitionInput | None = _given(None, "From the clip before into this one; null for a cut.")
    fit: Fit = _given(Fit.CONTAIN, "How a picture of another shape is put on the canvas.")


@strawberry.input(description="Clips one behind the other.")
class TrackInput:
    """As domain Track."""

    clips: list[ClipInput] = said("In order. Where there is none, what lies below shows.")


@strawberry.input(description="An edit, whole.")
class TimelineInput:
    """As domain Timeline."""

    canvas: CanvasInput = said("The picture.")
    tracks: list[TrackInput] = said("Later ones lie above earlier ones.")
    background: str = _given("#000000", "What shows where nothing else does, as #rrggbb.")

    def value(self) -> Timeline:
        """The domain's value. Only the frame rate can be unreadable; all else is the rules' to judge."""
        rate = parse_frame_rate(self.canvas.frame_rate)
        return Timeline(
            canvas=Canvas(width=self.canvas.width, height=self.canvas.height, frame_rate=rate),
            background=self.background,
            tracks=tuple(Track(clips=tuple(_clip(clip) for clip in track.clips)) for track in self.tracks),
        )


def _clip(clip: ClipInput) -> Clip:
    return Clip(
        content=_content(clip.content),
        start=clip.start,
        transition=clip.transition and Transition(frames=clip.transition.frames, kind=clip.transition.kind),
        fit=clip.fit,
    )


def _content(content: ContentInput) -> Content:
    if content.video:
        return Video(**vars(content.video))
    if content.image:
        return Image(**vars(content.image))
    if content.text:
        return Text(**vars(content.text))
    assert content.audio  # noqa: S101 - @oneOf: validation lets exactly one through
    return Audio(**vars(content.audio))


# What clients read


@face(Canvas)
class CanvasFace:
    """The picture: its size and its frames a second."""

    width: auto = said("In pixels.")
    height: auto = said("In pixels.")

    @strawberry.field(description="Frames a second, as a number or an exact fraction.")
    def frame_rate(self: Any) -> str:
        return str(self.frame_rate)


async def _asset(content: Video | Image | Audio, info: Info) -> Asset | None:
    return await info.context.loaders.get(Asset, content.asset_id)


@face(Video, name="VideoContent")
class VideoFace:
    """A stretch of a video asset, with its sound."""

    asset_id: strawberry.ID = said("The video's id, whether or not it is still there.")
    in_: int = said(_IN, name="in")
    out: auto = said(_OUT)
    volume: auto = said(_VOLUME)

    @strawberry.field(description="The video; null when it was deleted.", graphql_type=MaybeAsset)
    async def asset(self: Any, info: Info) -> Asset | None:
        return await _asset(self, info)


@face(Image, name="ImageContent")
class ImageFace:
    """A still picture, held for a while."""

    asset_id: strawberry.ID = said("The image's id, whether or not it is still there.")
    length: auto = said("For how many frames.")

    @strawberry.field(description="The image; null when it was deleted.", graphql_type=MaybeAsset)
    async def asset(self: Any, info: Info) -> Asset | None:
        return await _asset(self, info)


@face(Text, name="TextContent")
class TextFace:
    """Lines of text."""

    text: auto = said("What it says.")
    length: auto = said("For how many frames.")
    size: auto = said("The height of a line in pixels of the canvas.")
    color: auto = said("As #rrggbb.")
    position: auto = said("Where on the canvas.")
    fade_in: auto = said("Over how many frames it appears.")
    fade_out: auto = said("Over how many frames it disappears.")


@face(Audio, name="AudioContent")
class AudioFace:
    """A stretch of sound."""

    asset_id: strawberry.ID = said("The sound's id, whether or not it is still there.")
    in_: int = said(_IN, name="in")
    out: auto = said(_OUT)
    volume: auto = said(_VOLUME)
    fade_in: auto = said("Over how many frames it becomes loud.")
    fade_out: auto = said("Over how many frames it becomes silent.")

    @strawberry.field(description="The sound; null when it was deleted.", graphql_type=MaybeAsset)
    async def asset(self: Any, info: Info) -> Asset | None:
        return await _asset(self, info)


ContentFace = Annotated[
    VideoFace | ImageFace | TextFace | AudioFace,
    strawberry.union("Content", description="What a clip shows or plays."),
]


@face(Transition)
class TransitionFace:
    """How the clip before gives way to this one."""

    frames: auto = said("For how many frames both are there.")
    kind: auto = said("In which manner.")


@face(Clip)
class ClipFace:
    """A content at a place on a track."""

    content: ContentFace = said("What it shows or plays.")
    start: auto = said(_START)
    transition: TransitionFace | None = said("From the clip before into this one; null for a cut.")
    fit: auto = said("How a picture of another shape is put on the canvas.")


@face(Track)
class TrackFace:
    """Clips one behind the other."""

    clips: list[ClipFace] = said("In order.")


@face(Timeline)
class TimelineFace:
    """An edit, whole."""

    canvas: CanvasFace = said("The picture.")
    tracks: list[TrackFace] = said("Later ones lie above earlier ones.")
    background: auto = said("What shows where nothing else does.")
