"""What an edit is: a canvas, tracks, clips. Times are whole frames of the canvas' frame rate."""

from domain.timeline.bus import Bus, Ducking
from domain.timeline.content import Content
from domain.timeline.contents import Audio, Captions, Composition, Cue, Image, Shape, ShapeForm, Text, Video
from domain.timeline.edit import Canvas, Clip, Fit, Timeline, Track, parse_frame_rate
from domain.timeline.effect import Effect
from domain.timeline.effects import (
    Blur,
    ChromaKey,
    Color,
    Flip,
    FlipAxis,
    KenBurns,
    KenBurnsView,
    Lut,
    Pixelate,
    RoundCorners,
    Sharpen,
    Vignette,
)
from domain.timeline.lettering import (
    TextAlignment,
    TextBox,
    TextPosition,
    TextShadow,
    TextStroke,
    TextStyle,
    TextWeight,
)
from domain.timeline.motion import Crop, Keyframes, NumberKey, Point, PointKey
from domain.timeline.placing import Placed, length, placed
from domain.timeline.rules import problems
from domain.timeline.transition import Transition, TransitionKind
from domain.timeline.variable import Variable, VariableKind

__all__ = [
    "Audio",
    "Blur",
    "Bus",
    "Canvas",
    "Captions",
    "ChromaKey",
    "Clip",
    "Color",
    "Composition",
    "Content",
    "Crop",
    "Cue",
    "Ducking",
    "Effect",
    "Fit",
    "Flip",
    "FlipAxis",
    "Image",
    "KenBurns",
    "KenBurnsView",
    "Keyframes",
    "Lut",
    "NumberKey",
    "Pixelate",
    "Placed",
    "Point",
    "PointKey",
    "RoundCorners",
    "Shape",
    "ShapeForm",
    "Sharpen",
    "Text",
    "TextAlignment",
    "TextBox",
    "TextPosition",
    "TextShadow",
    "TextStroke",
    "TextStyle",
    "TextWeight",
    "Timeline",
    "Track",
    "Transition",
    "TransitionKind",
    "Variable",
    "VariableKind",
    "Video",
    "Vignette",
    "length",
    "parse_frame_rate",
    "placed",
    "problems",
]
