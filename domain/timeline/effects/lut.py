"""Colours by a table."""

from domain.media import MediaKind
from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import AssetId, said


@Effect.kind
class Lut(Effect):
    """Each colour becomes another one, by a look-up table: a .cube file, as colour grading programs write them."""

    asset_id: AssetId = said("The table.")
    strength: float = said("How much of it is seen, from 0 (nothing) to 1.", default=1.0)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """It is a table."""
        check.asset(self.asset_id, MediaKind.LUT)
        check.between("strength", self.strength, 0, 1)

    def filters(self, fitted: Fitted) -> list[str]:
        """In red, green and blue, for which the tables are made."""
        text = fitted.shot.stage.sources[self.asset_id].text
        if text is None:
            raise ValueError("a look-up table without its text cannot be applied")
        name = fitted.shot.graph.write(text, "cube")
        filter_ = "lut1d" if "LUT_1D_SIZE" in text else "lut3d"
        return fitted.in_rgb(f"{filter_}=file={name}")

    def done(self, link: str, fitted: Fitted) -> str:
        """Mixed with the picture as it was."""
        if self.strength == 1:
            return super().done(link, fitted)
        graph = fitted.shot.graph
        before, after = graph.fork("split", links=[link], outputs=2)
        after = super().done(after, fitted)
        mixed = f"blend=all_mode=normal:all_opacity={self.strength:g}"
        return graph.chain(mixed, f"format={fitted.pixels}", links=[after, before])
