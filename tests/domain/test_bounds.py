"""What is small to say and huge to do is refused before it is begun."""

from fractions import Fraction
from typing import Any

import pytest

from domain.media import MediaFacts, MediaKind
from domain.refusals import TimelineInvalid
from domain.render.movie import movie
from domain.render.output import Output, VideoCodec
from domain.render.scene import Tools
from domain.template import resolved, shown_with
from domain.timeline import (
    Blur,
    Canvas,
    Clip,
    Composition,
    Image,
    Shape,
    Text,
    Timeline,
    Track,
    Variable,
    VariableKind,
    placed,
    problems,
)
from domain.timeline.rules import MOST_STEPS
from domain.timeline.variable import LONGEST_VALUE, MOST_PLACES, MOST_PUT_IN

CANVAS = Canvas(width=320, height=180, frame_rate=Fraction(25))
HOUR = 3600 * 25
LONG = Variable(name="a", default="x" * LONGEST_VALUE)
PHOTO = Variable(name="photo", kind=VariableKind.ASSET, default="usual")
FACTS = {"usual": MediaFacts(kind=MediaKind.IMAGE, container="png", width=40, height=30)}


def edit(*clips: Clip, **more: Any) -> Timeline:
    return Timeline(canvas=CANVAS, tracks=(Track(clips=clips),), **more)


def text(places: int) -> Clip:
    return Clip(content=Text(text="{{a}}" * places, length=10, size=20))


def shape(frames: int, **more: Any) -> Clip:
    return Clip(content=Shape(width=10, height=10, length=frames), **more)


def told(timeline: Timeline) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in problems(timeline, FACTS)]


# --- variables ------------------------------------------------------------------------------------------------------


def test_a_text_with_too_many_places_for_variables_is_named_and_not_filled() -> None:
    assert told(edit(text(1), text(40_000), variables=(LONG,))) == [
        (
            "tracks.0.clips.1.content.text.text",
            f"40000 places for variables are more than the {MOST_PLACES} allowed in one text",
        )
    ]


def test_values_are_put_in_at_so_many_places_only_that_they_stay_small() -> None:
    each = MOST_PUT_IN // LONGEST_VALUE // 2
    assert told(edit(text(each), text(each), text(1), variables=(LONG,))) == [
        ("variables", f"their values, at every place where they stand, are more than {MOST_PUT_IN} characters")
    ]


def test_values_that_are_given_cannot_grow_either() -> None:
    template = edit(*(text(MOST_PLACES) for _ in range(10)), variables=(Variable(name="a", default="x"),))
    assert told(template) == []
    for fill in (resolved, shown_with):
        with pytest.raises(TimelineInvalid) as refused:
            fill(template, {"a": "x" * LONGEST_VALUE})
        assert [problem.path for problem in refused.value.problems] == ["variables"]


def test_to_know_its_assets_no_text_of_a_template_is_filled() -> None:
    photo = Clip(content=Image(asset_id="{{photo}}", length=10))
    assert edit(text(40_000), photo, variables=(LONG, PHOTO)).asset_ids == {"usual"}
    with pytest.raises(TimelineInvalid):
        _ = edit(Clip(content=Image(asset_id="{{a}}" * 40_000, length=10)), variables=(LONG,)).asset_ids


# --- what a plan has to say -----------------------------------------------------------------------------------------


def test_a_day_of_tracks_over_one_another_is_more_than_anyone_can_plan() -> None:
    day = tuple(Track(clips=(shape(24 * HOUR),)) for _ in range(50))
    ((path, message),) = told(Timeline(canvas=CANVAS, tracks=day))
    assert path == "tracks"
    assert message.startswith(f"it takes about {50 * 24 * 600} steps to render, more than the {MOST_STEPS} allowed")
    assert told(Timeline(canvas=CANVAS, tracks=day[:6])) == []


def test_effects_count_as_clips_do() -> None:
    assert told(edit(shape(8 * HOUR, effects=(Blur(),) * 19))) == []
    ((path, message),) = told(edit(shape(9 * HOUR, effects=(Blur(),) * 19)))
    assert (path, message.split(",")[0]) == ("tracks", f"it takes about {9 * 600 * 20} steps to render")


def composition(*tracks: Track) -> Clip:
    return Clip(content=Composition(width=320, height=180, tracks=tracks))


def test_what_lies_in_a_composition_counts_too() -> None:
    tracks = tuple(Track(clips=(shape(24 * HOUR),)) for _ in range(7))
    ((path, message),) = told(edit(composition(*tracks)))
    assert (path, message.split(",")[0]) == ("tracks", f"it takes about {8 * 24 * 600} steps to render")


def test_a_composition_has_no_more_tracks_than_a_timeline() -> None:
    tracks = tuple(Track(clips=(shape(10),)) for _ in range(51))
    assert told(edit(composition(*tracks))) == [
        ("tracks.0.clips.0.content.composition.tracks", "51 tracks are more than the 50 allowed")
    ]


def test_a_span_of_a_composition_looks_only_at_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = tuple(shape(50) for _ in range(600))  # 20 minutes: 200 spans
    timeline = edit(composition(Track(clips=clips)))
    (inner,) = (clip.inner for clip in placed(timeline, FACTS)[0])
    assert inner
    assert [clip.start for clip in inner.between(75, 160)[0]] == [50, 100, 150]
    asked = 0

    def lasts(content: Shape, _: object) -> int:
        nonlocal asked
        asked += 1
        return content.length

    monkeypatch.setattr(Shape, "lasts", lasts)
    plan = movie(timeline, Output(codec=VideoCodec.H264, width=320, height=180, crf=30), {}, Tools(ffmpeg="7"))
    assert len(plan.spans) > 100
    assert asked <= 4 * len(clips)
