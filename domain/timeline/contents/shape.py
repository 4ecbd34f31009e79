"""A rectangle or an ellipse."""

import math

from domain.entity import Worded
from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Picture, Shot
from domain.timeline.value import said

LARGEST_SHAPE = 4096
LARGEST_DRAWN = 4096
"""The longest side that is drawn pixel by pixel, which takes its time; what is larger is scaled up."""
LARGEST_SHOWN = 8192
"""The longest side on the stage, whose own are half of that at most. FFmpeg knows no pictures that are much larger."""


class ShapeForm(Worded):
    """What is drawn."""

    RECTANGLE = "RECTANGLE", "A rectangle, perhaps with round corners."
    ELLIPSE = "ELLIPSE", "An ellipse; a circle where both sides are alike."


@Content.kind
class Shape(Content):
    """A rectangle or an ellipse, in its own size: it is not fitted to the canvas."""

    is_media = False

    form: ShapeForm = said("What is drawn.", default=ShapeForm.RECTANGLE)
    width: int = said("In pixels of the canvas.")
    height: int = said("In pixels of the canvas.")
    length: int = said("For how many frames.")
    fill: str = said("What it is filled with, as #rrggbb or, see-through, #rrggbbaa.", default="#ffffff")
    stroke: str = said("The colour of its edge, as #rrggbb or #rrggbbaa.", default="#000000")
    stroke_width: float = said("How broad its edge is, inwards, in pixels of the canvas; 0 for none.", default=0.0)
    radius: float = said("Of a rectangle's corners, in pixels of the canvas.", default=0.0)

    def problems(self, check: Check, sources: Lengths) -> None:  # noqa: ARG002 - of every content
        """It can be drawn, and is seen."""
        check.at_least("length", self.length, 1)
        for name in ("width", "height"):
            check.between(name, getattr(self, name), 1, LARGEST_SHAPE, " pixels")
        for name in ("fill", "stroke"):
            check.color(name, getattr(self, name), alpha=True)
        for name in ("stroke_width", "radius"):
            check.between(name, getattr(self, name), 0, LARGEST_SHAPE, " pixels")

    def lasts(self, sources: Lengths) -> int:  # noqa: ARG002 - of every content
        """As long as it says."""
        return self.length

    def picture(self, shot: Shot) -> Picture:
        """One frame: its left upper quarter drawn pixel by pixel, the rest is mirrored."""
        longest = max(self.width, self.height)
        shown = min(float(shot.stage.scale), LARGEST_SHOWN / longest)
        scale = min(shown, LARGEST_DRAWN / longest)
        width, height = self.width * scale, self.height * scale
        across, down = math.ceil(width / 2), math.ceil(height / 2)
        planes = self._planes(width, height, scale)
        drawn = ":".join(f"{name}='{plane}'" for name, plane in zip("rgba", planes, strict=True))
        link = shot.graph.chain(
            f"color=black:s={across}x{down}:r={shot.rate}",
            "trim=end_frame=1",
            "format=gbrap",
            f"geq={drawn}",
            f"pad={2 * across}:{2 * down}",
            f"fillborders=right={across}:bottom={down}:mode=mirror",
        )
        wide, high = 2 * across, 2 * down
        if shown > scale:
            wide, high = (2 * math.ceil(side * shown / 2) for side in (self.width, self.height))
            link = shot.graph.chain(f"scale={wide}:{high}", links=[link])
        return Picture(link=link, width=wide, height=high, alpha=True, still=True, own_size=True)

    def _planes(self, width: float, height: float, scale: float) -> list[str]:
        """What each pixel is, in red, green, blue and alpha: an edge over a filling, each as much of it as it covers.

        What is not seen has a colour too, that of the edge: pixels are mixed with their neighbours in scaling.
        """
        fill, stroke, edge = _parts(self.fill), _parts(self.stroke), self.stroke_width * scale
        whole = self._covered(width, height, scale)
        if not edge:
            return [*map(str, fill[:3]), f"255*{fill[3]:.6f}*{whole}"]
        within = self._covered(width, height, scale, inset=edge)
        inner, outer = f"st(0,{fill[3]:.6f}*{within})", f"st(1,{stroke[3]:.6f}*({whole}-{within}))"
        color = f"{inner};{outer};({{}}*ld(0)+{{}}*(ld(1)+0.000001))/(ld(0)+ld(1)+0.000001)"
        return [
            *(color.format(one, other) for one, other in zip(fill[:3], stroke[:3], strict=True)),
            f"{inner};{outer};255*(ld(0)+ld(1))",
        ]

    def _covered(self, width: float, height: float, scale: float, *, inset: float = 0) -> str:
        """How much of the pixel at X, Y the shape covers, made smaller all around: half of one on its edge."""
        across, down = width / 2 - inset, height / 2 - inset
        if across <= 0 or down <= 0:
            return "0"
        x, y = f"({math.ceil(width / 2)}-0.5-X)", f"({math.ceil(height / 2)}-0.5-Y)"  # from the middle
        if self.form is ShapeForm.ELLIPSE:
            near = f"hypot({x}/{across:.6f},{y}/{down:.6f})"
            slope = f"hypot({x}/{across**2:.6f},{y}/{down**2:.6f})"
            return f"clip(0.5-{near}*({near}-1)/max({slope},0.000001),0,1)"
        radius = max(min(self.radius * scale, width / 2, height / 2) - inset, 0)
        x, y = f"({x}-{across - radius:.6f})", f"({y}-{down - radius:.6f})"
        if not radius:
            return f"clip(0.5-{x},0,1)*clip(0.5-{y},0,1)"
        return f"clip({radius:.6f}+0.5-hypot(max({x},0),max({y},0))-min(max({x},{y}),0),0,1)"


def _parts(color: str) -> tuple[int, int, int, float]:
    """Red, green, blue of 255, and how opaque it is."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue, int(color[7:] or "ff", 16) / 255
