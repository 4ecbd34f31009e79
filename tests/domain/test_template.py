"""What is put into a template, and what comes of it."""

import json
from fractions import Fraction

import pytest

from domain.kinds import RenderBatchSpec, RenderSpec
from domain.media import MediaFacts, MediaKind
from domain.order import Order
from domain.project import Project
from domain.refusals import InvalidInput, TimelineInvalid
from domain.render.output import Format, Output
from domain.template import MOST_BYTES, MOST_PROBLEMS, Row, assets_of, resolved, row_names, shown_with
from domain.timeline import Canvas, Captions, Clip, Content, Cue, Image, Text, Timeline, Track, Variable, VariableKind

CANVAS = Canvas(width=320, height=180, frame_rate=Fraction(25))
STILL = Output(format=Format.PNG, width=320, height=180, frame=0)
NAME, COLOR, PHOTO = (
    Variable(name="name"),
    Variable(name="color", kind=VariableKind.COLOR, default="#ffffff"),
    Variable(name="photo", kind=VariableKind.ASSET, default="usual"),
)
FACTS = {name: MediaFacts(kind=MediaKind.IMAGE, container="jpeg", width=40, height=30) for name in ("usual", "other")}


def card(*variables: Variable, contents: tuple[Content, ...] = ()) -> Timeline:
    title = Text(text="For {{ name }}", length=10, size=20, color="{{color}}")
    photo = Image(asset_id="{{photo}}", length=10)
    tracks = tuple(Track(clips=(Clip(content=each),)) for each in contents or (photo, title))
    return Timeline(canvas=CANVAS, tracks=tracks, variables=variables or (NAME, COLOR, PHOTO))


def project(timeline: Timeline) -> Project:
    return Project(name="Cards/2026", timeline_json=timeline.to_json(), timeline_version=1)


def paths(invalid: pytest.ExceptionInfo[TimelineInvalid]) -> list[str]:
    return [each.path for each in invalid.value.problems]


def order(rows: list[Row], timeline: Timeline | None = None, output: Output = STILL) -> Order:
    return project(timeline or card()).start_batch(output, rows, FACTS, user_id="u")


def test_a_filled_template_is_a_timeline_without_variables():
    filled = resolved(card(), {"name": "Ada"})
    photo, title = (track.clips[0].content for track in filled.tracks)
    assert (photo, title) == (
        Image(asset_id="usual", length=10),
        Text(text="For Ada", length=10, size=20, color="#ffffff"),
    )
    assert filled.variables == ()


def test_a_timeline_without_variables_stays_as_it_is():
    plain = Timeline(canvas=CANVAS, tracks=(Track(clips=(Clip(content=Text(text="{{x}}", length=1, size=9)),)),))
    assert resolved(plain, {}) == plain


def test_what_cannot_be_put_in_is_told_at_once():
    with pytest.raises(TimelineInvalid) as refused:
        resolved(card(), {"color": "red", "age": "7"})
    assert paths(refused) == ["values.color", "values.age", "values.name"]
    with pytest.raises(TimelineInvalid) as refused:
        resolved(card(), {"name": "{{color}}"})
    assert paths(refused) == ["values.name"]


def test_a_look_at_a_template_needs_no_values():
    seen = shown_with(card(), {"color": "#000000"})
    assert seen.tracks[1].clips[0].content == Text(text="For {{ name }}", length=10, size=20, color="#000000")
    with pytest.raises(TimelineInvalid) as refused:
        shown_with(card(), {"age": "7"})
    assert paths(refused) == ["values.age"]


def test_a_template_may_need_the_assets_of_its_defaults_and_of_all_values():
    assert assets_of(card(), {"photo": "other"}, {"name": "no asset"}) == {"usual", "other"}


def test_a_render_of_a_template_is_known_by_its_values_and_keeps_what_it_is_of():
    asked = project(card()).start_render(STILL, FACTS, user_id="u", active_job_id=None, values={"name": "Ada"})
    spec = asked.spec
    assert isinstance(spec, RenderSpec)
    assert Timeline.from_json(spec.timeline) == resolved(card(), {"name": "Ada"})
    same = Order(spec=project(card()).render_spec(STILL, {"name": "Ada"}), project_id="p", user_id="u")
    other = Order(spec=project(card()).render_spec(STILL, {"name": "Bob"}), project_id="p", user_id="u")
    assert same.digest == asked.digest != other.digest


