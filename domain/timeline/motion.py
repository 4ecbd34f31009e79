"""Where a clip's picture stands, and how that changes: key frames."""

from domain.ffmpeg.curve import Curve, Easing, Key
from domain.timeline.checks import Check
from domain.timeline.value import Part, part, said

MOST_KEYS = 100
LARGEST_SCALE = 5.0
FARTHEST = 5.0
"""How far off the canvas a picture may be put, in sides of the canvas."""


@part
class Point(Part):
    """A place in a picture, in parts of its sides: 0, 0 is the upper left corner, 1, 1 the lower right one."""

    x: float = said("From the left, in parts of the width.", default=0.5)
    y: float = said("From the top, in parts of the height.", default=0.5)


@part
class Crop(Part):
    """What is cut off a picture before it is fitted, in parts of its sides."""

    left: float = said("Off the left side.", default=0.0)
    top: float = said("Off the upper side.", default=0.0)
    right: float = said("Off the right side.", default=0.0)
    bottom: float = said("Off the lower side.", default=0.0)

    def problems(self, check: Check) -> None:
        """Something must be left."""
        sides = ("left", "top", "right", "bottom")
        sound = [check.between(name, getattr(self, name), 0, 1) for name in sides]
        if all(sound):
            for one, other in (("left", "right"), ("top", "bottom")):
                if getattr(self, one) + getattr(self, other) > 0.99:  # noqa: PLR2004 - a hundredth must be left
                    check.at(other).wrong(f"together with {one} it leaves nothing of the picture")


@part
class NumberKey(Part):
    """A number at a frame."""

    frame: int = said("The frame, counted from the clip's start.")
    value: float = said("The value there.")
    easing: Easing = said("How it goes on to the next key frame.", default=Easing.LINEAR)


@part
class PointKey(Part):
    """A place at a frame."""

    frame: int = said("The frame, counted from the clip's start.")
    x: float = said("From the left, in parts of the canvas' width.")
    y: float = said("From the top, in parts of the canvas' height.")
    easing: Easing = said("How it goes on to the next key frame.", default=Easing.LINEAR)


@part
class Keyframes(Part):
    """How properties of a clip change over it. Where there are none, the constant of the same name holds."""

    position: tuple[PointKey, ...] = said("Where its anchor stands on the canvas.", default=())
    scale: tuple[NumberKey, ...] = said("How large it is, next to how it is fitted.", default=())
    rotation: tuple[NumberKey, ...] = said("Degrees clockwise.", default=())
    opacity: tuple[NumberKey, ...] = said("0 is not to be seen, 1 is opaque.", default=())
    volume: tuple[NumberKey, ...] = said("A factor on its sound; 0 is mute.", default=())

    def problems(self, check: Check) -> None:
        """In order of time, and each value within its bounds."""
        for name, (least, most) in BOUNDS.items():
            keys: tuple[NumberKey | PointKey, ...] = getattr(self, name)
            here = check.at(name)
            if len(keys) > MOST_KEYS:
                here.wrong(f"{len(keys)} key frames are more than the {MOST_KEYS} allowed")
                continue
            before = -1
            for index, key in enumerate(keys):
                at = here.at(index)
                if key.frame <= before:
                    at.at("frame").wrong(f"it must come after frame {before}, it is {key.frame}")
                before = key.frame
                values = {"x": key.x, "y": key.y} if isinstance(key, PointKey) else {"value": key.value}
                for each, value in values.items():
                    at.between(each, value, least, most)


BOUNDS = {
    "position": (-FARTHEST, FARTHEST),
    "scale": (0.01, LARGEST_SCALE),
    "rotation": (-36_000.0, 36_000.0),
    "opacity": (0.0, 1.0),
    "volume": (0.0, 10.0),
}


def number(constant: float, keys: tuple[NumberKey, ...]) -> Curve:
    """The curve of a number."""
    return Curve.of(constant, [Key(key.frame, key.value, key.easing) for key in keys])


def point(constant: Point, keys: tuple[PointKey, ...]) -> tuple[Curve, Curve]:
    """The curves of a place: from the left, from the top."""
    return (
        Curve.of(constant.x, [Key(key.frame, key.x, key.easing) for key in keys]),
        Curve.of(constant.y, [Key(key.frame, key.y, key.easing) for key in keys]),
    )
