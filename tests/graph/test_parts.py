"""What the domain declares of an edit is what clients write and read, to the last field."""

import json
from dataclasses import MISSING, fields
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, get_args, get_origin

import pytest
import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLUnionType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from domain.entity import Worded
from domain.refusals import Problem, TimelineInvalid
from domain.timeline import Timeline, problems
from domain.timeline.content import Content
from domain.timeline.effect import Effect
from domain.timeline.value import AssetId, Kinds, Part, hints, part, said, shown, without_none
from graph.parts import faces, inputs, read
from graph.scalars import SCALARS
from graph.schema import build
from graph.timelines import TimelineFace, TimelineInput

CHOICES = (Content, Effect)
SCHEMA = build()._schema
DEEPEST = 2
"""How many compositions lie in one another here."""

_RATES = st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(120)])
_SCALARS: dict[object, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**31), 2**31 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(),
    bool: st.booleans(),
    AssetId: st.text(min_size=1),
    Fraction: _RATES,
}


def all_parts(root: type[Part] = Timeline) -> set[type[Part]]:
    """Every class of parts, found by looking for subclasses, not for what holds what."""
    found = {each for base in CHOICES for each in base.kinds.values()}
    waiting = [root, *found]
    while waiting:
        for annotation in hints(waiting.pop()).values():
            part = plain(annotation)
            if isinstance(part, type) and issubclass(part, Part) and part not in CHOICES and part not in found:
                found.add(part)
                waiting.append(part)
    return found | {root}


def plain(annotation: Any) -> Any:
    annotation, _ = without_none(annotation)
    return get_args(annotation)[0] if get_origin(annotation) is tuple else annotation


def type_name(part: type[Part]) -> str:
    return part.__name__ + next((base.__name__ for base in CHOICES if issubclass(part, base)), "")


# Every field is there


@pytest.mark.parametrize("part", sorted(all_parts(), key=type_name), ids=type_name)
def test_each_field_of_a_part_can_be_written_and_read_and_says_its_sentence(part: type[Part]) -> None:
    written, shown_as = SCHEMA.type_map[f"{part.__name__}Input"], SCHEMA.type_map[type_name(part)]
    assert isinstance(written, GraphQLInputObjectType)
    assert isinstance(shown_as, GraphQLObjectType)
    declared = {shown(each.name): each for each in fields(part)}
    assert list(written.fields) == list(declared)
    for name, field in declared.items():
        sentence = field.metadata["sentence"]
        for of_type in (written, shown_as):
            assert (of_type.fields[name].description or "").startswith(sentence)
    ids = [name for name, each in hints(part).items() if without_none(each)[0] is AssetId]
    stems = [name.removesuffix("_id") for name in ids]
    extra = {shown(f"{stem}_asset" if stem in hints(part) else stem) for stem in stems}
    assert set(shown_as.fields) == set(declared) | extra
    assert all(str(shown_as.fields[name].type) == "Asset" for name in extra)


@pytest.mark.parametrize("base", CHOICES)
def test_a_kind_is_one_of_the_choices_to_write_and_a_member_of_the_union_to_read(base: type[Kinds]) -> None:
    written, shown_as = SCHEMA.type_map[f"{base.__name__}Input"], SCHEMA.type_map[base.__name__]
    assert isinstance(written, GraphQLInputObjectType)
    assert written.extensions["strawberry-definition"].is_one_of
    assert isinstance(shown_as, GraphQLUnionType)
    assert {name: str(each.type) for name, each in written.fields.items()} == {
        name: f"{kind.__name__}Input" for name, kind in base.kinds.items()
    }
    assert {each.name for each in shown_as.types} == {type_name(kind) for kind in base.kinds.values()}


