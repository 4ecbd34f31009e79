"""Out of focus."""

from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said

LARGEST_RADIUS = 500
LARGEST_SIGMA = 1024
"""The filter takes no more, in pixels of the stage. Nothing is left to be seen of a picture long before."""


@Effect.kind
class Blur(Effect):
    """The picture goes out of focus."""

    radius: float = said(
        "By how much: the standard deviation of a Gaussian blur, in pixels of the canvas.", default=10.0
    )

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """It is not beyond all measure."""
        check.between("radius", self.radius, 0, LARGEST_RADIUS, " pixels")

    def filters(self, fitted: Fitted) -> list[str]:
        """With colours as fine as the lights, or they would go twice as far."""
        blur = f"gblur=sigma={min(fitted.scaled(self.radius), LARGEST_SIGMA):.4f}:steps=3"
        return fitted.premultiplied(blur) if fitted.alpha else ["format=yuv444p", blur, "format=yuv420p"]
