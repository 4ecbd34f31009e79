"""ASS, the format of styled subtitles, as far as we write it ourselves: styles, and lines shown over some frames.

ASS tells times in hundredths of a second, on which the frames of most rates do not fall. So the frames that are drawn
on are counted as if there were ten a second (`filters`), and a line comes and goes in the middle between two of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from domain.ffmpeg.graph import counted, quoted

FRAME = 100
"""What a frame lasts meanwhile, in milliseconds."""
BEFORE = FRAME // 2
"""How long before its first frame a line comes, in milliseconds."""
WORD_JOINER = "\u2060"
"""Takes no room. Behind a backslash it keeps the two from being read as a command."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How lines look. Lengths are in pixels of the document."""

    name: str
    font: str
    size: float
    """Of a whole line, from its highest to its lowest."""
    fill: str
    """Colours are as `color` says them."""
    edge: str
    shade: str
    """Of the shadow, or of the box."""
    bold: bool
    italic: bool
    in_box: bool
    outline: float
    shadow: float
    """How far a shadow falls, or how much larger the box is."""
    alignment: int
    """The place of a key on the pad of a keyboard: 1 is left below."""
    margin: int
    """Left and right, which lines do not go beyond."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something shown in a style from a frame on, up to the frame `end`."""

    first: int
    end: int
    layer: int
    """Higher ones lie above lower ones."""
    style: str
    text: str
    """Escaped, with commands in braces."""


_STYLES = (
    "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    "BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding"
)
_LINES = "Format: Layer, Start, End, Style, Text"


def document(width: int, height: int, styles: Sequence[Style], lines: Sequence[Line], *, on_rgb: bool = False) -> str:
    """Write it down, for a picture whose lengths are told in these pixels: of YUV in BT.709, or of RGB.

    The filter takes colours to be meant as the document says, whatever the picture says of itself; where the document
    says nothing, to be meant for BT.601.
    """
    return "\n".join(
        [
            "[Script Info]",
            "ScriptType: v4.00+",
            f"PlayResX: {width}",
            f"PlayResY: {height}",
            "WrapStyle: 0",
            "ScaledBorderAndShadow: yes",
            f"YCbCr Matrix: {'None' if on_rgb else 'TV.709'}",
            "",
            "[V4+ Styles]",
            _STYLES,
            *(_style(each) for each in styles),
            "",
            "[Events]",
            _LINES,
            *(_line(each) for each in lines),
            "",
        ]
    )


def filters(name: str, fonts: str, rate: Fraction) -> list[str]:
    """Draw a document onto a stream of frames, the first of which is frame 0 of its lines.

    `fonts` is the folder of those it is set in. Of all that lie there the best fit is taken, whatever its file is
    called: there should be no others.
    """
    return ["settb=1/10,setpts=N+1", f"ass=filename={quoted(name)}:fontsdir={quoted(fonts)}", counted(rate)]


def escaped(text: str) -> str:
    """A text as it is, whatever it looks like: no command in it is one."""
    return r"\N".join(_escaped(line.expandtabs(4)) for line in text.splitlines())


def _escaped(text: str) -> str:
    """Spaces at the start count; an empty line is as high as the others."""
    rest = text.lstrip(" ")
    spaces = r"\h" * (len(text) - len(rest))
    rest = re.sub(r"\\(?=[Nnh{}\\]|$)", rf"\\{WORD_JOINER}", rest).replace("{", r"\{").replace("}", r"\}")
    return spaces + rest or r"\h"


def color(value: str, opacity: float = 1.0) -> str:
    """A colour, given as #rrggbb or #rrggbbaa: the other way round, and by how much it lets through."""
    red, green, blue, alpha = value[1:3], value[3:5], value[5:7], value[7:9] or "ff"
    return f"&H{255 - round(int(alpha, 16) * opacity):02X}{blue}{green}{red}".upper()


def placed(x: float, y: float) -> str:
    """The command that puts a line's alignment at a place, where no other line pushes it away."""
    return rf"\pos({number(x)},{number(y)})"


def fade(first: int, *, fade_in: tuple[int, int] | None, fade_out: tuple[int, int] | None) -> str:
    """The command that fades a line which comes at frame `first`; each fade is a frame and a number of frames.

    Of those it fades in over, the first frame shows nothing yet; the frame after those it fades out over, nothing more.
    """

    def times(fade: tuple[int, int]) -> tuple[int, int]:
        begin = (fade[0] - first) * FRAME + BEFORE
        return begin, begin + fade[1] * FRAME

    in_from, in_to = times(fade_in) if fade_in else (0, 0)
    out_from, out_to = times(fade_out) if fade_out else (in_to, in_to)
    clear = 255
    return rf"\fade({clear if fade_in else 0},0,{clear if fade_out else 0},{in_from},{in_to},{out_from},{out_to})"


def number(value: float) -> str:
    """As short as it can be said to a thousandth of a pixel."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _style(style: Style) -> str:
    values = (
        style.name,
        style.font,
        number(style.size),
        style.fill,
        style.fill,
        style.edge,
        style.shade,
        -style.bold,
        -style.italic,
        4 if style.in_box else 1,
        number(style.outline),
        number(style.shadow),
        style.alignment,
        style.margin,
        style.margin,
        0,
        -1,  # which way a line is read is told from its letters
    )
    return "Style: " + ",".join(str(value) for value in values)


def _line(line: Line) -> str:
    return f"Dialogue: {line.layer},{_time(line.first)},{_time(line.end)},{line.style},{line.text}"


def _time(frame: int) -> str:
    """The moment between a frame and the one before it."""
    hundredths = ((frame + 1) * FRAME - BEFORE) // 10
    minutes, hundredths = divmod(hundredths, 6_000)
    return f"{minutes // 60}:{minutes % 60:02}:{hundredths // 100:02}.{hundredths % 100:02}"
