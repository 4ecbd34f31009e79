"""The documents of text that FFmpeg's ass filter draws."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ass


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hello", "Hello"),
        ("two\nlines\r\nand three", r"two\Nlines\Nand three"),
        ("a\n\nb", r"a\N\h\Nb"),
        ("  in\tout ", r"\h\hin    out "),
        (r"{\an8}", r"\{\an8\}"),
        (r"\N \n \h", "\\\u2060N \\\u2060n \\\u2060h"),
        (r"\{x}", "\\\u2060\\{x\\}"),
        ("C:\\", "C:\\\u2060"),
        ("C:\\\nD:\\", "C:\\\u2060\\ND:\\\u2060"),
        ("\\\\N", "\\\u2060\\\u2060N"),
        ("50%, 'a'; [out]", "50%, 'a'; [out]"),
    ],
)
def test_no_text_is_ever_a_command(text: str, written: str) -> None:
    assert ass.escaped(text) == written


def as_libass_reads(markup: str) -> str:
    """What libass shows of a line: its rules for backslashes and braces, as its sources have them."""
    shown, rest = "", markup
    while rest:
        if rest[:2] in {r"\N", r"\h", r"\{", r"\}"}:
            shown, rest = shown + {"N": "\n", "h": " "}.get(rest[1], rest[1]), rest[2:]
        else:
            assert rest[0] != "{", "a command begins"
            assert rest[:2] != r"\n"
            shown, rest = shown + rest[0], rest[1:]
    return shown


@given(st.text(alphabet="\\{}Nnha \n'%", max_size=30))
def test_whatever_is_written_is_what_is_read(text: str) -> None:
    lines = [line or " " for line in text.splitlines()]
    assert as_libass_reads(ass.escaped(text)).replace(ass.WORD_JOINER, "") == "\n".join(lines)


def test_lines_come_and_go_in_the_middle_between_two_frames_whatever_the_rate() -> None:
    line = ass.Line(first=0, end=1, layer=2, style="text", text="x")
    late = ass.Line(first=10 * 3600, end=36_600, layer=0, style="box", text="y")
    *_, one, other, end = ass.document(640, 360, [], [line, late]).split("\n")
    assert one == "Dialogue: 2,0:00:00.05,0:00:00.15,text,x"
    assert other == "Dialogue: 0,1:00:00.05,1:01:00.05,box,y"
    assert end == ""
    assert ass.filters("text-0.ass", "fonts/a", Fraction(30000, 1001)) == [
        "settb=1/10,setpts=N+1",
        "ass=filename=text-0.ass:fontsdir=fonts/a",
        "settb=1001/30000,setpts=N",
    ]


def test_a_fade_is_told_from_the_moment_its_line_comes() -> None:
    assert ass.fade(0, fade_in=(0, 5), fade_out=None) == r"\fade(255,0,0,50,550,550,550)"
    assert ass.fade(0, fade_in=None, fade_out=(20, 10)) == r"\fade(0,0,255,0,0,2050,3050)"
    assert ass.fade(0, fade_in=(-4, 5), fade_out=(1, 2)) == r"\fade(255,0,255,-350,150,150,350)"
    assert ass.fade(7, fade_in=(7, 5), fade_out=None) == ass.fade(0, fade_in=(0, 5), fade_out=None)


def test_colours_are_written_the_other_way_round_and_by_what_they_let_through() -> None:
    assert ass.color("#12ab34") == "&H0034AB12"
    assert ass.color("#12ab3440") == "&HBF34AB12"
    assert ass.color("#ffffff", 0) == "&HFFFFFFFF"
    assert ass.color("#ffffff", 1 / 255) == "&HFEFFFFFF"


def test_a_document_says_which_colours_it_means() -> None:
    assert "YCbCr Matrix: TV.709" in ass.document(2, 2, [], [])
    assert "YCbCr Matrix: None" in ass.document(2, 2, [], [], on_rgb=True)
