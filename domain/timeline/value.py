"""The parts of an edit as values: what they are is declared once, and everything else follows from the declaration.

From the fields of a part follow its stored form (here) and its faces in the API (`graph.timelines`): a new content or
effect is one class.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from fractions import Fraction
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    NewType,
    Self,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from domain.entity import Worded

T = TypeVar("T")

AssetId = NewType("AssetId", str)
"""The id of an asset, or a variable that stands for one."""


def said(sentence: str, default: Any = MISSING) -> Any:
    """A field of a part, with the sentence that clients read about it."""
    return field(default=default, metadata={"sentence": sentence})


@cache
def shown(name: str) -> str:
    """The name of a field as clients write it: in_ → in, fade_in → fadeIn."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(each.capitalize() for each in rest)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(said,))
def part(cls: type[T]) -> type[T]:
    """Declare a part of an edit: a frozen dataclass whose fields go by name."""
    return dataclass(frozen=True, kw_only=True)(cls)


class Part:
    """Anything in an edit. Plain values, compared by what they hold."""

    def to_json(self) -> dict[str, Any]:
        """The stored form; what is as usual is left out, and so needs no migration when it is added."""
        stored: dict[str, Any] = {}
        for each in fields(cast("Any", self)):
            value = getattr(self, each.name)
            if each.default is MISSING or value != each.default:
                stored[each.name] = _stored(value)
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The part that `to_json` wrote, equal in every value.

        Raises ValueError for one that says what only a newer version knows: without it, it would be another edit.
        """
        readers = _readers(cls)
        if unknown := stored.keys() - readers.keys():
            raise ValueError(f"a {cls.__name__} with {', '.join(sorted(unknown))} is of a newer version")
        return cls(**{name: readers[name](value) for name, value in stored.items()})


class Kinds(Part):
    """A part that is one of several kinds; each is stored, and named in paths, by its kind."""

    kinds: ClassVar[dict[str, type["Kinds"]]]
    """All that were declared, by name."""
    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Give each family of kinds a list of its own."""
        if Kinds in cls.__bases__:
            cls.kinds = {}

    @classmethod
    @dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(said,))
    def kind(cls, kind: type[T]) -> type[T]:
        """Declare a class to be one of the kinds, named after itself."""
        made: Any = part(kind)
        made.name = shown(re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower())
        cls.kinds[made.name] = made
        return made


def _stored(value: Any) -> Any:
    if isinstance(value, Kinds):
        return {value.name: value.to_json()}
    if isinstance(value, Part):
        return value.to_json()
    if isinstance(value, tuple):
        return [_stored(each) for each in cast("tuple[Any, ...]", value)]
    if isinstance(value, Fraction):
        return str(value)
    return value.value if isinstance(value, Worded) else value


@cache
def hints(cls: type) -> dict[str, Any]:
    """The types of a part's fields, by name, in order."""
    declared = get_type_hints(cls)
    return {each.name: declared[each.name] for each in fields(cast("Any", cls))}


def without_none(annotation: Any) -> tuple[Any, bool]:
    """A type without its None, and whether it had one."""
    if get_origin(annotation) in {Union, UnionType} and NoneType in get_args(annotation):
        (rest,) = (each for each in get_args(annotation) if each is not NoneType)
        return rest, True
    return annotation, False


@cache
def _readers(cls: type) -> dict[str, Callable[[Any], Any]]:
    return {name: _reader(annotation) for name, annotation in hints(cls).items()}


def _reader(annotation: Any) -> Callable[[Any], Any]:
    annotation, optional = without_none(annotation)
    if optional:
        read = _reader(annotation)
        return lambda value: None if value is None else read(value)
    if get_origin(annotation) is tuple:
        each = _reader(get_args(annotation)[0])
        return lambda value: tuple(each(one) for one in value)
    return _reader_of(annotation) if isinstance(annotation, type) else _as_it_is


def _reader_of(cls: type) -> Callable[[Any], Any]:
    if issubclass(cls, Kinds):
        return lambda value: _of_kind(cls, value)
    if issubclass(cls, Part):
        return cls.from_json
    return cls if issubclass(cls, Fraction | Worded | float) else _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _of_kind(base: type[Kinds], stored: Mapping[str, Any]) -> Kinds:
    ((name, values),) = stored.items()
    if name not in base.kinds:
        raise ValueError(f"a {base.__name__} of the kind {name} is of a newer version")
    return base.kinds[name].from_json(values)


def parts(value: Any) -> Iterator[Part]:
    """All parts of a part, itself first."""
    if isinstance(value, tuple):
        for each in cast("tuple[Any, ...]", value):
            yield from parts(each)
    elif isinstance(value, Part):
        yield value
        for name in _holding(type(value)):
            yield from parts(getattr(value, name))


@cache
def _holding(cls: type) -> tuple[str, ...]:
    """The fields that may hold parts: of thousands of clips, the others need not be looked at."""
    return tuple(name for name, annotation in hints(cls).items() if _holds_parts(annotation))


def _holds_parts(annotation: Any) -> bool:
    annotation, _ = without_none(annotation)
    if get_origin(annotation) is tuple:
        return _holds_parts(get_args(annotation)[0])
    return isinstance(annotation, type) and issubclass(annotation, Part)


@cache
def _naming(cls: type) -> tuple[str, ...]:
    """The fields that name assets."""
    return tuple(name for name, annotation in hints(cls).items() if without_none(annotation)[0] is AssetId)


def asset_ids(value: Part) -> frozenset[str]:
    """The assets that a part names anywhere within itself."""
    return frozenset(
        found for each in parts(value) for name in _naming(type(each)) if (found := getattr(each, name)) is not None
    )
