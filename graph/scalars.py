"""Scalars of our own."""

from typing import Any, NewType

import strawberry
from graphql import GraphQLError

Long = NewType("Long", int)
"""A size in bytes: GraphQL's own Int ends at 2 GiB."""

_LARGEST = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""


def _long(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
        raise GraphQLError(f"Long cannot represent {value!r}: it must be a whole number within ±{_LARGEST}.")
    return value


SCALARS: dict[object, Any] = {
    Long: strawberry.scalar(
        name="Long",
        description="A whole number beyond 32 bits, as a JSON number: sizes in bytes.",
        serialize=int,
        parse_value=_long,
    ),
}
