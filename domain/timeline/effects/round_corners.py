"""Corners cut off in a curve."""

from domain.ffmpeg.picture import still
from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said


@Effect.kind
class RoundCorners(Effect):
    """The picture's corners become round; with a large radius, a square picture becomes a disc."""

    makes_alpha = True

    radius: float = said("Of the corners, in pixels of the canvas; at most half the shorter side counts.", default=24.0)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """It is one."""
        check.between("radius", self.radius, 0, 4096, " pixels")

    def done(self, link: str, fitted: Fitted) -> str:
        """By a mask that is drawn once; what was transparent before stays so."""
        graph, shot = fitted.shot.graph, fitted.shot
        across, down = fitted.width / 2, fitted.height / 2
        radius = min(fitted.scaled(self.radius), across, down)
        x, y = (f"(abs({at}+0.5-{half})-{half - radius:.4f})" for at, half in (("X", across), ("Y", down)))
        mask = graph.chain(
            f"color=black:s={fitted.width}x{fitted.height}:r={shot.rate}",
            "trim=end_frame=1",
            "format=gray",
            f"geq=lum='255*clip({radius:.4f}+0.5-hypot(max({x},0),max({y},0))-min(max({x},{y}),0),0,1)'",
            *still(shot.count, shot.rate),
        )
        picture, before = graph.fork("split", links=[link], outputs=2)
        before = graph.chain("alphaextract", links=[before])
        alpha = graph.chain("blend=all_mode=multiply", links=[before, mask])
        return graph.chain("alphamerge", links=[picture, alpha])