def test_a_key_that_was_given_before_there_were_values_stays_good():
    assert project(card()).render_spec(STILL).asked() == {"output": STILL.to_json()}


def test_a_batch_asks_for_a_render_of_each_row():
    spec = order([Row(values={"name": "Ada"}, name="Ada's"), Row(values={"name": "Bob", "photo": "other"})]).spec
    assert isinstance(spec, RenderBatchSpec)
    spec = RenderBatchSpec.from_json(spec.to_json())
    renders = list(spec.renders())
    assert [each.name for each in renders] == ["Ada's.png", "Cards-2026 2.png"]
    assert [Timeline.from_json(each.timeline) for each in renders] == [
        resolved(card(), {"name": "Ada"}),
        resolved(card(), {"name": "Bob", "photo": "other"}),
    ]
    assert spec.asset_ids == {"usual", "other"}


def test_a_batch_is_known_by_its_rows_and_not_by_the_projects_name():
    rows = [Row(values={"name": "Ada"})]
    renamed = project(card())
    renamed.name = "Other"
    assert renamed.batch_spec(STILL, rows).asked() == project(card()).batch_spec(STILL, rows).asked()
    assert row_names("P", [Row()] * 12)[8:10] == ["P 09", "P 10"]


def test_every_problem_of_every_row_is_told_with_its_place():
    rows = [Row(values={"name": "Ada"}), Row(), Row(values={"name": " ", "photo": "gone"})]
    with pytest.raises(TimelineInvalid) as refused:
        order(rows)
    assert paths(refused) == ["rows.1.values.name", "rows.2.tracks.0.clips.0.content.image.assetId"]
    with pytest.raises(TimelineInvalid) as refused:
        order([Row(values={"name": "x" * 5_001}), Row(values={"name": "Ada", "color": "#12345678"})])
    assert paths(refused)[0] == "rows.0.values.name"


def test_a_mistake_in_a_template_is_told_of_so_many_rows_only():
    variables = tuple(Variable(name=f"v{number}") for number in range(100))
    with pytest.raises(TimelineInvalid) as refused:
        order([Row()] * 500, card(*variables, contents=(Text(text="a", length=1, size=9),)))
    assert len(refused.value.problems) == MOST_PROBLEMS


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ([], "rows"),
        ([Row(values={"name": "Ada"})] * 501, "rows"),
        ([Row(values={"name": "Ada"}, name="a"), Row(values={"name": "Ada"}, name="a")], "rows.1.name"),
        ([Row(values={"name": "Ada"}), Row(values={"name": "Ada"}, name="Cards-2026 1")], "rows.1.name"),
        ([Row(values={"name": "Ada"}, name="a/b")], "rows.0.name"),
        ([Row(values={"name": "Ada"}, name="")], "rows.0.name"),
        ([Row(values={"name": "Ada"}, name="x" * 81)], "rows.0.name"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_with_the_place(rows: list[Row], path: str):
    with pytest.raises(TimelineInvalid) as refused:
        order(rows)
    assert paths(refused) == [path]


def test_many_rows_of_many_clips_are_too_many():
    clips = tuple(Text(text="{{name}}", length=1, size=9) for _ in range(51))
    with pytest.raises(TimelineInvalid) as refused:
        order([Row(values={"name": "Ada"})] * 500, card(NAME, contents=clips))
    assert [each.message for each in refused.value.problems] == [
        "500 rows of 51 clips each are too many at once: 490 may be"
    ]


def test_rows_of_a_large_timeline_are_fewer():
    cues = tuple(Cue(start=each, end=each + 1, text="{{name}} " + "x" * 90) for each in range(10_000))
    large = card(NAME, contents=(Captions(cues=cues, size=20),))
    size = len(json.dumps(large.to_json()))
    with pytest.raises(TimelineInvalid) as refused:
        order([Row(values={"name": "Ada"})] * 500, large)
    assert [(each.path, each.message) for each in refused.value.problems] == [
        ("rows", f"500 rows of a timeline of {size} bytes are too many at once: {MOST_BYTES // size} may be")
    ]


def test_an_output_that_cannot_be_made_is_refused():
    with pytest.raises(InvalidInput) as refused:
        order([Row(values={"name": "Ada"})], output=Output(format=Format.PNG, width=320, height=180, frame=10))
    assert refused.value.path == "output.still.frame"
