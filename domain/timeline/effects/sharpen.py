"""Sharper."""

from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said


@Effect.kind
class Sharpen(Effect):
    """Edges stand out more."""

    keeps_alpha = False

    amount: float = said("By how much, from 0 (not at all) to 3.", default=1.0)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """It lies within its bounds."""
        check.between("amount", self.amount, 0, 3)

    def filters(self, fitted: Fitted) -> list[str]:  # noqa: ARG002 - of every effect
        """Of the lights only: colours would get fringes."""
        return [f"unsharp=luma_msize_x=5:luma_msize_y=5:luma_amount={self.amount:.4f}"]
