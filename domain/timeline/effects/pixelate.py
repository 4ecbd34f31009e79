"""Large pixels."""

from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said

LARGEST_BLOCK = 1_000


@Effect.kind
class Pixelate(Effect):
    """The picture in large blocks, as if to hide something."""

    size: float = said("The side of a block, in pixels of the canvas, from 2.", default=16.0)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """A block is larger than a pixel."""
        check.between("size", self.size, 2, LARGEST_BLOCK, " pixels")

    def filters(self, fitted: Fitted) -> list[str]:
        """Blocks of even sides, for lights and colours to agree."""
        side = max(2, 2 * round(fitted.scaled(self.size) / 2))
        return fitted.premultiplied(f"pixelize=width={min(side, 1024)}:height={min(side, 1024)}")