def test_what_is_usual_stands_in_the_schema() -> None:
    clip, text = SCHEMA.type_map["ClipInput"], SCHEMA.type_map["TextInput"]
    assert isinstance(clip, GraphQLInputObjectType)
    assert isinstance(text, GraphQLInputObjectType)
    assert (str(clip.fields["fit"].type), clip.fields["fit"].default_value) == ("Fit!", "CONTAIN")
    assert (str(clip.fields["scale"].type), clip.fields["scale"].default_value) == ("Float!", 1.0)
    assert (str(clip.fields["start"].type), clip.fields["start"].default_value) == ("Int", None)
    assert (str(text.fields["color"].type), text.fields["color"].default_value) == ("String!", "#ffffff")
    assert str(clip.fields["position"].type) == "PointInput"
    assert (clip.fields["position"].description or "").endswith("{ x: 0.5, y: 0.5 } if not said.")


# Written and read back


def timelines() -> st.SearchStrategy[Timeline]:
    return _parts(Timeline, DEEPEST)


@cache
def _parts(part: type[Part], left: int) -> st.SearchStrategy[Any]:
    if part in CHOICES:
        assert issubclass(part, Kinds)
        kinds = [kind for kind in part.kinds.values() if left or not _holds_clips(kind)]
        return st.one_of([_parts(kind, left - _holds_clips(kind)) for kind in kinds])
    needed = {each.name for each in fields(part) if each.default is MISSING}
    values = {name: _values(annotation, left) for name, annotation in hints(part).items()}
    given_ones = {name: each for name, each in values.items() if name in needed}
    others = {name: each for name, each in values.items() if name not in needed}
    return st.fixed_dictionaries(given_ones, optional=others).map(lambda each: part(**each))


def _values(annotation: Any, left: int) -> Any:
    annotation, is_optional = without_none(annotation)
    if is_optional:
        return st.none() | _values(annotation, left)
    if get_origin(annotation) is tuple:
        return st.lists(_values(get_args(annotation)[0], left), max_size=2).map(tuple)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    return st.sampled_from(list(annotation)) if issubclass(annotation, Worded) else _parts(annotation, left)


def _holds_clips(kind: type[Part]) -> bool:
    return "tracks" in hints(kind)


def written(value: Any, *, all_of_it: bool) -> Any:
    """As a client writes it, with or without what is as usual."""
    if isinstance(value, Part):
        kept = {
            shown(each.name): written(getattr(value, each.name), all_of_it=all_of_it)
            for each in fields(value)
            if all_of_it or getattr(value, each.name) != each.default
        }
        return {value.name: kept} if isinstance(value, Kinds) else kept
    if isinstance(value, tuple):
        return [written(each, all_of_it=all_of_it) for each in value]
    return str(value) if isinstance(value, Fraction) else value


def seen(value: Any) -> Any:
    """As a client reads it."""
    if isinstance(value, Part):
        name = type_name(type(value))
        own = {f"{name}_{shown(each.name)}": seen(getattr(value, each.name)) for each in fields(value)}
        return {"__typename": name, **own}
    if isinstance(value, tuple):
        return [seen(each) for each in value]
    return str(value) if isinstance(value, Fraction) else value


def selection(part: type[Part], left: int = DEEPEST) -> str:
    """All fields, each under a name of its own: the kinds have fields of the same name and other types."""
    if part in CHOICES:
        assert issubclass(part, Kinds)
        kinds = [kind for kind in part.kinds.values() if left or not _holds_clips(kind)]
        return " ".join(f"... on {type_name(kind)} {selection(kind, left - _holds_clips(kind))}" for kind in kinds)
    lines = ["__typename"]
    for name, annotation in hints(part).items():
        inner = plain(annotation)
        below = ""
        if isinstance(inner, type) and issubclass(inner, Part):
            below = selection(inner, left) if inner not in CHOICES else f"{{ {selection(inner, left)} }}"
        lines.append(f"{type_name(part)}_{shown(name)}: {shown(name)} {below}")
    return f"{{ {' '.join(lines)} }}"


_GOT: list[Timeline] = []


@strawberry.type
class _Query:
    @strawberry.field(graphql_type=TimelineFace)
    def echo(self, timeline: TimelineInput) -> Timeline:
        _GOT.append(timeline.value())
        return _GOT[-1]


_ECHO = strawberry.Schema(query=_Query, config=StrawberryConfig(scalar_map=SCALARS))
_ASK = f"query($timeline: TimelineInput!) {{ echo(timeline: $timeline) {selection(Timeline)} }}"


