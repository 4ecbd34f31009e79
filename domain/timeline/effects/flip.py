"""In a mirror."""

from domain.entity import Worded
from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said


class FlipAxis(Worded):
    """What changes places in a mirror."""

    HORIZONTAL = "HORIZONTAL", "Left and right."
    VERTICAL = "VERTICAL", "Top and bottom."


@Effect.kind
class Flip(Effect):
    """The picture as in a mirror."""

    axis: FlipAxis = said("What changes places.", default=FlipAxis.HORIZONTAL)

    def problems(self, check: Check, content: Content) -> None:
        """There is nothing that could be."""

    def filters(self, fitted: Fitted) -> list[str]:  # noqa: ARG002 - of every effect
        """One filter."""
        return ["hflip" if self.axis is FlipAxis.HORIZONTAL else "vflip"]
