"""The parts of an edit as clients write and read them, derived from how the domain declares them.

What is said of a part there is all there is to say: its fields, their types and sentences, and what holds if nothing is
said. So a new content or effect is one class, and no line here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from fractions import Fraction
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import strawberry
from strawberry import UNSET

from domain.asset import Asset
from domain.entity import Worded
from domain.refusals import Problem, TimelineInvalid
from domain.timeline.edit import parse_frame_rate
from domain.timeline.value import AssetId, Kinds, Part, hints, shown, without_none
from graph.context import Info
from graph.face import face, said, sentence, worded
from graph.transport.sharing import SAME_FOR_ALL

if TYPE_CHECKING:
    from graph.assets import AssetFace

P = TypeVar("P", bound=Part)
DEEPEST = 50
"""How many parts may lie in one another: far below Python's recursion limit, far beyond what the rules allow."""

Types = Mapping[type, Any]
"""The GraphQL types of the classes of the domain."""

MaybeAsset: TypeAlias = Annotated["AssetFace", strawberry.lazy("graph.assets")] | None


def inputs(root: type[Part], root_input: type) -> None:
    """Make a class the input type of a part, and make those of all parts within it: `XInput` for a part X.

    What is of several kinds has a field for each, of which exactly one is given. All types are there before any has its
    fields: a composition holds tracks, whose clips hold compositions.
    """
    made = {each: _bare(f"{each.__name__}Input") for each in _within(root)} | {root: root_input}
    for each, made_as in made.items():
        _fill(made_as, _kinds_to_choose(each, made) if _is_choice(each) else _fields_to_write(each, made))
        words = f"{sentence(each)} Exactly one of these." if _is_choice(each) else sentence(each)
        strawberry.input(made_as, description=words, one_of=_is_choice(each))
    definition: Any = root_input.__strawberry_definition__  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # Strawberry's own
    definition.from_input = _as_it_came


def faces(root: type[Part], root_face: type) -> None:
    """Make a class the face of a part, and make those of all parts within it.

    What is of several kinds is a union; its members are named after themselves and what they are a kind of, such as
    VideoContent. The value of the domain is the GraphQL value.
    """
    parts = [each for each in _within(root) if not _is_choice(each)]
    made: dict[type, Any] = {each: _bare(f"{each.__name__}Face") for each in parts} | {root: root_face}
    for choice in filter(_is_choice, _within(root)):
        members = tuple(made[each] for each in _kinds(choice).values())
        made[choice] = Annotated[Union[members], strawberry.union(choice.__name__, description=sentence(choice))]  # noqa: UP007 - the members are known at run time only
    for each in parts:
        made[each].__doc__ = each.__doc__
        _fill(made[each], dict(_fields_to_read(each, made)))
        choice = next(filter(_is_choice, each.__mro__), None)
        face(each, name=f"{each.__name__}{choice.__name__ if choice else ''}")(made[each])


def read(part: type[P], given: Mapping[str, Any], room: int = DEEPEST) -> P:
    """The part that a client wrote: an input that GraphQL has found to be of the part's type.

    Straight from there, without an object of each input type between. `room`: for how many parts in one another. Raises
    TimelineInvalid for more of them, and for a frame rate that is none.
    """
    if not room:
        raise TimelineInvalid(problems=[Problem("tracks", f"more than {DEEPEST} parts lie in one another")])
    values: dict[str, Any] = {}
    for name, key, reader, is_nullable in _readers(part):
        value = given.get(key)
        if value is not None:
            values[name] = reader(value, room - 1)
        elif is_nullable and key in given:
            values[name] = None
    return part(**values)


# Which parts there are


def _within(root: type[Part]) -> list[type[Part]]:
    """A part and all parts that it can hold, each once."""
    found: dict[type[Part], None] = {}

    def walk(part: type[Part]) -> None:
        if part not in found:
            found[part] = None
            held = _kinds(part).values() if _is_choice(part) else (_plain(each) for _, each in _declared(part))
            for each in held:
                if isinstance(each, type) and issubclass(each, Part):
                    walk(each)

    walk(root)
    return list(found)


def _is_choice(part: Any) -> bool:
    return isinstance(part, type) and "kinds" in vars(part)


def _kinds(choice: type) -> Mapping[str, type[Part]]:
    return choice.kinds if issubclass(choice, Kinds) else {}


def _declared(part: type[Part]) -> list[tuple[Field[Any], Any]]:
    """The fields of a part, each with its type."""
    declared = fields(cast("Any", part))  # every part is a dataclass; its decorator cannot say so
    return [(field, hints(part)[field.name]) for field in declared]


def _plain(annotation: Any) -> Any:
    """A type without its None and its list."""
    annotation, _ = without_none(annotation)
    return get_args(annotation)[0] if get_origin(annotation) is tuple else annotation


# Their types


def _bare(name: str) -> type:
    return type(name, (), {"__module__": __name__})


def _fill(made: type, members: Mapping[str, tuple[Any, Any]]) -> None:
    """Give a class its fields: for each name a type and what Strawberry calls a field."""
    made.__annotations__ = {name: annotation for name, (annotation, _) in members.items()}
    for name, (_, field) in members.items():
        setattr(made, name, field)


