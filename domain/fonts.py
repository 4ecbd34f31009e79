"""The fonts that come with us, and how large they are."""

from dataclasses import dataclass
from fractions import Fraction

from domain.ffmpeg.command import Shipped


@dataclass(frozen=True, kw_only=True)
class Face:
    """One weight of a family of fonts."""

    family: str
    is_bold: bool
    file: Shipped
    height: Fraction
    """From the highest to the lowest that it reserves for a line (OS/2 winAscent + winDescent), in ems."""


UNITS_AN_EM = 2048
SANS, SERIF, MONO = "DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"


def _face(family: str, name: str, height: int, sha256: str) -> Face:
    return Face(
        family=family,
        is_bold=name.endswith("-Bold.ttf"),
        file=Shipped(name=name, sha256=sha256),
        height=Fraction(height, UNITS_AN_EM),
    )


FACES = (
    _face(SANS, "DejaVuSans.ttf", 2384, "abdc775b21b1bc470d50c97e790d276f2054b7504e56e5bd3e64f48d68582322"),
    _face(SANS, "DejaVuSans-Bold.ttf", 2384, "0d977336a6d5fba34eab8e3199eb218327161b5143749f802982c2bc34df0c96"),
    _face(SERIF, "DejaVuSerif.ttf", 2384, "13e61509f5c81d7c3132810f4f903e3523df89c802bf6e0674621e8f659cdfe1"),
    _face(SERIF, "DejaVuSerif-Bold.ttf", 2406, "e2fd85eba2de65ac270d1cdb1685e252eb827f600850cf62af2d20c41b22e945"),
    _face(MONO, "DejaVuSansMono.ttf", 2384, "0f5db4f1749979d961019838b160bec74abdf7f9eca69553fe1aa856bbff49a4"),
    _face(MONO, "DejaVuSansMono-Bold.ttf", 2384, "2964f6dac8e6e9d71613928340f17bf868e9ea51692cca333c79e74962f02233"),
)
"""With all that a text may be set in besides fonts of its project."""
FAMILIES = tuple(dict.fromkeys(face.family for face in FACES))


FALLBACK = tuple(face for face in FACES if face.family == SANS)
"""What has the letters that the font of a text lacks. All of it comes along with every text: which of it there is must
not hang on what other texts a span shows."""


def faces(family: str, *, bold: bool) -> tuple[Face, ...]:
    """What a text in this family is set in, the face it is meant to be first.

    The lighter face comes along with the bold one: it has letters that the bold one lacks.
    """
    wanted = [face for face in FACES if face.family == family and face.is_bold <= bold]
    return tuple(sorted(wanted, key=lambda face: face.is_bold != bold))
