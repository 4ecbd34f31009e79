"""graphql-core driven: an operation bound to its context, and what comes of it."""
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# graphql-core's Executor is generic over a parameter that its own functions do not name.

from collections.abc import AsyncIterable, Awaitable, Mapping
from typing import Any, cast

from graphql import ExecutionResult, GraphQLError
from graphql.execution import (
    Executor,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
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


async def source_of(executor: Executor[Any]) -> AsyncIterable[object]:
    """Start a subscription: what its resolver answers with. Raise what keeps it from starting."""
    source = create_source_event_stream(executor)
    if isinstance(source, Awaitable):
        source = await cast("Awaitable[AsyncIterable[object] | ExecutionResult]", source)
    if isinstance(source, ExecutionResult):
        raise (source.errors or [GraphQLError("The subscription did not start.")])[0]
    return source


def result_of_event(
    executor: Executor[Any], value: object, context: object
) -> ExecutionResult | Awaitable[ExecutionResult]:
    """Execute a subscription for one value of its source, in a context of its own."""
    event = executor.build_per_event_executor(value)
    event.context_value = context
    # graphql-core remembers the selections of every event of a subscription for as long as that is open.
    event._relevant_sub_fields = {}  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a leak of 3.3.2
    return execute_subscription_event(event)