def _type_of(annotation: Any, made: Types) -> Any:
    """The GraphQL type of a field."""
    annotation, is_optional = without_none(annotation)
    if is_optional:
        return Optional[_type_of(annotation, made)]  # noqa: UP045 - of a type that is known at run time only
    if get_origin(annotation) is tuple:
        return list[_type_of(get_args(annotation)[0], made)]
    if annotation is AssetId:
        return strawberry.ID
    if annotation is Fraction:
        return str
    if issubclass(annotation, Worded) and not hasattr(annotation, "__strawberry_definition__"):
        worded(annotation)
    return made.get(annotation, annotation)


def _kinds_to_choose(choice: type, made: Types) -> dict[str, tuple[Any, Any]]:
    return {
        name: (Optional[made[kind]], strawberry.field(name=name, default=UNSET, description=sentence(kind)))  # noqa: UP045 - as above
        for name, kind in _kinds(choice).items()
    }


def _fields_to_write(part: type[Part], made: Types) -> dict[str, tuple[Any, Any]]:
    return {field.name: _field_to_write(field, annotation, made) for field, annotation in _declared(part)}


def _field_to_write(field: Field[Any], annotation: Any, made: Types) -> tuple[Any, Any]:
    wanted, words = _type_of(annotation, made), field.metadata["sentence"]
    options: dict[str, Any] = {"name": shown(field.name)}
    if field.default == ():
        options["default_factory"] = list
    elif isinstance(field.default, Part):
        wanted, options["default"] = Optional[wanted], UNSET  # noqa: UP045 - as above
        words = f"{words} {_literal(field.default)} if not said."
    elif field.default is not MISSING:
        options["default"] = str(field.default) if isinstance(field.default, Fraction) else field.default
    elif without_none(annotation)[1]:
        options["default"] = None
    return wanted, strawberry.field(description=words, **options)


def _literal(part: Part) -> str:
    return f"{{ {', '.join(f'{shown(name)}: {getattr(part, name)}' for name in hints(type(part)))} }}"


def _fields_to_read(part: type[Part], made: Types) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for field, annotation in _declared(part):
        name, words = field.name, field.metadata["sentence"]
        plain, wanted = _plain(annotation), _type_of(annotation, made)
        if plain is Fraction:
            yield name, (wanted, _as_text(name, words, wanted))
        elif plain is AssetId:
            yield name, (wanted, said(f"{words} Its id, whether or not it is still there.", name=shown(name)))
            asset = _name_of_asset(name, part)
            yield asset, (MaybeAsset, _asset(name, asset, words))
        else:
            yield name, (wanted, said(words, name=shown(name)))


def _name_of_asset(name: str, part: type[Part]) -> str:
    """What the asset behind an id is called: asset_id → asset; where that is taken, font_id → font_asset."""
    asset = name.removesuffix("_id")
    return f"{asset}_asset" if asset in hints(part) else asset


def _as_text(name: str, words: str, wanted: Any) -> Any:
    def text(self: Any) -> str | None:
        value = getattr(self, name)
        return None if value is None else str(value)

    return strawberry.field(text, name=shown(name), description=words, graphql_type=wanted, metadata=SAME_FOR_ALL)


def _asset(name: str, shown_as: str, words: str) -> Any:
    async def asset(self: Any, info: Info) -> Asset | None:
        return await info.context.loaders.get(Asset, getattr(self, name))

    words = f"{words.removesuffix('.')}; null when it was deleted."
    return strawberry.field(asset, name=shown(shown_as), description=words, graphql_type=MaybeAsset)


# Reading what was written


def _as_it_came(input_type: type[object], given: Mapping[str, Any], _context: object) -> object:
    """What a client wrote, kept until somebody reads it: an object for each part in between would cost the most."""
    made: object = object.__new__(input_type)
    vars(made)["given"] = given
    return made


@cache
def _readers(part: type[Part]) -> list[tuple[str, str, Callable[[Any, int], Any], bool]]:
    """For each field its name, what clients call it, what reads its value (with this room), and whether null is one."""
    return [
        (name, shown(name), _reader(annotation), without_none(annotation)[1])
        for name, annotation in hints(part).items()
    ]


def _reader(annotation: Any) -> Callable[[Any, int], Any]:
    annotation, _ = without_none(annotation)
    if get_origin(annotation) is tuple:
        each = _reader(get_args(annotation)[0])
        return lambda given, room: tuple(each(one, room) for one in given)
    if annotation is Fraction:
        return lambda given, _room: parse_frame_rate(given)
    if annotation is AssetId or not issubclass(annotation, Part):
        return lambda given, _room: given
    return partial(_chosen, annotation) if _is_choice(annotation) else partial(read, annotation)


def _chosen(choice: type, given: Mapping[str, Any], room: int) -> Part:
    ((name, value),) = given.items()  # @oneOf: validation lets exactly one through
    return read(_kinds(choice)[name], value, room)
