"""What an edit is: a canvas, tracks, clips. Times are whole frames of the canvas' frame rate."""

from domain.timeline.edit import (
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
from domain.timeline.placing import Placed, length, placed
from domain.timeline.rules import problems

__all__ = [
    "Audio",
    "Canvas",
    "Clip",
    "Content",
    "Fit",
    "Image",
    "Placed",
    "Text",
    "TextPosition",
    "Timeline",
    "Track",
    "Transition",
    "TransitionKind",
    "Video",
    "length",
    "parse_frame_rate",
    "placed",
    "problems",
]
