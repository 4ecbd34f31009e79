"""Titles: what is wrong with them, and what of them a span's command knows."""

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from domain.ffmpeg.command import Input, Original
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Source
from domain.media import MediaFacts, MediaKind
from domain.render.scene import Tools, scene
from domain.timeline import (
    Canvas,
    Clip,
    Text,
    TextBox,
    TextShadow,
    TextStroke,
    TextStyle,
    TextWeight,
    Timeline,
    Track,
    Transition,
    problems,
)

CANVAS = Canvas(width=640, height=360, frame_rate=Fraction(25))
TEXT = Text(text="Hello", length=100, size=40)
FONT = MediaFacts(
    kind=MediaKind.FONT, container="ttf", font_family="House", font_weight=400, font_italic=False, font_height=1.25
)
SONG = MediaFacts(kind=MediaKind.AUDIO, container="mp3", audio_codec="mp3", duration_seconds=4.0)
SOURCES = {"font": Source(original=Original(asset_id="font", sha256="f" * 64), facts=FONT)}


def timeline(*clips: Clip) -> Timeline:
    return Timeline(canvas=CANVAS, tracks=(Track(clips=clips),))


def found(text: Text) -> list[tuple[str, str]]:
    start = "tracks.0.clips.0.content.text."
    facts = {"font": FONT, "song": SONG}
    return [(each.path.removeprefix(start), each.message) for each in problems(timeline(Clip(content=text)), facts)]


def seen(*clips: Clip, first: int = 0, count: int = 50) -> Graph:
    graph = Graph()
    scene(timeline(*clips), SOURCES, Tools(ffmpeg="9")).seen(graph, first, count)
    return graph


def styled(**style: object) -> Text:
    return replace(TEXT, style=TextStyle(**style))


def fonts(text: Text) -> dict[str, Input]:
    return seen(Clip(content=text)).inputs


