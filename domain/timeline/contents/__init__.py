"""The contents that clips can have, each in a file of its own. Importing this makes them known."""

from domain.timeline.contents.audio import Audio
from domain.timeline.contents.captions import Captions, Cue
from domain.timeline.contents.composition import Composition
from domain.timeline.contents.image import Image
from domain.timeline.contents.shape import Shape, ShapeForm
from domain.timeline.contents.text import Text
from domain.timeline.contents.video import Video

__all__ = ["Audio", "Captions", "Composition", "Cue", "Image", "Shape", "ShapeForm", "Text", "Video"]
