"""How texts look, and how they are drawn: what titles and captions share."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from domain import ass
from domain.entity import Worded
from domain.ffmpeg.graph import Graph, counted
from domain.ffmpeg.picture import colored, still
from domain.ffmpeg.stage import Stage
from domain.fonts import FALLBACK, FAMILIES, SANS, faces
from domain.media import MediaKind
from domain.timeline.checks import Check
from domain.timeline.content import Picture, Shot
from domain.timeline.value import AssetId, Part, part, said

SMALLEST_TEXT, LARGEST_TEXT = 4, 2_000
LARGEST_DRAWN = 8_192
"""In pixels of the stage, whose sides are half of that at most. Larger letters take more memory than a worker has."""
MOST_CHARACTERS, MOST_LINES = 5_000, 50
WIDEST_STROKE, WIDEST_BLUR, FARTHEST_SHADOW, WIDEST_PADDING = 100, 100, 500, 500


class TextPosition(Worded):
    """Where a text stands on the canvas, from top to bottom."""

    TOP = "TOP", "Its margin below the upper edge."
    CENTER = "CENTER", "In the middle."
    BOTTOM = "BOTTOM", "Its margin above the lower edge."


class TextAlignment(Worded):
    """Where lines begin and end."""

    LEFT = "LEFT", "They begin at the left."
    CENTER = "CENTER", "Each is in the middle."
    RIGHT = "RIGHT", "They end at the right."


class TextWeight(Worded):
    """How heavy letters are."""

    REGULAR = "REGULAR", "As the font is."
    BOLD = "BOLD", "Heavier: the font's own bold letters, or made so where it has none."


@part
class TextStroke(Part):
    """A line around every letter."""

    width: float = said("In pixels of the canvas.")
    color: str = said("As #rrggbb.", default="#000000")


@part
class TextShadow(Part):
    """What letters cast."""

    x: float = said("How far to the right it falls, in pixels of the canvas.", default=2.0)
    y: float = said("How far down it falls, in pixels of the canvas.", default=2.0)
    blur: float = said("How soft its edges are, in pixels of the canvas.", default=0.0)
    color: str = said("As #rrggbb or #rrggbbaa.", default="#000000aa")


@part
class TextBox(Part):
    """A rectangle behind the whole text."""

    color: str = said("As #rrggbb or #rrggbbaa.", default="#000000aa")
    padding: float = said("How far it goes beyond the text, in pixels of the canvas.", default=8.0)


@part
class TextStyle(Part):
    """How letters look, and where lines break."""

    font: str = said(f"A family of fonts: {', '.join(FAMILIES[:-1])} or {FAMILIES[-1]}.", default=SANS)
    font_id: AssetId | None = said("A font of the project, which is used instead; null for none.", default=None)
    weight: TextWeight = said("How heavy letters are.", default=TextWeight.REGULAR)
    italic: bool = said("Whether letters are slanted.", default=False)
    alignment: TextAlignment = said("Where lines begin and end.", default=TextAlignment.CENTER)
    stroke: TextStroke | None = said("A line around every letter; null for none.", default=None)
    shadow: TextShadow | None = said("What letters cast; null for nothing.", default=None)
    box: TextBox | None = said("A rectangle behind the text; null for none.", default=None)
    max_width: float = said("How wide lines get before they wrap, in parts of the canvas' width.", default=1.0)
    margin: float = said("How far it stands from the upper or lower edge, in parts of the canvas' height.", default=0.1)

    def problems(self, check: Check) -> None:
        """The font is there, and lengths and colours are such."""
        if self.font not in FAMILIES:
            check.at("font").wrong(f"there is no font {self.font[:80]!r}; there are {', '.join(FAMILIES)}")
        if self.font_id is not None:
            check.asset(self.font_id, MediaKind.FONT, field="font_id")
        check.between("max_width", self.max_width, 0.05, 1)
        check.between("margin", self.margin, 0, 0.5)
        if self.stroke:
            here = check.at("stroke")
            here.between("width", self.stroke.width, 0, WIDEST_STROKE, " pixels")
            here.color("color", self.stroke.color)
        if self.shadow:
            here = check.at("shadow")
            here.between("x", self.shadow.x, -FARTHEST_SHADOW, FARTHEST_SHADOW, " pixels")
            here.between("y", self.shadow.y, -FARTHEST_SHADOW, FARTHEST_SHADOW, " pixels")
            here.between("blur", self.shadow.blur, 0, WIDEST_BLUR, " pixels")
            here.color("color", self.shadow.color, alpha=True)
        if self.box:
            here = check.at("box")
            here.between("padding", self.box.padding, 0, WIDEST_PADDING, " pixels")
            here.color("color", self.box.color, alpha=True)


def wrong_text(text: str) -> str | None:
    """Say why a text cannot be shown; None if it can."""
    if not text.strip():
        return "it is empty"
    if len(text) > MOST_CHARACTERS:
        return f"{len(text)} characters are more than the {MOST_CHARACTERS} allowed"
    if any(unicodedata.category(each) in {"Cc", "Cs"} and each not in "\r\n\t" for each in text):
        return "it contains control characters"
    if len(text.splitlines()) > MOST_LINES:
        return f"{len(text.splitlines())} lines are more than the {MOST_LINES} allowed"
    return None


def size_problems(check: Check, size: int) -> None:
    """What is wrong with the size of letters."""
    if not SMALLEST_TEXT <= size <= LARGEST_TEXT:
        check.at("size").wrong(f"it must be {SMALLEST_TEXT} to {LARGEST_TEXT} pixels, not {size}")


@dataclass(frozen=True)
class Showing:
    """A text that is shown from a frame on, up to the frame `end`."""

    first: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Lettering:
    """Texts in one look and place. Drawn by libass, which knows every script and both ways of writing."""

    size: int
    color: str
    position: TextPosition
    style: TextStyle

    def drawn(self, shot: Shot, below: str, at: int, showings: Sequence[Showing]) -> str | None:
        """Draw texts (by the shot's frames) onto what lies below, as the clip fades; None where it cannot be right.

        Which of the two ways is taken hangs on the clip alone, never on the shot: they differ in how they round.
        """
        clip = shot.clip
        if clip.fade_in or clip.fade_out:
            return None  # it may have to be a whole picture, between which and another a transition is
        if any(clip.fades) and (self.style.shadow or self.style.box or sum(clip.fades) > clip.length):
            return None  # what lies behind the letters would shine through them
        if not showings:
            return below
        moved = [Showing(each.first + at, each.end + at, each.text) for each in showings]
        drawing = self._drawing(shot.graph, shot.stage, moved, fades=_fades(shot, at))
        return shot.graph.chain(*drawing, links=[below])

    def picture(self, shot: Shot, showings: Sequence[Showing], *, moves: bool) -> Picture:
        """Draw texts (by the shot's frames) on nothing; what does not move is a single frame.

        They are drawn over black and over white: what differs is what shows through, and what is drawn over black,
        divided by what does not, is the colour. So soft edges, half transparent boxes and shadows are exact, which
        the filter itself does not achieve on a transparent picture. What is transparent altogether has the colour of
        the edges, so that they do not darken when they are scaled.
        """
        graph, stage = shot.graph, shot.stage
        held = still(shot.count, stage.rate) if moves else []
        if showings:
            drawing = self._drawing(graph, stage, showings, on_rgb=True)
            black, white = (graph.chain(colored(each, stage), *held, *drawing) for each in ("#000000", "#ffffff"))
            link = _cut_out(graph, black, white, graph.chain(colored(self._edge, stage), *held, counted(stage.rate)))
        else:
            link = graph.chain(colored(self.color, stage, opacity=0), *held)
        return Picture(link=link, width=stage.width, height=stage.height, alpha=True, still=not moves, fills_stage=True)

    @property
    def _edge(self) -> str:
        """The colour that it ends in."""
        outermost = self.style.box or (self.style.stroke if self.style.stroke and self.style.stroke.width else None)
        return outermost.color if outermost else self.color

    def _drawing(
        self,
        graph: Graph,
        stage: Stage,
        showings: Sequence[Showing],
        fades: "Fades | None" = None,
        *,
        on_rgb: bool = False,
    ) -> list[str]:
        """Write texts beside the command, and ask for their fonts; return the filters that draw them."""
        style = self.style
        width, height = round(stage.width / stage.scale), round(stage.height / stage.scale)
        side = round(width * (1 - style.max_width) / 2)
        x = {TextAlignment.LEFT: side, TextAlignment.CENTER: width / 2, TextAlignment.RIGHT: width - side}
        margin = style.margin * height
        y = {TextPosition.TOP: margin, TextPosition.CENTER: height / 2, TextPosition.BOTTOM: height - margin}
        place = ass.placed(x[style.alignment], y[self.position])
        font = self._font(graph, stage)
        styles = self._styles(font, min(self.size, LARGEST_DRAWN / float(stage.scale)), side)
        shadow, cast = style.shadow, ""
        if shadow:
            nearest = 0.05  # nothing at all would be no shadow
            fall = rf"\xshad{ass.number(shadow.x or nearest)}\yshad{ass.number(shadow.y or nearest)}"
            cast = rf"{fall}\blur{ass.number(shadow.blur)}"
        lines = [
            ass.Line(
                first=each.first,
                end=each.end,
                layer=layer,
                style=look.name,
                text=f"{{{place}{cast if look.name == 'shadow' else ''}{fades.said(each.first) if fades else ''}}}"
                f"{ass.escaped(each.text)}",
            )
            for each in showings
            for layer, look in enumerate(styles)
        ]
        name = graph.write(ass.document(width, height, styles, lines, on_rgb=on_rgb), "ass")
        return ass.filters(name, font.folder, stage.rate)

    def _styles(self, font: "Font", size: float, side: int) -> list[ass.Style]:
        """The text, above its shadow, above its box: each is the whole text again, of which only that part shows."""
        style = self.style
        stroke = style.stroke or TextStroke(width=0)

        def look(name: str, shade: str, visible: float, *, in_box: bool = False, shadow: float = 0) -> ass.Style:
            return ass.Style(
                name=name,
                font=font.family,
                size=size * font.height,
                fill=ass.color(self.color, visible),
                edge=ass.color(stroke.color, visible),
                shade=ass.color(shade),
                bold=style.weight is TextWeight.BOLD,
                italic=style.italic,
                in_box=in_box,
                outline=stroke.width,
                shadow=shadow,
                alignment=_KEYS[self.position, style.alignment],
                margin=side,
            )

        looks: list[ass.Style] = []
        if style.box:
            looks.append(look("box", style.box.color, 0, in_box=True, shadow=style.box.padding))
        if style.shadow:
            # Letters that are not seen at all cast none; these are hidden by those that are drawn over them.
            looks.append(look("shadow", style.shadow.color, 1 / 255))
        return [*looks, look("text", "#000000", 1)]

    def _font(self, graph: Graph, stage: Stage) -> "Font":
        """Ask for the font's files: in a folder that no other font shares, since it is picked by its name there."""
        style = self.style
        for face in FALLBACK:
            graph.need(f"fallback/{face.file.name}", face.file)
        if style.font_id:
            own = stage.sources[style.font_id]
            facts, folder = own.facts, f"fonts/{own.original.key[:16]}"
            graph.need(f"{folder}/font", own.original)
            return Font(folder=folder, family=facts.font_family or "", height=facts.font_height or 1.0)
        found = faces(style.font, bold=style.weight is TextWeight.BOLD)
        folder = f"fonts/{found[0].file.name.removesuffix('.ttf')}"
        for face in found:
            graph.need(f"{folder}/{face.file.name}", face.file)
        return Font(folder=folder, family=style.font, height=float(found[0].height))


@dataclass(frozen=True, kw_only=True)
class Font:
    """What letters are taken from."""

    folder: str
    """Where its files lie, and no others."""
    family: str
    height: float
    """Of a line, in ems."""


@dataclass(frozen=True)
class Fades:
    """The fades of a clip that show in a shot: the frame each begins at, and over how many it goes."""

    fade_in: tuple[int, int] | None
    fade_out: tuple[int, int] | None

    def said(self, first: int) -> str:
        """As a command of a line that comes at this frame."""
        return ass.fade(first, fade_in=self.fade_in, fade_out=self.fade_out)


def _fades(shot: Shot, at: int) -> Fades | None:
    """What shows of a clip's fades in a shot whose first frame is frame `at`."""
    fade_in, fade_out = shot.clip.fades
    start = at - shot.first
    begin = shot.clip.length - fade_out
    shown = Fades(
        fade_in=(start, fade_in) if shot.first < fade_in else None,
        fade_out=(start + begin, fade_out) if fade_out and shot.first + shot.count > begin else None,
    )
    return shown if shown.fade_in or shown.fade_out else None


def _cut_out(graph: Graph, black: str, white: str, edge: str) -> str:
    """The picture that is seen over black and over white; where nothing is, its colour is that of the edge."""
    over, other = graph.fork("split", links=[black], outputs=2)
    alphas = graph.fork("blend=all_mode=subtract", "negate", "split=3", links=[white, over], outputs=3)
    colors = graph.chain("blend=all_mode=divide", links=[other, alphas[0]])
    anything = "'if(val,255,0)'"
    mask = graph.chain(f"lutrgb=r={anything}:g={anything}:b={anything}", links=[alphas[1]])
    whole = graph.chain("maskedmerge", links=[edge, colors, mask])
    alpha = graph.chain("extractplanes=g", links=[alphas[2]])
    return graph.chain("alphamerge", links=[whole, alpha])


_ROWS = {TextPosition.BOTTOM: 0, TextPosition.CENTER: 3, TextPosition.TOP: 6}
_COLUMNS = {TextAlignment.LEFT: 1, TextAlignment.CENTER: 2, TextAlignment.RIGHT: 3}
_KEYS = {(row, column): _ROWS[row] + _COLUMNS[column] for row in _ROWS for column in _COLUMNS}
