"""Uploads of captions, tables of colours and fonts: recognised by what is in them, and refused with the reason."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from domain.captions import Caption, from_text
from domain.media import MediaFacts, MediaKind
from tasks.ffmpeg import FONT
from tasks.probe import MediaRejected
from tasks.text_assets import read_text_asset

Read = Callable[..., Awaitable[tuple[MediaFacts, str] | None]]

SRT = """\
1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there {b}
<font color="#fff">a < b</font>

2
00:00:03.5 --> 00:00:04,25  X1:0
{\\an8}Bell\a
"""
VTT = """\
WEBVTT - a title

NOTE nothing to see

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Ann>Tom &amp; <c.red>Jerry</c> <00:01.500>&lt;3

00:00:03.000 --> 00:00:04.000
- two
- lines
"""
ASS = """\
[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,later, with a comma
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}Hi{\\i0}\\Nthere
Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,nobody sees this
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}
"""
ROWS = "".join(f"{r} {g} {b}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1))
CUBE = f'TITLE "Warm"\n# a comment\nLUT_3D_SIZE 2\n\n{ROWS}'


@pytest.fixture
def read(tmp_path: Path) -> Read:
    async def read(name: str, data: str | bytes, content_type: str = "") -> tuple[MediaFacts, str] | None:
        path = tmp_path / "original"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return await read_text_asset(path, claimed_content_type=content_type, filename=name)

    return read


@pytest.mark.parametrize(
    ("name", "file", "cues"),
    [
        ("a.srt", SRT, [Caption(1000, 2500, "Hello there {b}\na < b"), Caption(3500, 4250, "Bell")]),
        ("a.vtt", VTT, [Caption(1000, 2500, "Tom & Jerry <3"), Caption(3000, 4000, "- two\n- lines")]),
        ("a.ass", ASS, [Caption(1000, 2500, "Hi\nthere"), Caption(3000, 4000, "later, with a comma")]),
    ],
)
async def test_captions_are_kept_in_one_form(read: Read, name: str, file: str, cues: list[Caption]) -> None:
    for data in (
        file.encode(),
        b"\xef\xbb\xbf" + file.encode(),
        file.encode("utf-16"),
        file.replace("\n", "\r\n").encode(),
    ):
        found = await read(name, data)
        assert found
        facts, text = found
        assert from_text(text) == cues
        assert facts == MediaFacts(
            kind=MediaKind.CAPTIONS,
            container=name.removeprefix("a."),
            duration_seconds=cues[-1].end / 1000,
            cue_count=len(cues),
        )


async def test_a_table_of_colours_is_kept_as_numbers(read: Read) -> None:
    found = await read("warm.cube", CUBE, "application/octet-stream")
    assert found
    assert found[0] == MediaFacts(kind=MediaKind.LUT, container="cube", lut_size=2)
    head, *rows = found[1].split("\n")
    assert head == "LUT_3D_SIZE 2"
    assert rows[:2] == ["DOMAIN_MIN 0.000000 0.000000 0.000000", "DOMAIN_MAX 1.000000 1.000000 1.000000"]
    assert rows[3] == "1.000000 0.000000 0.000000"
    assert len(rows) == 2 + 8
    one = await read("one.cube", "LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE 0 4\n0 0 0\n1e0 1 .5\n")
    assert one
    assert one[1].split("\n")[2:] == [
        f"DOMAIN_MAX {' '.join(['4.000000'] * 3)}",
        "0.000000 0.000000 0.000000",
        "1.000000 1.000000 0.500000",
    ]


async def test_a_font_is_known_by_its_family(read: Read) -> None:
    found = await read("f.ttf", FONT.with_name("DejaVuSerif-Bold.ttf").read_bytes(), "font/ttf")
    assert found == (
        MediaFacts(
            kind=MediaKind.FONT,
            container="ttf",
            font_family="DejaVu Serif",
            font_weight=700,
            font_italic=False,
            font_height=2406 / 2048,
        ),
        "",
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.mp4", b"\0\0\0\x20ftypisom" + SRT.encode()),
        ("a.txt", b"hello"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
    ],
)
async def test_all_else_is_left_to_others(read: Read, name: str, data: bytes) -> None:
    assert await read(name, data) is None


DEJAVU = FONT.read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.srt", "hello", "The file claims to be captions (.srt), but it is not."),
        ("a.cube", "0 0 0", "The file claims to be a table of colours (.cube), but it is not."),
        ("a.otf", "OTT", "The file claims to be a font (.otf), but it is not."),
        ("a.mp4", SRT, "The file claims to be video/mp4, but it is captions (srt)."),
        ("a.srt", SRT.replace("H", "Ö").encode("latin-1"), "It is not text in UTF-8 (at byte 35): save it as UTF-8."),
        ("a.srt", "1\n00:00:02,000 --> 00:00:01,000\nx\n", "The caption on line 2: it ends before it begins."),
        ("a.srt", f"{SRT}\n3\n00:00:xx,000 --> 1\nx\n", "The caption on line 11: '00:00:xx,000 --> 1' are no times."),
        ("a.srt", "1\n00:61:00,000 --> 00:62:00,000\nx\n", "The caption on line 2: 00:61:00 is no time."),
        ("a.srt", "1\n9:00:00,0 --> 101:00:00,0\nx\n", "The caption on line 2: it ends after more than 100 hours."),
        (
            "a.srt",
            "1\n00:00:01,000 --> 00:00:02,000\nx\n2\n00:00:03,000 --> 00:00:04,000\nx\n",
            "The caption on line 2: an empty line before line 5 is missing.",
        ),
        (
            "a.srt",
            f"1\n00:00:01,000 --> 00:00:02,000\n{'x' * 5001}\n",
            "The caption on line 2: 5001 characters are more than the 5000 allowed.",
        ),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n\n", "There is no caption in it."),
        ("a.ass", "[Script Info]\n", "There is no caption in it."),
        ("a.cube", CUBE + "0 0 0\n", "A table of size 2 has 8 rows, this one 9."),
        ("a.cube", "LUT_3D_SIZE 66\n", "Line 1: the size must be a number from 2 to 65."),
        ("a.cube", CUBE.replace("1 1 1", "1 nan 1"), "Line 12: '1 nan 1' are not colours."),
        ("a.cube", CUBE.replace("1 1 1", "1 1"), "Line 12: there must be 3 numbers, not 2."),
        ("a.cube", CUBE.replace("1 1 1", "file=/etc/passwd"), "Line 12: 'file=/etc/passwd' are not numbers."),
        ("a.cube", f"LUT_1D_SIZE 2\n{CUBE}", "It must have either LUT_3D_SIZE or LUT_1D_SIZE, once."),
        ("a.cube", f"DOMAIN_MIN 1 1 1\n{CUBE}", "DOMAIN_MAX must be above DOMAIN_MIN."),
        ("a.ttf", b"ttcf" + DEJAVU[4:], "It is a collection of fonts: upload the one that is wanted."),
        ("a.ttf", b"wOF2" + DEJAVU[4:], "It is a font for web pages: upload it as TrueType or OpenType."),
    ],
)
async def test_a_bad_file_is_refused_with_the_reason(read: Read, name: str, data: str | bytes, reason: str) -> None:
    with pytest.raises(MediaRejected) as rejected:
        await read(name, data)
    assert str(rejected.value) == reason


@pytest.mark.parametrize("length", [12, 300, 5_000, 100_000, len(DEJAVU) // 2])
async def test_a_font_that_is_cut_off_is_refused(read: Read, length: int) -> None:
    with pytest.raises(MediaRejected, match=r"It cannot be read as a font|The font "):
        await read("a.ttf", DEJAVU[:length])


async def test_files_that_are_too_large_are_refused_unread(read: Read) -> None:
    with pytest.raises(MediaRejected, match="A file of captions may have at most 5 MiB"):
        await read("a.srt", SRT + "\n" * 5 * 2**20)
    with pytest.raises(MediaRejected, match="A file of a table of colours may have at most 16 MiB"):
        await read("a.cube", CUBE + "\n" * 16 * 2**20)


async def test_a_hundred_thousand_captions_are_too_many(read: Read) -> None:
    block = "\n00:00:00,000 --> 00:00:01,000\nx\n"
    with pytest.raises(MediaRejected, match="There are more than the 100000 captions allowed"):
        await read("a.srt", block * 100_001)