def test_every_look_that_can_be_drawn_has_no_problems() -> None:
    assert found(TEXT) == []
    look = TextStyle(
        font="DejaVu Serif",
        font_id="font",
        weight=TextWeight.BOLD,
        italic=True,
        stroke=TextStroke(width=2.5, color="#ff0000"),
        shadow=TextShadow(x=-3, y=0, blur=4, color="#00000080"),
        box=TextBox(color="#12345678", padding=0),
        max_width=0.5,
        margin=0,
    )
    assert found(replace(TEXT, style=look)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (replace(TEXT, text=" \n"), [("text", "it is empty")]),
        (replace(TEXT, text="x" * 5_001), [("text", "5001 characters are more than the 5000 allowed")]),
        (replace(TEXT, text="bell\a"), [("text", "it contains control characters")]),
        (replace(TEXT, text="\n" * 51 + "x"), [("text", "52 lines are more than the 50 allowed")]),
        (
            styled(font="Comic Sans"),
            [("style.font", "there is no font 'Comic Sans'; there are DejaVu Sans, DejaVu Serif, DejaVu Sans Mono")],
        ),
        (styled(font_id="song"), [("style.fontId", "asset 'song' is a sound, not a font")]),
        (styled(font_id="gone"), [("style.fontId", "there is no asset 'gone' in this project")]),
        (
            styled(max_width=0, margin=0.6),
            [("style.maxWidth", "it must be 0.05 to 1, not 0"), ("style.margin", "it must be 0 to 0.5, not 0.6")],
        ),
        (
            styled(stroke=TextStroke(width=-1, color="#ff000080")),
            [
                ("style.stroke.width", "it must be 0 to 100 pixels, not -1"),
                ("style.stroke.color", "it must be a colour like #1a2b3c, not '#ff000080'"),
            ],
        ),
        (
            styled(shadow=TextShadow(x=501, y=float("nan"), blur=101, color="")),
            [
                ("style.shadow.x", "it must be -500 to 500 pixels, not 501"),
                ("style.shadow.y", "it must be -500 to 500 pixels, not nan"),
                ("style.shadow.blur", "it must be 0 to 100 pixels, not 101"),
                ("style.shadow.color", "it must be a colour like #1a2b3c, not ''"),
            ],
        ),
        (
            styled(box=TextBox(color="white", padding=-1)),
            [
                ("style.box.padding", "it must be 0 to 500 pixels, not -1"),
                ("style.box.color", "it must be a colour like #1a2b3c, not 'white'"),
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_title_is_said_all_at_once(text: Text, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_a_title_survives_being_kept() -> None:
    kept = timeline(Clip(content=styled(stroke=TextStroke(width=1), font_id="font", weight=TextWeight.BOLD)))
    assert Timeline.from_json(kept.to_json()) == kept
    assert kept.asset_ids == {"font"}
    old = {"text": "Hello", "length": 100, "size": 40, "color": "#ffffff", "position": "CENTER"}
    assert Text.from_json(old) == TEXT


def test_the_fonts_of_a_text_come_along_and_no_other() -> None:
    fallback = ["fallback/DejaVuSans.ttf", "fallback/DejaVuSans-Bold.ttf"]
    assert list(fonts(TEXT)) == [*fallback, "fonts/DejaVuSans/DejaVuSans.ttf"]
    bold = styled(font="DejaVu Sans Mono", weight=TextWeight.BOLD)
    names = ["DejaVuSansMono-Bold.ttf", "DejaVuSansMono.ttf"]
    assert list(fonts(bold)) == [*fallback, *(f"fonts/DejaVuSansMono-Bold/{name}" for name in names)]
    own = fonts(styled(font_id="font"))
    assert own.pop(f"fonts/{'f' * 16}/font") == Original(asset_id="font", sha256="f" * 64)
    assert list(own) == fallback


def test_no_text_sees_the_font_of_another() -> None:
    """Fonts are picked by their names, which several files of a project may share."""
    looks = [styled(font_id="font"), styled(font="DejaVu Serif"), styled(weight=TextWeight.BOLD), TEXT]
    graph = Graph()
    tracks = tuple(Track(clips=(Clip(content=look),)) for look in looks)
    scene(Timeline(canvas=CANVAS, tracks=tracks), SOURCES, Tools(ffmpeg="9")).seen(graph, 0, 1)
    folders = re.findall(r"fontsdir=([^,]+)", graph.arguments()[1])
    names = ["fonts/ffffffffffffffff", "fonts/DejaVuSerif", "fonts/DejaVuSans-Bold", "fonts/DejaVuSans"]
    assert folders == names
    assert Counter(str(Path(name).parent) for name in graph.inputs) == {**dict.fromkeys(names, 1), "fallback": 2} | {
        "fonts/DejaVuSans-Bold": 2
    }


def test_a_letter_is_as_large_as_it_says_in_every_font() -> None:
    """ASS counts the height of a whole line, which differs from font to font."""

    def size(text: Text) -> str:
        (document,) = seen(Clip(content=text)).files.values()
        return document.split("Style: text,")[1].split(",")[1]

    assert size(TEXT) == "46.562"
    assert size(styled(font_id="font")) == "50"


def test_a_span_hangs_on_nothing_of_a_title_that_does_not_show_in_it() -> None:
    longer, later = replace(TEXT, length=300), replace(TEXT, fade_out=10)
    ((name, document),) = seen(Clip(content=TEXT)).files.items()
    assert document == seen(Clip(content=longer)).files[name] == seen(Clip(content=later)).files[name]
    assert seen(Clip(content=TEXT)).arguments() == seen(Clip(content=longer)).arguments()
    assert seen(Clip(content=later), first=50).files[name] != document
    assert seen(Clip(content=TEXT, start=30), first=30).files == seen(Clip(content=TEXT)).files
    assert seen(Clip(content=TEXT), first=20).files == seen(Clip(content=TEXT)).files


def test_what_is_written_never_reaches_the_graph() -> None:
    said = "It's 100%:\t[n0];,\n\n\\N{\\an8}%{pts}"
    for clip in (Clip(content=replace(TEXT, text=said)), Clip(content=replace(TEXT, text=said), rotation=10)):
        other = Clip(content=TEXT, rotation=clip.rotation)
        assert seen(clip).arguments() == seen(other).arguments()


def drawn_over(*clips: Clip) -> int:
    """How often a layer of its own is laid over what is below."""
    return seen(*clips).arguments()[1].count("overlay=")


def test_a_title_is_drawn_straight_onto_what_lies_below_where_that_is_the_same() -> None:
    shadowed = styled(shadow=TextShadow())
    assert drawn_over(Clip(content=TEXT)) == 0
    assert drawn_over(Clip(content=replace(TEXT, fade_in=10))) == 0
    assert drawn_over(Clip(content=shadowed)) == 0
    assert drawn_over(Clip(content=replace(shadowed, fade_in=10))) == 1
    assert drawn_over(Clip(content=TEXT, opacity=0.5)) == 1
    assert drawn_over(Clip(content=TEXT, fade_in=80, fade_out=80)) == 1


def test_whether_it_is_drawn_straight_hangs_on_the_clip_and_never_on_the_span() -> None:
    pair = (Clip(content=TEXT), Clip(content=TEXT, transition=Transition(frames=10)))
    assert drawn_over(*pair) == 1
