"""The fonts that come with us."""

import hashlib
from fractions import Fraction
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from domain.fonts import FACES, FALLBACK, FAMILIES, Face, faces
from tasks.ffmpeg import FONT

FOLDER = FONT.parent


def test_every_font_that_is_shipped_is_known_and_none_else() -> None:
    assert {face.file.name for face in FACES} == {path.name for path in FOLDER.glob("*.ttf")}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4 * 2**20


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.file.name)
def test_a_font_is_what_the_table_says(face: Face) -> None:
    path: Path = FOLDER / face.file.name
    assert hashlib.sha256(path.read_bytes()).hexdigest() == face.file.sha256
    with TTFont(path) as font:
        looks = font["OS/2"]
        assert face.height == Fraction(looks.usWinAscent + looks.usWinDescent, font["head"].unitsPerEm)
        assert face.is_bold == (looks.usWeightClass == 700)
        assert str(font["name"].getName(1, 3, 1)) == face.family


def test_a_bold_text_brings_the_lighter_letters_too_and_no_other_family() -> None:
    def names(family: str, *, bold: bool) -> list[str]:
        return [face.file.name for face in faces(family, bold=bold)]

    assert FAMILIES == ("DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono")
    assert names("DejaVu Sans", bold=False) == ["DejaVuSans.ttf"]
    assert names("DejaVu Sans", bold=True) == ["DejaVuSans-Bold.ttf", "DejaVuSans.ttf"]
    assert names("DejaVu Serif", bold=False) == ["DejaVuSerif.ttf"]
    assert names("DejaVu Serif", bold=True) == ["DejaVuSerif-Bold.ttf", "DejaVuSerif.ttf"]
    assert [face.file.name for face in FALLBACK] == ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"]
