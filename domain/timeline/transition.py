"""How one clip gives way to the next."""

from domain.entity import Worded
from domain.timeline.value import Part, part, said


class TransitionKind(Worded):
    """How one clip gives way to the next; their sounds cross-fade."""

    CROSS_FADE = "CROSS_FADE", "The one fades into the other."
    DISSOLVE = "DISSOLVE", "The one turns into the other pixel by pixel, in no order."
    FADE_BLACK = "FADE_BLACK", "Through black."
    FADE_WHITE = "FADE_WHITE", "Through white."
    FADE_GRAYS = "FADE_GRAYS", "Through shades of grey."
    WIPE_LEFT = "WIPE_LEFT", "An edge moves to the left; behind it is the next."
    WIPE_RIGHT = "WIPE_RIGHT", "An edge moves to the right; behind it is the next."
    WIPE_UP = "WIPE_UP", "An edge moves upwards; behind it is the next."
    WIPE_DOWN = "WIPE_DOWN", "An edge moves downwards; behind it is the next."
    SMOOTH_LEFT = "SMOOTH_LEFT", "As WIPE_LEFT, with a soft edge."
    SMOOTH_RIGHT = "SMOOTH_RIGHT", "As WIPE_RIGHT, with a soft edge."
    SMOOTH_UP = "SMOOTH_UP", "As WIPE_UP, with a soft edge."
    SMOOTH_DOWN = "SMOOTH_DOWN", "As WIPE_DOWN, with a soft edge."
    SLIDE_LEFT = "SLIDE_LEFT", "The next pushes the one out to the left."
    SLIDE_RIGHT = "SLIDE_RIGHT", "The next pushes the one out to the right."
    SLIDE_UP = "SLIDE_UP", "The next pushes the one out at the top."
    SLIDE_DOWN = "SLIDE_DOWN", "The next pushes the one out at the bottom."
    CIRCLE_OPEN = "CIRCLE_OPEN", "A circle opens from the middle; in it is the next."
    CIRCLE_CLOSE = "CIRCLE_CLOSE", "A circle closes upon the middle; outside of it is the next."
    RADIAL = "RADIAL", "A hand goes round like a clock's; behind it is the next."
    PIXELIZE = "PIXELIZE", "Through large blocks."
    ZOOM_IN = "ZOOM_IN", "Into the one, until the next appears."

    @property
    def xfade(self) -> str:
        """What FFmpeg's xfade filter calls it."""
        return "fade" if self is TransitionKind.CROSS_FADE else self.lower().replace("_", "")


@part
class Transition(Part):
    """From the clip before on the same track into this one: both are there for so many frames."""

    frames: int = said("For how many frames both are there; this clip begins so much earlier.")
    kind: TransitionKind = said("In which manner.", default=TransitionKind.CROSS_FADE)
