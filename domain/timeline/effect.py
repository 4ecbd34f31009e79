"""What can be done to a clip's picture: the base of all effects.

An effect is one class in `domain/timeline/effects/`, declared with `@Effect.kind`: its fields, what makes it sound, and
its filters.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from domain.timeline.checks import Check
from domain.timeline.content import Content, Shot
from domain.timeline.value import Kinds

PREMULTIPLY = "format=yuva444p16", "premultiply=inplace=1"
"""In 16 bits: in 8, it would make even what is opaque a little darker."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A clip's picture once it is fitted: what effects are done to."""

    shot: Shot
    width: int
    height: int
    alpha: bool
    """Whether parts of it may be transparent; then it is YUVA 4:2:0, else YUV 4:2:0, both in BT.709."""

    @property
    def pixels(self) -> str:
        """What FFmpeg calls that."""
        return "yuva420p" if self.alpha else "yuv420p"

    def scaled(self, length: float) -> float:
        """A length in pixels of the canvas, in pixels of this picture."""
        return length * float(self.shot.stage.scale)

    def premultiplied(self, *filters: str) -> list[str]:
        """Filters that mix neighbouring pixels: what cannot be seen has no colour to give to what can."""
        if not self.alpha:
            return list(filters)
        return [*PREMULTIPLY, *filters, "unpremultiply=inplace=1", "format=yuva420p"]

    def in_rgb(self, *filters: str) -> list[str]:
        """Filters that want red, green and blue, and the way there and back."""
        there = "scale=in_color_matrix=bt709:in_range=tv", f"format={'gbrap' if self.alpha else 'gbrp'}"
        back = "scale=out_color_matrix=bt709:out_range=tv", f"format={self.pixels}"
        return [*there, *filters, *back]


class Effect(Kinds):
    """Something done to a clip's picture once it is fitted, in the order of the list."""

    makes_alpha: ClassVar[bool] = False
    """Whether it makes parts of the picture transparent."""
    keeps_alpha: ClassVar[bool] = True
    """Whether it knows of transparency; if not, what was transparent before is so after it, and it need not care."""

    def problems(self, check: Check, content: Content) -> None:
        """Say everything that is wrong with it, on a clip with this content."""
        raise NotImplementedError

    def filters(self, fitted: Fitted) -> list[str]:
        """The filters that do it. They keep size, number of frames and pixel format.

        Frames come numbered from 0 (`n`); `fitted.shot.now` is the number within the clip, and the only thing that may
        change what is done to a frame. So no filter will do that remembers the frames before.
        """
        raise NotImplementedError

    def applied(self, link: str, fitted: Fitted) -> str:
        """Add it to the graph; return the link that comes out."""
        graph = fitted.shot.graph
        if self.keeps_alpha or not fitted.alpha:
            return self.done(link, fitted)
        picture, alpha = graph.fork("split", links=[link], outputs=2)
        alpha = graph.chain("alphaextract", links=[alpha])
        opaque = graph.chain("format=yuv420p", links=[picture])
        return graph.chain("alphamerge", links=[self.done(opaque, replace(fitted, alpha=False)), alpha])

    def done(self, link: str, fitted: Fitted) -> str:
        """Do it: by its filters in a row, if it is not more than that."""
        return fitted.shot.graph.chain(*self.filters(fitted), links=[link])
