"""Lines of text."""

from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Picture, Shot
from domain.timeline.lettering import Lettering, Showing, TextPosition, TextStyle, size_problems, wrong_text
from domain.timeline.rules import fade_problems
from domain.timeline.value import said

_PLAIN = TextStyle()


@Content.kind
class Text(Content):
    """Lines of text; they break at newlines, and where they would get too wide."""

    is_media = False

    text: str = said("What it says; lines break at newlines.")
    length: int = said("For how many frames.")
    size: int = said("How large letters are: the side of their square (the em), in pixels of the canvas.")
    color: str = said("As #rrggbb.", default="#ffffff")
    position: TextPosition = said("Where on the canvas.", default=TextPosition.CENTER)
    style: TextStyle = said("How letters look, and where lines break.", default=_PLAIN)
    fade_in: int = said("Over how many frames it appears.", default=0)
    fade_out: int = said("Over how many frames it disappears.", default=0)

    @property
    def fades(self) -> tuple[int, int]:
        """As it says."""
        return self.fade_in, self.fade_out

    def problems(self, check: Check, sources: Lengths) -> None:
        """It says something, in a size and a colour that can be seen."""
        if wrong := wrong_text(self.text):
            check.at("text").wrong(wrong)
        size_problems(check, self.size)
        check.color("color", self.color)
        self.style.problems(check.at("style"))
        check.at_least("length", self.length, 1)
        fade_problems(check, self.fade_in, self.fade_out, self.lasts(sources))

    def lasts(self, sources: Lengths) -> int:  # noqa: ARG002 - of every content
        """As long as it says."""
        return self.length

    def picture(self, shot: Shot) -> Picture:
        """Drawn once; whoever fits it holds it then."""
        return self._lettering.picture(shot, [Showing(0, 1, self.text)], moves=False)

    def drawn(self, shot: Shot, below: str, at: int) -> str | None:
        """Straight onto what lies below."""
        return self._lettering.drawn(shot, below, at, [Showing(0, shot.count, self.text)])

    @property
    def _lettering(self) -> Lettering:
        return Lettering(size=self.size, color=self.color, position=self.position, style=self.style)