def echoed(given_one: Any, ask: str = _ASK) -> Any:
    result = _ECHO.execute_sync(ask, variable_values={"timeline": json.loads(json.dumps(given_one))})
    assert result.errors is None, result.errors
    assert result.data
    return result.data["echo"]


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(timeline=timelines(), all_of_it=st.booleans())
def test_any_timeline_is_read_as_it_was_written_and_stored(timeline: Timeline, all_of_it: bool) -> None:
    answer = echoed(written(timeline, all_of_it=all_of_it))
    assert _GOT.pop() == timeline
    assert answer == seen(timeline)
    assert Timeline.from_json(json.loads(json.dumps(timeline.to_json()))) == timeline


def test_null_for_a_part_that_is_always_there_is_what_is_usual() -> None:
    clip = {"content": {"text": {"text": "a", "length": 1, "size": 9}}, "position": None, "start": None}
    canvas = {"width": 320, "height": 180, "frameRate": "25"}
    echoed({"canvas": canvas, "tracks": [{"clips": [clip]}]})
    (placed,) = _GOT.pop().tracks[0].clips
    assert (placed.position.x, placed.position.y, placed.start) == (0.5, 0.5, None)


def test_a_frame_rate_that_is_none_is_refused_where_it_stands() -> None:
    with pytest.raises(TimelineInvalid) as refused:
        read(Timeline, {"canvas": {"width": 2, "height": 2, "frameRate": "fast"}, "tracks": []})
    assert [each.path for each in refused.value.problems] == ["canvas.frameRate"]


def nested(deep: int) -> dict[str, Any]:
    clip: dict[str, Any] = {"content": {"shape": {"width": 10, "height": 10, "length": 5}}}
    for _ in range(deep):
        clip = {"content": {"composition": {"width": 100, "height": 100, "tracks": [{"clips": [clip]}]}}}
    return {"canvas": {"width": 100, "height": 100, "frameRate": "25"}, "tracks": [{"clips": [clip]}]}


@pytest.mark.parametrize("deep", [16, 200, 5_000])
def test_compositions_in_one_another_without_end_are_refused_before_they_are_read(deep: int) -> None:
    with pytest.raises(TimelineInvalid) as refused:
        read(Timeline, nested(deep))
    assert refused.value.problems == [Problem("tracks", "more than 50 parts lie in one another")]


def test_compositions_somewhat_too_deep_are_refused_with_their_place() -> None:
    assert problems(read(Timeline, nested(3)), {}) == []
    (found,) = problems(read(Timeline, nested(15)), {})
    assert found.message == "compositions lie in one another more than 3 deep"


# A new kind is a class


class Shape(Kinds):
    """What is drawn."""

    kinds: ClassVar[dict[str, type["Shape"]]] = {}


@Shape.kind
class RoundBox(Shape):
    """A box with round corners."""

    radius: float = said("Of its corners.", 3.0)
    image_id: AssetId | None = said("What fills it.", None)


@part
class Drawing(Part):
    """Shapes, one over the other."""

    shapes: tuple[Shape, ...] = said("The lowest first.", ())


def test_a_new_kind_is_in_the_schema_by_being_declared() -> None:
    class DrawingInput:
        given: ClassVar[Any]

    class DrawingFace:
        pass

    inputs(Drawing, DrawingInput)
    faces(Drawing, DrawingFace)

    def draw(drawing: Any) -> Any:
        return read(Drawing, drawing.given)

    draw.__annotations__["drawing"] = DrawingInput
    query = type("Query", (), {"draw": strawberry.field(draw, graphql_type=DrawingFace)})
    schema = strawberry.Schema(query=strawberry.type(query), config=StrawberryConfig(scalar_map=SCALARS))
    result = schema.execute_sync(
        "{ draw(drawing: { shapes: [{ roundBox: {} }] }) { shapes { ... on RoundBoxShape { radius imageId } } } }"
    )
    assert (result.errors, result.data) == (None, {"draw": {"shapes": [{"radius": 3.0, "imageId": None}]}})
