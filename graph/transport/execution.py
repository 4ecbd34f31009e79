"""graphql-core driven: an operation bound to its context, and what comes of it."""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# graphql-core's Executor is generic over a parameter that its own functions do not name.

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Mapping
from typing import Any, cast

from graphql import ExecutionResult, GraphQLError
from graphql.execution import (
    Executor,
    create_source_event_stream,
    execute_root_selection_set,
    map_source_to_response_event,
)
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from graph.transport.documents import Document
from graph.transport.errors import Rejected, coded


def bound(
    schema: Schema,
    document: Document,
    *,
    name: str | None,
    variables: Mapping[str, object],
    extensions: Mapping[str, object],
    context: object,
) -> Executor[Any]:
    """An operation with its variables and its context; raise Rejected when the variables do not fit their types."""
    executor = schema.execution_context_class.build(
        schema._schema,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # there is no public way to it
        document.node,
        context_value=context,
        raw_variable_values=dict(variables),
        operation_name=name,
        is_awaitable=optimized_is_awaitable,  # pyright: ignore[reportArgumentType]  # a guard annotated as bool
        operation_extensions=dict(extensions),
    )
    if isinstance(executor, list):
        raise Rejected([coded(error, "BAD_USER_INPUT") for error in executor])
    return executor


async def result_of(executor: Executor[Any]) -> ExecutionResult:
    """Execute a query or a mutation. Errors of fields are in the result, raised ones are not about a field."""
    result = execute_root_selection_set(executor)
    if isinstance(result, ExecutionResult):
        return result
    return await result


async def events_of(executor: Executor[Any]) -> AsyncGenerator[ExecutionResult]:
    """Start a subscription and return its results, or raise what keeps it from starting.

    What the source raises later is raised by the results, as it is. Closing them closes the source.
    """
    source = create_source_event_stream(executor)
    if isinstance(source, Awaitable):
        source = await cast("Awaitable[AsyncIterable[object] | ExecutionResult]", source)
    if isinstance(source, ExecutionResult):
        raise (source.errors or [GraphQLError("The subscription did not start.")])[0]
    return map_source_to_response_event(executor, source)
