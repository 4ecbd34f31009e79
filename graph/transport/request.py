"""One GraphQL request, read strictly from what a stranger sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""Escapes that may spell a NUL or half a surrogate pair: only then is every string looked at."""


class BadRequest(Exception):
    """What came is no GraphQL request; the message says why."""


@dataclass(frozen=True)
class Request:
    """What a client asks for: well-formed, not yet known to make sense."""

    query: str
    variables: Mapping[str, object] = field(default_factory=dict[str, object])
    operation_name: str | None = None
    extensions: Mapping[str, object] = field(default_factory=dict[str, object])

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read the members of a request; raise BadRequest when one is missing or of the wrong type."""
        if isinstance(value, list):
            raise BadRequest("Batches are not supported: send one request at a time.")
        members = _object(value, "The request")
        query = members.get("query")
        if not isinstance(query, str) or not query.strip():
            raise BadRequest("The request needs a query, a string that is not empty.")
        name = members.get("operationName")
        if name is not None and not isinstance(name, str):
            raise BadRequest("operationName must be a string.")
        return cls(
            query=query,
            variables=_optional(members, "variables"),
            operation_name=name or None,
            extensions=_optional(members, "extensions"),
        )


def read_json(raw: bytes | str) -> object:
    """Read JSON from a stranger; raise BadRequest for what is not JSON, and for strings that are not text.

    PostgreSQL keeps no NUL and UTF-8 has no half surrogate pairs, so no string of ours could hold them.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        value: object = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BadRequest("The request is not UTF-8.") from None
    except RecursionError:
        raise BadRequest("The request is nested too deeply.") from None
    except ValueError as error:  # a syntax error, or a number of thousands of digits
        raise BadRequest(f"The request is not JSON: {error}.") from None
    if _SUSPECT.search(text):
        _refuse_what_is_not_text(value)
    return value


def encode(value: object) -> str:
    """Compact JSON; raise ValueError for what JSON cannot say."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _optional(members: dict[str, object], name: str) -> dict[str, object]:
    value = members.get(name)
    return {} if value is None else _object(value, name)


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadRequest(f"{what} must be a JSON object.")
    return cast("dict[str, object]", value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadRequest("The request has an object with the same key twice.")
    return members


def _no_constant(name: str) -> object:
    raise BadRequest(f"The request is not JSON: {name} is not a number.")


def _refuse_what_is_not_text(value: object) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            members = cast("dict[str, object]", item)
            waiting.extend(members.keys())
            waiting.extend(members.values())
        elif isinstance(item, list):
            waiting.extend(cast("list[object]", item))
        elif isinstance(item, str) and not is_text(item):
            raise BadRequest("The request has a string with a NUL or half a surrogate pair, which is not text.")


def is_text(string: str) -> bool:
    """Whether the string can be stored and sent: no NUL, no half of a surrogate pair."""
    return "\0" not in string and not any("\ud800" <= character <= "\udfff" for character in string)
