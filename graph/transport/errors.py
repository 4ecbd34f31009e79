"""What a client may read of an error, and what it may not."""

import logging
from collections.abc import Sequence

from graphql import GraphQLError, GraphQLFormattedError, ValueNode
from strawberry.exceptions import StrawberryInputCoercionError

from domain.refusals import Refusal

_log = logging.getLogger(__name__)
_LOGGED = 10
"""Tracebacks of one result that are logged: a broken field of a list of thousands says the same thousands of times."""


class Rejected(Exception):
    """The operation was not executed, or its stream has broken off. The errors are fit for the client's eyes."""

    def __init__(self, errors: Sequence[GraphQLFormattedError], *, status: int = 400) -> None:
        """Status is what HTTP makes of it: 400 for the client's fault, 500 for ours."""
        super().__init__(errors[0].get("message"))
        self.errors = list(errors)
        self.status = status


def formatted(message: str, code: str, **facts: object) -> GraphQLFormattedError:
    """One error as it goes over the wire."""
    return {"message": message, "extensions": {"code": code, **facts}}


def coded(error: GraphQLError, code: str) -> GraphQLFormattedError:
    """An error about the request itself, with this code unless it has one of its own."""
    return {**error.formatted, "extensions": {"code": code, **(error.extensions or {})}}


def presented(errors: Sequence[Exception], request_id: str) -> list[GraphQLFormattedError]:
    """What the client reads of these; the unexpected ones are logged with their tracebacks and say nothing."""
    answer: list[GraphQLFormattedError] = []
    masked = 0
    for error in errors:
        expected = _expected(error)
        if expected is None:
            masked += 1
            if masked <= _LOGGED:
                path = error.path if isinstance(error, GraphQLError) else None
                _log.error("request %s failed at %s", request_id, path, exc_info=_root(error))
        answer.append(expected or _masked(error, request_id))
    if masked > _LOGGED:
        _log.error("request %s failed at %d more places", request_id, masked - _LOGGED)
    return answer


def _expected(error: Exception) -> GraphQLFormattedError | None:
    if isinstance(error, GraphQLError) and (error.extensions or {}).get("code"):
        return error.formatted  # raised on purpose; graphql-core hands its extensions on to the located error
    cause = _root(error)
    if isinstance(cause, Refusal):
        return _located(error, formatted(cause.message, cause.code))
    if isinstance(cause, GraphQLError) and _blames_a_value(cause):
        return _located(error, formatted(cause.message, "BAD_USER_INPUT"))
    return None


def _blames_a_value(error: GraphQLError) -> bool:
    """Whether a value of the client was found wanting while executing, e.g. null for a non-null argument.

    Validation cannot see those: a nullable variable with a default may stand in a non-null place. All other errors of
    graphql-core during execution are about what *we* returned, and blame the field.
    """
    return isinstance(error, StrawberryInputCoercionError) or (
        bool(error.nodes) and isinstance(error.nodes[0], ValueNode)
    )


def _masked(error: Exception, request_id: str) -> GraphQLFormattedError:
    message = f"Something went wrong on our side; quote request id {request_id}."
    return _located(error, formatted(message, "INTERNAL", requestId=request_id))


def _located(error: Exception, answer: GraphQLFormattedError) -> GraphQLFormattedError:
    place = error.formatted if isinstance(error, GraphQLError) else GraphQLFormattedError()
    return {**place, **answer}


def _root(error: Exception) -> Exception:
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error
