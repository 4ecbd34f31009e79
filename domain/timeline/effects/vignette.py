"""Darker towards the corners."""

from domain.ffmpeg.picture import still
from domain.timeline.checks import Check
from domain.timeline.content import Content
from domain.timeline.effect import Effect, Fitted
from domain.timeline.value import said


@Effect.kind
class Vignette(Effect):
    """The picture becomes darker towards its corners."""

    keeps_alpha = False

    strength: float = said("How dark the corners become, from 0 (not at all) to 1 (black).", default=0.6)

    def problems(self, check: Check, content: Content) -> None:  # noqa: ARG002 - of every effect
        """It lies within its bounds."""
        check.between("strength", self.strength, 0, 1)

    def done(self, link: str, fitted: Fitted) -> str:
        """A shade, drawn once and laid over each frame: FFmpeg's own filter dithers, another way in each frame."""
        graph, shot = fitted.shot.graph, fitted.shot
        away = "min(1,(pow(2*(X+0.5)/W-1,2)+pow(2*(Y+0.5)/H-1,2))/2)"  # 0 in the middle, 1 in the corners
        shade = graph.chain(
            f"color=black:s={fitted.width}x{fitted.height}:r={shot.rate}",
            "trim=end_frame=1",
            "format=yuva420p",
            f"geq=lum=16:cb=128:cr=128:a='255*{self.strength:.4f}*pow({away},1.5)'",
            *still(shot.count, shot.rate),
        )
        return graph.chain("overlay=eof_action=pass", links=[link, shade])
