"""The effects that clips can have, each in a file of its own. Importing this makes them known."""

from domain.timeline.effects.blur import Blur
from domain.timeline.effects.chroma_key import ChromaKey
from domain.timeline.effects.color import Color
from domain.timeline.effects.flip import Flip, FlipAxis
from domain.timeline.effects.ken_burns import KenBurns, KenBurnsView
from domain.timeline.effects.lut import Lut
from domain.timeline.effects.pixelate import Pixelate
from domain.timeline.effects.round_corners import RoundCorners
from domain.timeline.effects.sharpen import Sharpen
from domain.timeline.effects.vignette import Vignette

__all__ = [
    "Blur",
    "ChromaKey",
    "Color",
    "Flip",
    "FlipAxis",
    "KenBurns",
    "KenBurnsView",
    "Lut",
    "Pixelate",
    "RoundCorners",
    "Sharpen",
    "Vignette",
]
