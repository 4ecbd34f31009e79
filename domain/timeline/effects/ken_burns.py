"""A slow move over a picture."""

from domain.ffmpeg.curve import Curve, Easing, Key
from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import Part, part, said

CLOSEST = 10.0


@part
class KenBurnsView(Part):
    """A part of a picture, of the picture's own shape."""

    x: float = said(
        "Its middle from the left, in parts of the picture's width; it is kept within the picture.", default=0.5
    )
    y: float = said(
        "Its middle from the top, in parts of the picture's height; it is kept within the picture.", default=0.5
    )
    zoom: float = said("How much closer than the whole, from 1 to 10.", default=1.0)

    @property
    def corner(self) -> tuple[float, float]:
        """Its upper left corner, in parts of the picture's sides."""
        half = 0.5 / self.zoom
        return min(max(self.x, half), 1 - half) - half, min(max(self.y, half), 1 - half) - half


WHOLE = KenBurnsView()


@Effect.kind
class KenBurns(Effect):
    """The view moves slowly over the picture and closer to it, as Ken Burns' films do with photographs."""

    from_: KenBurnsView = said("What is seen at the clip's first frame.", default=WHOLE)
    to: KenBurnsView = said("What is seen at its last.", default=KenBurnsView(zoom=1.25))
    easing: Easing = said("How it goes from the one to the other.", default=Easing.EASE_IN_OUT)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """Both views are within the picture."""
        for name, view in (("from_", self.from_), ("to", self.to)):
            here = check.at(name)
            here.between("x", view.x, 0, 1)
            here.between("y", view.y, 0, 1)
            here.between("zoom", view.zoom, 1, CLOSEST)

    def filters(self, fitted: Fitted) -> list[str]:
        """By `perspective`, which knows parts of pixels: `zoompan` and `crop` go in steps of whole ones, and shake."""
        shot = fitted.shot
        last = max(shot.clip.length - 1, 1)
        n = f"(on+{shot.first - 1})"  # it counts from 1

        def moved(begin: float, end: float) -> str:
            return Curve.of(begin, [Key(0, begin, self.easing), Key(last, end)]).expression(n)

        (left, top), (left_then, top_then) = self.from_.corner, self.to.corner
        size, size_then = 1 / self.from_.zoom, 1 / self.to.zoom
        west, north = f"W*({moved(left, left_then)})", f"H*({moved(top, top_then)})"
        east, south = (
            f"W*({moved(left + size, left_then + size_then)})",
            f"H*({moved(top + size, top_then + size_then)})",
        )
        corners = zip("0123", ((west, north), (east, north), (west, south), (east, south)), strict=True)
        places = ":".join(f"x{number}='{x}':y{number}='{y}'" for number, (x, y) in corners)
        return fitted.premultiplied(f"perspective={places}:interpolation=cubic:eval=frame")
