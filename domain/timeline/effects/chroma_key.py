"""A colour becomes transparent."""

from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said


@Effect.kind
class ChromaKey(Effect):
    """A colour becomes transparent: what stood before a green screen stands before what lies below."""

    makes_alpha = True

    color: str = said("The colour of the screen, as #rrggbb.", default="#00b140")
    similarity: float = said("How unlike the colour a pixel may be and still go, from 0.00001 to 1.", default=0.15)
    blend: float = said("How softly what goes gives way to what stays, from 0 (sharp) to 1.", default=0.05)
    spill: float = said("How much of a green or blue screen's glow is taken off what stays, from 0 to 1.", default=0.5)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """The colour is one, and the numbers are within their bounds."""
        check.color("color", self.color)
        check.between("similarity", self.similarity, 0.00001, 1)
        check.between("blend", self.blend, 0, 1)
        check.between("spill", self.spill, 0, 1)

    def filters(self, fitted: Fitted) -> list[str]:  # noqa: ARG002 - of every effect
        """The filter is told the colour in YUV: from RGB it would reckon by BT.601, and miss."""
        red, green, blue = self._rgb
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        parts = 16 + 219 * light, 128 + 224 * (blue - light) / 1.8556, 128 + 224 * (red - light) / 1.5748
        color = "".join(f"{round(part):02x}" for part in parts)
        return [f"chromakey=color=0x{color}:yuv=1:similarity={self.similarity:.5f}:blend={self.blend:.4f}"]

    def done(self, link: str, fitted: Fitted) -> str:
        """What was transparent before stays so: the filter by itself would forget it."""
        graph = fitted.shot.graph
        picture, keyed = graph.fork("split", links=[link], outputs=2)
        picture, before = graph.fork("split", links=[picture], outputs=2)
        after = graph.chain(*self.filters(fitted), "alphaextract", links=[keyed])
        before = graph.chain("alphaextract", links=[before])
        if despill := self._despill():
            picture = graph.chain(*fitted.in_rgb(despill), links=[picture])
        alpha = graph.chain("blend=all_mode=multiply", links=[before, after])
        return graph.chain("alphamerge", links=[picture, alpha])

    @property
    def _rgb(self) -> tuple[float, ...]:
        return tuple(int(self.color[at : at + 2], 16) / 255 for at in (1, 3, 5))

    def _despill(self) -> str | None:
        red, green, blue = self._rgb
        screen = "green" if green > max(red, blue) else "blue" if blue > max(red, green) else None
        return f"despill=type={screen}:{screen}={-self.spill:g}" if screen and self.spill else None
