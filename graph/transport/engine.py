"""Operations executed: one context for each, whatever the transport."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

from graphql import ExecutionResult, OperationType
from graphql.execution import Executor
from strawberry import Schema

from domain.viewer import Viewer
from graph.transport.documents import Document, Documents
from graph.transport.errors import Rejected, presented
from graph.transport.execution import bound, events_of, result_of
from graph.transport.limits import DEFAULT_LIMITS, Limits
from graph.transport.request import Request, encode


class InvalidToken(Exception):
    """An Authorization was given, and it is no valid bearer token."""


@dataclass(frozen=True)
class Operation:
    """One operation of a valid document, and the request that asked for it: ready to run."""

    document: Document
    name: str | None
    kind: OperationType
    request: Request


class Engine:
    """Executes operations of a schema. It knows no transport; each of them reads a Request and runs an Operation."""

    def __init__(
        self,
        schema: Schema,
        *,
        authenticate: Callable[[str], Awaitable[Viewer | None]],
        open_context: Callable[[Viewer | None, str], AbstractAsyncContextManager[object]],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Take what tells a bearer token's viewer (None: it is not valid), and what opens one operation's context.

        The context is opened for (viewer, request id) and closed when the operation has ended, before the answer of a
        query or a mutation is sent.
        """
        self.limits = limits
        self.documents = Documents(schema, limits)
        self._schema = schema
        self._authenticate = authenticate
        self._open_context = open_context

    async def viewer(self, authorization: str | None) -> Viewer | None:
        """Who asks, by the value of an Authorization header; nobody when there is none.

        Raise InvalidToken when there is one that is not a valid bearer token.
        """
        if authorization is None:
            return None
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise InvalidToken
        viewer = await self._authenticate(token.strip())
        if viewer is None:
            raise InvalidToken
        return viewer

    def prepare(self, request: Request, request_id: str) -> Operation:
        """Find the operation that is meant; raise Rejected when the document is not valid or too large."""
        try:
            document = self.documents.read(request.query)
        except Rejected:
            raise
        except Exception as error:
            raise _broken(error, request_id) from error
        operation = document.operation(request.operation_name)
        name = operation.name.value if operation.name else None
        return Operation(document, name, operation.operation, request)

    async def run(self, operation: Operation, viewer: Viewer | None, request_id: str) -> AsyncGenerator[str]:
        """Yield the encoded responses: one for a query or a mutation, any number for a subscription.

        Raise Rejected when the operation could not start, or a subscription broke off. Close the generator (`aclosing`)
        to end a subscription: its source and its context are closed before that returns.
        """
        try:
            if operation.kind is OperationType.SUBSCRIPTION:
                async with (
                    self._open_context(viewer, request_id) as context,
                    aclosing(await events_of(self._bound(operation, context))) as events,
                ):
                    async for event in events:
                        yield _encoded(event, request_id)
            else:
                async with self._open_context(viewer, request_id) as context:
                    result = await result_of(self._bound(operation, context))
                yield _encoded(result, request_id)
        except Rejected:
            raise
        except Exception as error:
            raise _broken(error, request_id) from error

    def _bound(self, operation: Operation, context: object) -> Executor[Any]:
        return bound(
            self._schema,
            operation.document,
            name=operation.name,
            variables=operation.request.variables,
            extensions=operation.request.extensions,
            context=context,
        )


def _broken(error: Exception, request_id: str) -> Rejected:
    answer = presented([error], request_id)
    ours = answer[0].get("extensions", {}).get("code") == "INTERNAL"
    return Rejected(answer, status=500 if ours else 400)


def _encoded(result: ExecutionResult, request_id: str) -> str:
    """The response as JSON that is certain to encode as UTF-8."""
    response: dict[str, object] = {}
    if result.errors:
        response["errors"] = presented(result.errors, request_id)
    response["data"] = result.data
    text = encode(response)
    if not text.isascii():
        text.encode()  # raises here, where it is masked, and not in the server
    return text
