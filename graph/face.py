"""Faces: the GraphQL type of an entity, as a list of what may be seen of it.

A face's fields are read from the entity itself, which *is* the GraphQL value. A field marked `auto` takes its type
from the entity's own declaration; the listing stays explicit, or a column would become public by accident.
"""

from collections.abc import Callable
from enum import EnumMeta
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import strawberry
from sqlalchemy.orm import Mapped
from strawberry import auto

from domain.entity import Worded
from graph.transport.sharing import SAME_FOR_ALL

T = TypeVar("T")
W = TypeVar("W", bound=type[Worded])


def said(sentence: str, **options: Any) -> Any:
    """A field shown as it stands on the entity, with the sentence a client reads about it.

    What has no resolver shows everybody the same. Another field says so by `metadata=SAME_FOR_ALL`, or is not shared.
    """
    return strawberry.field(description=sentence, metadata=SAME_FOR_ALL, **options)


def worded(enum: W, *, name: str | None = None) -> W:
    """Show an enum of the domain, each value with its own sentence."""
    assert isinstance(enum, EnumMeta)  # noqa: S101 - for the type checker: Worded is an enum
    shown: Any = strawberry.enum(enum, name=name, description=sentence(enum))
    for value, member in zip(shown.__strawberry_definition__.values, enum, strict=True):
        value.description = member.sentence
    return enum


def face(entity: type, *, name: str | None = None) -> Callable[[type[T]], type[T]]:
    """Make a class the face of an entity (or of any plain object of the domain)."""

    def made(cls: type[T]) -> type[T]:
        hints = get_type_hints(entity, include_extras=True)
        for field, annotation in list(cls.__annotations__.items()):
            if annotation is auto:
                cls.__annotations__[field] = _plain(hints[field])

        def is_type_of(value: Any, _info: Any) -> bool:
            return isinstance(value, (entity, cls))

        cls.is_type_of = staticmethod(is_type_of)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # what Strawberry looks for
        return strawberry.type(cls, name=name or entity.__name__, description=sentence(cls))

    return made


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Mapped else annotation


def sentence(cls: type) -> str:
    """What a class says of itself, on one line."""
    if not cls.__doc__:
        raise TypeError(f"{cls.__name__} has no docstring for clients to read")
    return " ".join(cls.__doc__.split())


@strawberry.interface(description="Anything with a global id.")
class Node:
    """What `node(id)` can find."""

    id: strawberry.ID = said("Opaque and unique among all things of all kinds.")
