"""Captions: when which of them are seen, and what is wrong with them."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.captions import AT_ONCE, Caption, Moment, Schedule, from_text, in_parts, moments, to_text
from domain.ffmpeg.command import Original
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Source
from domain.media import MediaFacts, MediaKind
from domain.render.scene import Tools, scene
from domain.timeline import Canvas, Captions, Clip, Cue, TextStyle, Timeline, Track, problems

CANVAS = Canvas(width=640, height=360, frame_rate=Fraction(25))
FILE = MediaFacts(kind=MediaKind.CAPTIONS, container="srt", duration_seconds=4.0, cue_count=2)
SOUND = MediaFacts(kind=MediaKind.AUDIO, container="mp3", audio_codec="mp3", duration_seconds=4.0)
TWO = Captions(cues=(Cue(start=5, end=10, text="one"), Cue(start=20, end=30, text="two")), size=20)
FACTS = {"file": FILE, "song": SOUND}


def timeline(captions: Captions) -> Timeline:
    return Timeline(canvas=CANVAS, tracks=(Track(clips=(Clip(content=captions),)),))


def found(captions: Captions) -> list[tuple[str, str]]:
    start = "tracks.0.clips.0.content.captions."
    return [(each.path.removeprefix(start), each.message) for each in problems(timeline(captions), FACTS)]


def test_captions_that_overlap_stand_one_below_the_other() -> None:
    cues = [Moment(10, 30, "b"), Moment(0, 20, "a"), Moment(40, 50, "c")]
    schedule = Schedule(cues)
    assert schedule.between(0, 100) == [
        Moment(0, 10, "a"),
        Moment(10, 20, "a\nb"),
        Moment(20, 30, "b"),
        Moment(40, 50, "c"),
    ]
    assert schedule.between(15, 25) == [Moment(15, 20, "a\nb"), Moment(20, 25, "b")]
    assert schedule.between(30, 40) == []
    assert schedule.end == 50


cues_ = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 60), st.sampled_from(["a", "b", "c"])).map(
        lambda each: Moment(each[0], each[0] + each[1], each[2])
    ),
    max_size=25,
)


@given(cues_, st.integers(0, 200), st.integers(1, 100))
def test_each_frame_shows_the_same_from_wherever_it_is_looked_at(cues: list[Moment], first: int, count: int) -> None:
    schedule = Schedule(cues)
    order = sorted(cues, key=lambda each: (each.first, each.end))
    for frame in range(first, first + count):
        shown = [each.text for each in order if each.first <= frame < each.end]
        seen = [each.text for each in schedule.between(first, first + count) if each.first <= frame < each.end]
        assert seen == (["\n".join(shown[-AT_ONCE:])] if shown else [])


def test_a_crowd_of_captions_at_once_is_cut_to_the_last_ones() -> None:
    schedule = Schedule([Moment(each, 40_000 - each, str(each)) for each in range(10_000)])
    assert schedule.between(20_000, 20_001)[0].text.split("\n") == [str(each) for each in range(9_992, 10_000)]


def test_the_times_of_a_file_are_rounded_to_frames_and_none_is_lost() -> None:
    kept = to_text([Caption(1000, 2000, "one\ntwo"), Caption(2000, 2001, "blink")])
    assert from_text(kept) == [Caption(1000, 2000, "one\ntwo"), Caption(2000, 2001, "blink")]
    assert kept == '[1000, 2000, "one\\ntwo"]\n[2000, 2001, "blink"]'
    assert moments(kept, Fraction(30000, 1001)) == (Moment(30, 60, "one\ntwo"), Moment(60, 61, "blink"))
    assert moments(kept, Fraction(120)) == (Moment(120, 240, "one\ntwo"), Moment(240, 241, "blink"))


def test_a_long_caption_is_shown_in_parts_of_about_the_same_length() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    parts = in_parts(Moment(100, 200, text), width=10, lines=2)
    assert " ".join(part.text for part in parts) == text
    assert [part.first for part in parts] == [100, *(part.end for part in parts[:-1])]
    assert parts[-1].end == 200
    assert len(parts) == 3
    assert all(25 <= part.end - part.first <= 42 for part in parts)


def test_what_fits_stays_as_it_is_written() -> None:
    short = Moment(0, 10, "one\ntwo")
    assert in_parts(short, width=10, lines=2) == [short]
    word = Moment(0, 10, "x" * 500)
    assert in_parts(word, width=10, lines=1) == [word]
    quick = in_parts(Moment(0, 2, "many words that have but two frames to be seen in"), width=4, lines=1)
    assert [(part.first, part.end) for part in quick] == [(0, 1), (1, 2)]


def test_captions_last_to_the_end_of_the_last_unless_they_say_otherwise() -> None:
    assert TWO.lasts({}) == 30
    assert replace(TWO, length=12).lasts({}) == 12
    from_file = Captions(asset_id="file", size=20)
    assert from_file.lasts({"file": 100}) == 100
    assert replace(from_file, in_=40).lasts({"file": 100}) == 60
    assert from_file.lasts({}) is None


def test_sound_captions_have_no_problems() -> None:
    assert found(TWO) == []
    assert found(Captions(asset_id="file", in_=99, size=20, max_lines=2)) == []


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        (Captions(size=20), [("cues", "there is neither a text nor a file of them")]),
        (
            replace(TWO, asset_id="file"),
            [("cues", "the texts come either from a file or from here")],
        ),
        (replace(TWO, in_=3), [("in", "it is for captions from a file")]),
        (Captions(asset_id="song", size=20), [("assetId", "asset 'song' is a sound, not captions")]),
        (Captions(asset_id="file", size=20, in_=100), [("in", "the file has 100 frames at this rate")]),
        (
            Captions(
                cues=(Cue(start=-1, end=5, text="a"), Cue(start=6, end=6, text=" "), Cue(start=7, end=8, text="\0")),
                size=20,
            ),
            [
                ("cues.0.start", "it must be at least 0, not -1"),
                ("cues.1.end", "it must be after its start at frame 6, not 6"),
                ("cues.1.text", "it is empty"),
                ("cues.2.text", "it contains control characters"),
            ],
        ),
        (replace(TWO, max_lines=0), [("maxLines", "it must be 1 to 10, not 0")]),
        (
            replace(TWO, size=3, color="red", length=0, style=TextStyle(font="Arial")),
            [
                ("length", "it must be at least 1, not 0"),
                ("size", "it must be 4 to 2000 pixels, not 3"),
                ("color", "it must be a colour like #1a2b3c, not 'red'"),
                ("style.font", "there is no font 'Arial'; there are DejaVu Sans, DejaVu Serif, DejaVu Sans Mono"),
            ],
        ),
        (
            Captions(cues=(Cue(start=0, end=1, text="a"),) * 20_001, size=20),
            [("cues", "20001 texts are more than the 20000 allowed")],
        ),
    ],
)
def test_what_is_wrong_with_captions_is_said_all_at_once(captions: Captions, expected: list[tuple[str, str]]) -> None:
    assert found(captions) == expected


def test_captions_survive_being_kept() -> None:
    kept = timeline(replace(TWO, max_lines=2, style=TextStyle(max_width=0.5)))
    assert Timeline.from_json(kept.to_json()) == kept
    assert Timeline.from_json(timeline(TWO).to_json()) == timeline(TWO)


def written(captions: Captions, first: int, count: int, text: str | None = None) -> dict[str, str]:
    original = Original(asset_id="file", sha256="0" * 64)
    sources = {"file": Source(original=original, facts=FILE, text=text)}
    graph = Graph()
    scene(timeline(captions), sources, Tools(ffmpeg="9")).seen(graph, first, count)
    return graph.files


def test_a_span_knows_only_of_the_captions_that_are_seen_in_it() -> None:
    assert written(TWO, 10, 10) == {}
    assert written(TWO, 0, 5) == {}
    changed = Captions(cues=(TWO.cues[0], replace(TWO.cues[1], text="other")), size=20)
    assert written(changed, 0, 15) == written(TWO, 0, 15) != {}
    assert written(changed, 15, 15) != written(TWO, 15, 15)


def test_captions_that_are_moved_as_a_whole_are_written_the_same() -> None:
    later = Captions(cues=tuple(Cue(start=cue.start + 7, end=cue.end + 7, text=cue.text) for cue in TWO.cues), size=20)
    assert written(later, 9, 20) == written(TWO, 2, 20)


def test_a_file_and_the_same_written_here_are_the_same() -> None:
    kept = to_text([Caption(200, 400, "one"), Caption(800, 1200, "two")])
    from_file = Captions(asset_id="file", size=20)
    assert written(from_file, 0, 30, kept) == written(TWO, 0, 30)
    assert written(replace(from_file, in_=5), 0, 25, kept) == written(TWO, 5, 25)


def test_twenty_thousand_captions_are_planned_quickly() -> None:
    """A span costs what is seen in it."""
    many = Captions(cues=tuple(Cue(start=5 * each, end=5 * each + 4, text="x") for each in range(20_000)), size=20)
    whole = scene(timeline(many), {}, Tools(ffmpeg="9"))
    lines = 0
    for first in range(0, 100_000, 150):
        graph = Graph()
        whole.seen(graph, first, 150)
        (document,) = graph.files.values()
        lines += document.count("Dialogue:")
    assert lines == 20_000
