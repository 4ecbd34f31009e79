"""From a timeline to commands: what changes when something changes, counted exactly, and what stays."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import pytest

from domain.ffmpeg.command import Command, Original
from domain.ffmpeg.graph import LONGEST_ARGUMENT, Graph, quoted
from domain.ffmpeg.stage import Source
from domain.media import MediaFacts, MediaKind
from domain.render.movie import Movie, movie
from domain.render.output import Output, VideoCodec
from domain.render.scene import Tools
from domain.timeline import (
    Canvas,
    Captions,
    Clip,
    Color,
    Cue,
    Placed,
    Text,
    TextStyle,
    Timeline,
    Track,
    Transition,
    Video,
    placed,
    problems,
)

RATE = Fraction(25)
CANVAS = Canvas(width=1280, height=720, frame_rate=RATE)
HD = Output(codec=VideoCodec.H264, width=1280, height=720, crf=21)
TOOLS = Tools(ffmpeg="ffmpeg version 9.0", threads=2)
VIDEO = MediaFacts(
    kind=MediaKind.VIDEO,
    container="mp4",
    video_codec="h264",
    audio_codec="aac",
    width=1920,
    height=1080,
    duration_seconds=60.0,
    channels=2,
    color_matrix="bt709",
)
FONT = MediaFacts(kind=MediaKind.FONT, container="ttf", font_family="Own", font_weight=400, font_height=1.2)
SILENT = replace(VIDEO, audio_codec=None, channels=None)


def _source(name: str, facts: MediaFacts, checksum: str | None = None) -> Source:
    return Source(original=Original(asset_id=name, sha256=checksum or f"checksum of {name}"), facts=facts)


FILMS = ["red", "green", "blue", "grey"]
SOURCES = {name: _source(name, VIDEO) for name in FILMS} | {
    "song": _source(
        "song", MediaFacts(kind=MediaKind.AUDIO, container="mp3", audio_codec="mp3", duration_seconds=600.0)
    ),
    "silent": _source("silent", SILENT),
    "own": _source("own", FONT),
}


def plan(edit: Timeline, output: Output = HD, sources: Mapping[str, Source] = SOURCES, tools: Tools = TOOLS) -> Movie:
    assert problems(edit, {name: source.facts for name, source in sources.items()}) == []
    return movie(edit, output, sources, tools)


def film(count: int = 40, *, seed: int = 1, name: Callable[[str], str] = str) -> Timeline:
    """Shots of 1 to 7 seconds, a third of them faded into; a title over every tenth second; captions all along."""
    chance = random.Random(seed)
    shots: list[Clip] = []
    for number in range(count):
        in_, length = chance.randint(0, 1000), chance.randint(25, 175)
        transition = Transition(frames=12) if number and chance.random() < 0.33 else None
        content = Video(asset_id=name(chance.choice(FILMS)), in_=in_, out=in_ + length)
        shots.append(Clip(content=content, transition=transition))
    frames = sum(clip.content.lasts({}) - (clip.transition.frames if clip.transition else 0) for clip in shots)
    titles = [
        Clip(content=Text(text=f"Title {start}", length=60, size=60), start=start)
        for start in range(100, frames - 60, 250)
    ]
    cues = tuple(Cue(start=start, end=start + 70, text=f"Caption {start}") for start in range(0, frames - 70, 75))
    return Timeline(
        canvas=CANVAS,
        tracks=(
            Track(clips=tuple(shots)),
            Track(clips=tuple(titles)),
            Track(clips=(Clip(content=Captions(cues=cues, length=frames, size=40)),)),
        ),
    )


FILM = film()
PLAN = plan(FILM)


def keys(made: Movie) -> list[str]:
    return [span.key for span in made.spans]


def bounds(made: Movie) -> list[tuple[int, int]]:
    """The first frame of each span, and the one behind its last."""
    ends = list(accumulate(span.frames for span in made.spans))
    return list(zip([0, *ends], ends, strict=False))


def touched(made: Movie, *stretches: tuple[int, int]) -> list[int]:
    """The spans in which any of these frames are."""
    return [
        index
        for index, (first, end) in enumerate(bounds(made))
        if any(start < end and first < stop for start, stop in stretches)
    ]


def changed(edit: Timeline, *, sources: Mapping[str, Source] = SOURCES, before: Movie = PLAN) -> list[int]:
    """The spans that are others than before, where they are cut alike."""
    after = plan(edit, sources=sources)
    assert bounds(after) == bounds(before)
    return [index for index, (one, other) in enumerate(zip(keys(before), keys(after), strict=True)) if one != other]


def with_clip(track: int, index: int, change: Callable[[Clip], Clip], edit: Timeline = FILM) -> Timeline:
    """The edit with one clip changed."""
    clips = list(edit.tracks[track].clips)
    clips[index] = change(clips[index])
    tracks = list(edit.tracks)
    tracks[track] = replace(tracks[track], clips=tuple(clips))
    return replace(edit, tracks=tuple(tracks))


# --- what changes ---------------------------------------------------------------------------------------------------


def test_equal_timelines_have_equal_keys_also_when_they_come_from_storage() -> None:
    again = Timeline.from_json(json.loads(json.dumps(FILM.to_json())))
    assert again == FILM
    assert (keys(plan(again)), plan(again).command.key) == (keys(PLAN), PLAN.command.key)
    assert len(set(keys(PLAN))) == len(PLAN.spans) > 20


@pytest.mark.parametrize("number", [0, 7, 30])
def test_another_word_in_a_caption_changes_the_spans_it_is_seen_in_and_nothing_else(number: int) -> None:
    def reworded(clip: Clip) -> Clip:
        cues = list(clip.content.cues)
        cues[number] = replace(cues[number], text="Another word")
        return replace(clip, content=replace(clip.content, cues=tuple(cues)))

    edit = with_clip(2, 0, reworded)
    found = changed(edit)
    assert found == touched(PLAN, (75 * number, 75 * number + 70))
    assert 1 <= len(found) <= 2


def test_a_caption_that_moves_changes_where_it_was_and_where_it_is() -> None:
    def moved(clip: Clip) -> Clip:
        cues = [cue for cue in clip.content.cues if cue.start != 1500]
        cues = sorted([*cues, Cue(start=2930, end=2995, text="Caption 1500")], key=lambda cue: cue.start)
        return replace(clip, content=replace(clip.content, cues=tuple(cues)))

    found = changed(with_clip(2, 0, moved))
    assert set(found) == {*touched(PLAN, (1500, 1570)), *touched(PLAN, (2930, 2995))}


def test_a_title_changes_its_spans_only() -> None:
    at = [clip.start for clip in FILM.tracks[1].clips]
    edit = with_clip(1, 4, lambda clip: replace(clip, content=replace(clip.content, text="Another")))
    assert changed(edit) == touched(PLAN, (at[4], at[4] + 60))
    edit = with_clip(1, 4, lambda clip: replace(clip, start=clip.start + 30))
    assert changed(edit) == touched(PLAN, (at[4], at[4] + 90))


def test_an_effect_on_a_clip_changes_the_spans_it_is_seen_in_only() -> None:
    edit = with_clip(0, 9, lambda clip: replace(clip, effects=(Color(brightness=0.1),)))
    clips = _placed(FILM)[0]
    assert changed(edit) == touched(PLAN, (clips[9].start, clips[9].end))


def _placed(edit: Timeline) -> tuple[tuple[Placed, ...], ...]:
    return placed(edit, {name: source.facts for name, source in SOURCES.items()})


def test_another_in_point_changes_what_is_near_only() -> None:
    """Where it is cut may move too, for a cut is chosen by what begins there; but not far."""
    edit = with_clip(
        0, 20, lambda clip: replace(clip, content=replace(clip.content, in_=3, out=3 + clip.content.lasts({})))
    )
    after = plan(edit)
    assert after.frames == PLAN.frames
    clip = _placed(FILM)[0][20]
    near = (clip.start - 16 * RATE, clip.end + 32 * RATE)
    before = dict(zip(bounds(PLAN), keys(PLAN), strict=True))
    made = [stretch for stretch, key in zip(bounds(after), keys(after), strict=True) if before.get(stretch) != key]
    assert all(near[0] <= first and end <= near[1] for first, end in made)
    assert set(touched(after, (clip.start, clip.end))) <= {bounds(after).index(each) for each in made}


def test_a_shot_put_in_at_the_front_leaves_what_lies_behind() -> None:
    """Titles and captions go along with it; all that is told by numbers of frames has moved."""
    shot = Clip(content=Video(asset_id="grey", in_=200, out=283))
    first, titles, captions = FILM.tracks
    edit = replace(
        FILM,
        tracks=(
            Track(clips=(shot, *first.clips)),
            Track(clips=tuple(replace(clip, start=clip.start + 83) for clip in titles.clips)),
            Track(clips=(replace(captions.clips[0], start=83),)),
        ),
    )
    after = plan(edit)
    gone = set(keys(PLAN)) - set(keys(after))
    common = [key in set(keys(after)) for key in keys(PLAN)]
    settled = common.index(True)
    assert common == [False] * settled + [True] * (len(common) - settled)
    assert len(gone) == settled <= 4


# --- what is in a key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "tools"),
    [
        (replace(HD, crf=22), TOOLS),
        (replace(HD, max_bitrate=4_000_000), TOOLS),
        (replace(HD, codec=VideoCodec.H265), TOOLS),
        (replace(HD, width=640, height=360), TOOLS),
        (HD, replace(TOOLS, threads=3)),
        (HD, replace(TOOLS, ffmpeg="ffmpeg version 9.0.1")),
        (HD, replace(TOOLS, hardware=True)),
    ],
)
def test_all_that_shapes_the_bytes_is_in_every_key(output: Output, tools: Tools) -> None:
    assert set(keys(plan(FILM, output, tools=tools))) & set(keys(PLAN)) == set()


def test_a_file_with_other_bytes_changes_the_spans_it_is_seen_in() -> None:
    """Its clips may be cut elsewhere then; what shows none of it, between cuts that stay, is as it was."""
    sources = SOURCES | {"red": _source("red", VIDEO, "other bytes")}
    after = plan(FILM, sources=sources)
    clips = [(clip.start, clip.end) for clip in _placed(FILM)[0] if clip.clip.content.asset_id == "red"]
    before = dict(zip(bounds(PLAN), keys(PLAN), strict=True))
    for index, (stretch, key) in enumerate(zip(bounds(after), keys(after), strict=True)):
        if stretch in before:
            assert (before[stretch] != key) == (index in touched(after, *clips))


def test_the_ids_and_names_of_assets_are_not_in_a_key() -> None:
    """The same bytes uploaded twice are the same."""
    sources = {
        f"another-{name}": _source(f"another-{name}", SOURCES[name].facts, f"checksum of {name}") for name in FILMS
    }
    assert keys(plan(film(name=lambda name: f"another-{name}"), sources=sources)) == keys(PLAN)


def test_a_font_is_in_the_keys_of_the_spans_in_which_letters_are_set_in_it() -> None:
    style = TextStyle(font_id="own")
    edit = with_clip(1, 4, lambda clip: replace(clip, content=replace(clip.content, style=style)))
    start = edit.tracks[1].clips[4].start or 0
    sources = SOURCES | {"own": _source("own", FONT, "other bytes")}
    assert changed(edit, sources=sources, before=plan(edit)) == touched(PLAN, (start, start + 60))


# --- the sound ------------------------------------------------------------------------------------------------------


def _sounds(made: Movie) -> set[str]:
    return {each.key for each in made.pieces if not each.frames}


def test_a_change_that_is_only_seen_leaves_the_sound() -> None:
    edit = with_clip(0, 9, lambda clip: replace(clip, effects=(Color(brightness=0.1),)))
    assert _sounds(plan(edit)) == _sounds(PLAN)


def test_another_volume_makes_the_blocks_it_is_heard_in_again_and_no_picture() -> None:
    edit = with_clip(0, 20, lambda clip: replace(clip, content=replace(clip.content, volume=0.5)))
    after = plan(edit)
    assert keys(after) == keys(PLAN)
    made = [each for each in after.pieces if each.key not in {one.key for one in PLAN.pieces}]
    blocks = [each for each in made if each.result == "block.flac"]
    assert len(blocks) in {1, 2}
    assert len(made) == len(blocks) + 1  # and the whole sound
    assert len([each for each in PLAN.pieces if each.result == "block.flac"]) == 4


def test_a_silent_timeline_has_no_sound() -> None:
    edit = Timeline(canvas=CANVAS, tracks=(Track(clips=(Clip(content=Video(asset_id="silent", out=100)),)),))
    made = plan(edit)
    assert (made.sound, made.expected.samples) == (None, None)
    assert _sounds(made) == set()


# --- the whole ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_spans_tile_any_timeline_exactly(seed: int) -> None:
    edit = film(1 + 7 * seed, seed=seed)
    made = plan(edit)
    assert bounds(made)[0][0] == 0
    assert sum(span.frames for span in made.spans) == made.frames == max(clip.end for clip in _placed(edit)[0])
    listed = [line for line in made.command.files["spans.txt"].splitlines() if line.startswith("file ")]
    assert [made.command.inputs[line.removeprefix("file ")] for line in listed] == list(made.spans)
    assert made.expected.frames == made.frames
    assert made.expected.samples == made.frames * 1920


def test_a_command_names_only_what_lies_in_its_folder() -> None:
    for command in (*PLAN.pieces, PLAN.command):
        named = {word.removeprefix("file:") for word in command.argv if word.startswith("file:")}
        assert named <= {*command.inputs, *command.files}
        assert not [word for word in (*command.argv, *command.files.values()) if "/home/" in word or "/tmp/" in word]
        assert len(command.key) == 64


def test_pieces_come_in_an_order_in_which_they_can_be_made() -> None:
    done: set[str] = set()
    for command in (*PLAN.pieces, PLAN.command):
        assert {each.key for each in command.inputs.values() if isinstance(each, Command)} <= done
        done.add(command.key)


def test_an_hour_of_shots_becomes_small_commands() -> None:
    """Each knows of what it shows only."""
    made = plan(film(1000, seed=3))
    assert made.frames > 3600 * RATE
    assert 3600 / 8 <= len(made.spans) <= 3600 / 4
    assert max(len(word) for span in made.spans for word in span.argv) < 15_000
    assert max(len(span.inputs) for span in made.spans) < 20


def test_what_depends_on_the_whole_is_made_in_one_span() -> None:
    (span,) = plan(FILM, replace(HD, crf=None, bitrate=2_000_000)).spans
    assert span.frames == PLAN.frames


# --- graphs ---------------------------------------------------------------------------------------------------------


def test_a_graph_too_long_for_an_argument_travels_in_a_file() -> None:
    graph = Graph()
    for number in range(LONGEST_ARGUMENT // 20):
        graph.chain(f"color=red:s=2x{number}")
    option, name = graph.arguments()
    assert (option, name) == ("-/filter_complex", "graph.txt")
    assert graph.files[name].startswith("color=red:s=2x0[n0];color=red:s=2x1[n1];")


def test_what_is_special_to_a_filter_is_escaped_twice() -> None:
    assert quoted("a b/c.ttf") == "a b/c.ttf"
    assert quoted("a:b") == r"a\\:b"
    assert quoted("a'b") == r"a\\\'b"
    assert quoted("a,b") == r"a\,b"
    assert quoted("a\\b") == r"a\\\\b"


def test_facts_come_back_from_storage_as_they_were() -> None:
    for source in SOURCES.values():
        assert MediaFacts.from_json(json.loads(json.dumps(source.facts.to_json()))) == source.facts
