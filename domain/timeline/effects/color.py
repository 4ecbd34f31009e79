"""Light and colour."""

from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said

MOST = 4.0
"""The largest factor."""
LEAST_GAMMA, MOST_GAMMA = 0.1, 10.0
WARMTH = 0.2
"""By how much a temperature of 1 strengthens red over green, and green over blue."""


@Effect.kind
class Color(Effect):
    """Other light, other colours. By default each value does nothing; a saturation of 0 is black and white."""

    brightness: float = said("Lighter above 0, darker below; from -1 (black) to 1 (white).", default=0.0)
    contrast: float = said("A factor on the distance of everything from middle grey, from 0 to 4.", default=1.0)
    saturation: float = said("A factor on the strength of colours, from 0 to 4.", default=1.0)
    temperature: float = said("Warmer (more orange) above 0, colder (more blue) below; from -1 to 1.", default=0.0)
    gamma: float = said("Above 1, the darker parts become lighter; below, darker; from 0.1 to 10.", default=1.0)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """Each lies within its bounds."""
        for name, least, most in (
            ("brightness", -1, 1),
            ("contrast", 0, MOST),
            ("saturation", 0, MOST),
            ("temperature", -1, 1),
            ("gamma", LEAST_GAMMA, MOST_GAMMA),
        ):
            check.between(name, getattr(self, name), least, most)

    def filters(self, fitted: Fitted) -> list[str]:
        """A table for each plane, which costs next to nothing; only the temperature needs red, green and blue."""
        warmed: list[str] = []
        if self.temperature:
            red, blue = 1 + WARMTH * self.temperature, 1 - WARMTH * self.temperature
            light = 0.2126 * red + 0.7152 + 0.0722 * blue  # kept as it is
            gains = f"colorchannelmixer=rr={red / light:.6f}:gg={1 / light:.6f}:bb={blue / light:.6f}"
            warmed = fitted.in_rgb(gains)
        light = f"clip(((val-16)/219-0.5)*{self.contrast:.6f}+0.5+({self.brightness:.6f}),0,1)"
        strength = f"round((val-128)*{self.contrast * self.saturation:.6f}+128)"
        return [
            *warmed,
            f"lutyuv=y='round(16+219*pow({light},{1 / self.gamma:.6f}))':u='{strength}':v='{strength}'",
        ]
