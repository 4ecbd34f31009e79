"""An edit as a value: a canvas, tracks, clips. Times are whole frames of the canvas' rate."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Self

from domain.entity import Worded
from domain.refusals import Problem, TimelineInvalid
from domain.timeline.bus import Bus
from domain.timeline.content import Content
from domain.timeline.effect import Effect
from domain.timeline.motion import Crop, Keyframes, Point
from domain.timeline.transition import Transition, TransitionKind
from domain.timeline.value import Part, asset_ids, part, said
from domain.timeline.variable import Variable, filled, usual_values

STORED_VERSION = 2
READABLE_VERSIONS = {1, 2}
"""The first had fewer fields, each of which still means the same."""


class Fit(Worded):
    """How a picture of another shape is put on the canvas."""

    CONTAIN = "CONTAIN", "All of it is seen; what lies below shows at the sides."
    COVER = "COVER", "The canvas is filled; what sticks out is cut off."
    FILL = "FILL", "The canvas is filled; the picture is stretched."


@part
class Canvas(Part):
    """The picture that is edited: its size in pixels and its frames a second."""

    width: int = said("In pixels; even.")
    height: int = said("In pixels; even.")
    frame_rate: Fraction = said("Frames a second, as a whole number or an exact fraction: 25, 30000/1001.")


def parse_frame_rate(text: str) -> Fraction:
    """Read "25" or "30000/1001"; refuse anything else."""
    if not re.fullmatch(r"[0-9]{1,7}(/[1-9][0-9]{0,6})?", text):
        message = f"it must be a whole number or a fraction like 30000/1001, not {text[:40]!r}"
        raise TimelineInvalid(problems=[Problem("canvas.frameRate", message)])
    return Fraction(text)


_CENTER = Point()


@part
class Clip(Part):
    """A content at a place on a track."""

    content: Content = said("What it shows or plays.")
    start: int | None = said("Its first frame on the timeline; null for right behind the clip before it.", default=None)
    transition: Transition | None = said("From the clip before into this one; null for a cut.", default=None)
    fit: Fit = said("How a picture of another shape is put on the canvas.", default=Fit.CONTAIN)
    crop: Crop | None = said("What is cut off the picture before it is fitted.", default=None)
    position: Point = said("Where the anchor stands on the canvas.", default=_CENTER)
    anchor: Point = said("The place in the picture that stands there, and about which it is scaled.", default=_CENTER)
    scale: float = said("How large the picture is, next to how it is fitted.", default=1.0)
    rotation: float = said("Degrees clockwise, about its middle.", default=0.0)
    opacity: float = said("0 is not to be seen, 1 is opaque.", default=1.0)
    fade_in: int = said("Over how many frames it appears, picture and sound.", default=0)
    fade_out: int = said("Over how many frames it disappears, picture and sound.", default=0)
    keyframes: Keyframes | None = said("How these change over the clip.", default=None)
    effects: tuple[Effect, ...] = said("What is done to the picture, in this order.", default=())
    bus: str | None = said("Where its sound goes; null for straight into the mix.", default=None)

    @property
    def keys(self) -> Keyframes:
        """Its key frames; none if it says nothing of them."""
        return self.keyframes or _NO_KEYS


_NO_KEYS = Keyframes()


@part
class Track(Part):
    """Clips one behind the other. Where there is none, what lies below shows."""

    clips: tuple[Clip, ...] = said("In order.")


@part
class Timeline(Part):
    """An edit, whole. Later tracks lie above earlier ones, all of them above the background."""

    canvas: Canvas = said("The picture.")
    tracks: tuple[Track, ...] = said("Later ones lie above earlier ones.")
    background: str = said("What shows where nothing else does, as #rrggbb.", default="#000000")
    buses: tuple[Bus, ...] = said("Where sounds come together before they are mixed.", default=())
    loudness: float | None = said(
        "What the sound of the whole is brought to, in LUFS (EBU R 128); null leaves it as it is.", default=None
    )
    variables: tuple[Variable, ...] = said(
        "What a template leaves open: {{name}} in texts, colours and assets.", default=()
    )

    @property
    def asset_ids(self) -> frozenset[str]:
        """The assets it uses, among them those that its variables stand for if nothing else is put in."""
        return frozenset(filled(tuple(asset_ids(self)), usual_values(self.variables)))

    def to_json(self) -> dict[str, Any]:
        """The stored form: a plain dict with a version, the first that knows all that is used."""
        stored = super().to_json()
        return _as_first(stored) or {"version": STORED_VERSION, **stored}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The edit that `to_json` wrote, equal in every value."""
        rest = dict(stored)
        if (version := rest.pop("version")) not in READABLE_VERSIONS:
            raise ValueError(f"a timeline stored in version {version} cannot be read")
        return super().from_json(rest)


_FIRST_CONTENTS = {
    "video": {"asset_id", "in_", "out", "volume"},
    "image": {"asset_id", "length"},
    "text": {"text", "length", "size", "color", "position", "fade_in", "fade_out"},
    "audio": {"asset_id", "in_", "out", "volume", "fade_in", "fade_out"},
}


def _as_first(stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """A timeline as the first version kept it, which left nothing out; None if it says more than that knew.

    So processes of the first release can still read what uses nothing new, while they are being replaced.
    """
    if stored.keys() - {"canvas", "tracks", "background"}:
        return None
    tracks: list[dict[str, Any]] = []
    for track in stored["tracks"]:
        clips: list[dict[str, Any]] = []
        for clip in track["clips"]:
            ((name, content),) = clip["content"].items()
            transition = clip.get("transition")
            if (
                clip.keys() - {"content", "start", "transition", "fit"}
                or content.keys() - _FIRST_CONTENTS.get(name, set())
                or (transition and transition.keys() - {"frames"})  # of another kind than cross-fades
            ):
                return None
            fade = transition and {**transition, "kind": TransitionKind.CROSS_FADE.value}
            clips.append({"start": None, "fit": Fit.CONTAIN.value, **clip, "transition": fade})
        tracks.append({"clips": clips})
    return {"version": 1, "background": "#000000", **stored, "tracks": tracks}
