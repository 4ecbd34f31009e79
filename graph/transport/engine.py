"""Operations executed: one context for each, and for each event of a subscription, whatever the transport."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self, TypeVar, cast

from graphql import ExecutionResult, OperationType
from graphql.execution import Executor
from strawberry import Schema

from domain.viewer import Viewer
from graph.transport.documents import Document, Documents
from graph.transport.errors import Rejected, presented
from graph.transport.execution import bound, result_of, result_of_event, source_of
from graph.transport.limits import DEFAULT_LIMITS, Limits
from graph.transport.live import Answer, Answers, Latest, Log, LogGroup, State, StateGroup, Stop, Subscriber
from graph.transport.request import Request, encode

T = TypeVar("T")


class Context(Protocol):
    """What the resolvers of one operation, or of one event, have at hand."""

    def beside(self) -> Self:
        """One for another event of the same moment: what the two look up is looked up together."""
        ...


class InvalidToken(Exception):
    """An Authorization was given, and it is no valid bearer token."""


@dataclass(frozen=True)
class Operation:
    """One operation of a valid document, and the request that asked for it: ready to run."""

    document: Document
    name: str | None
    kind: OperationType
    request: Request

    def key_for(self, viewer: Viewer | None) -> object:
        """Equal for operations that show the same; the viewer counts unless the document shows everybody the same."""
        asked = json.dumps([self.request.variables, self.request.extensions], sort_keys=True)
        return self.document, self.name, asked, viewer


def _stays(_viewer: Viewer, _ended: Callable[[], None]) -> Stop:
    return lambda: None


class Engine:
    """Executes operations of a schema. It knows no transport; each of them reads a Request and runs an Operation."""

    def __init__(
        self,
        schema: Schema,
        *,
        authenticate: Callable[[str], Awaitable[Viewer | None]],
        context: Callable[[Viewer | None, str], Context],
        stays: Callable[[Viewer, Callable[[], None]], Stop] = _stays,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Take what tells a bearer token's viewer (None: it is not valid), and what makes one operation's context.

        The context is made for (viewer, request id). `stays(viewer, ended)` watches a sign-in while a connection is
        open: it calls `ended` when the viewer has to go, and returns what ends the watching.
        """
        self.limits = limits
        self.documents = Documents(schema, limits)
        self.stays = stays
        self._schema = schema
        self._authenticate = authenticate
        self._context = context
        self._states: dict[object, StateGroup[Any]] = {}
        self._logs: dict[object, LogGroup[Any]] = {}

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
        to end a subscription: its source is closed before that returns.
        """
        if operation.kind is not OperationType.SUBSCRIPTION:
            yield await self._once(operation, viewer, request_id)
            return
        watched = await self.subscribe(operation, viewer, request_id)
        if isinstance(watched, Showing):
            latest = Latest()
            watched.to(latest)
            try:
                async for answer in latest.answers():
                    yield answer
            finally:
                watched.stop()
        else:
            async with aclosing(watched) as answers:
                async for answer in answers:
                    yield answer

    async def subscribe(
        self, operation: Operation, viewer: Viewer | None, request_id: str
    ) -> "Showing | AsyncGenerator[str]":
        """Admit a subscriber: to a state, which they are to be shown, or to anything else, to be iterated and closed.

        Raise Rejected when they are not admitted.
        """
        try:
            executor = self._bound(operation, viewer, request_id)
            source = await source_of(executor)
        except Rejected:
            raise
        except Exception as error:
            raise _broken(error, request_id) from error
        executor.context_value = None  # each event has one of its own
        if not isinstance(source, State | Log):
            return self._iterated(source, self._answer(executor, viewer, request_id), request_id)
        # What shows everybody the same is executed for nobody: what asks who asks fails there, and leaks nothing.
        shared = operation.document.is_same_for_all(operation.name)
        whose = None if shared or viewer is None else replace(viewer, expires_at=None)
        key = operation.key_for(whose)
        if isinstance(source, State):
            answer = self._answer(executor, whose, request_id)
            return Showing(self._states, key, cast("State[Any]", source), answer, request_id)
        return self._told(key, cast("Log[Any]", source), self._answers(executor, whose, request_id), request_id)

    async def _once(self, operation: Operation, viewer: Viewer | None, request_id: str) -> str:
        try:
            return _encoded(await result_of(self._bound(operation, viewer, request_id)), request_id)
        except Rejected:
            raise
        except Exception as error:
            raise _broken(error, request_id) from error

    async def _iterated(
        self, source: AsyncIterable[object], answer: Answer[object], request_id: str
    ) -> AsyncGenerator[str]:
        """The responses of a source that is like no other."""
        try:
            async for value in source:
                text = answer(value)
                yield text if isinstance(text, str) else await text
        except Rejected:
            raise
        except Exception as error:
            raise _broken(error, request_id) from error
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    async def _told(self, key: object, log: Log[T], answers: Answers[T], request_id: str) -> AsyncGenerator[str]:
        """The responses of a log."""
        lost: list[Rejected] = []
        group = self._logs.get(key)
        if group is None:
            group = self._logs[key] = LogGroup(log.feed, log.end, answers, partial(self._logs.pop, key, None))

        def lose(refusal: Exception) -> None:
            lost.append(_broken(refusal, request_id))
            group.wake()

        stop = log.hold(lose)
        try:
            async with aclosing(group.answers(log.after, lambda: lost[0] if lost else None)) as texts:
                async for text in texts:
                    yield text
        except Rejected:
            raise
        except Exception as error:
            raise _broken(error, request_id) from error
        finally:
            stop()

    def _answer(self, executor: Executor[Any], viewer: Viewer | None, request_id: str) -> Answer[Any]:
        """What executes a subscription for one value of its source, in a context of its own."""

        def answer(value: object) -> str | Awaitable[str]:
            try:
                context = self._context(viewer, request_id)
            except Exception as error:
                raise _broken(error, request_id) from error
            return self._executed(executor, value, context, request_id)

        return answer

    def _answers(self, executor: Executor[Any], viewer: Viewer | None, request_id: str) -> Answers[Any]:
        """What executes a subscription for some values of its source, in contexts beside each other."""

        async def answers(values: Sequence[object]) -> list[str]:
            try:
                first = self._context(viewer, request_id)
                contexts = [first, *(first.beside() for _ in values[1:])]
            except Exception as error:
                raise _broken(error, request_id) from error

            async def one(value: object, context: Context) -> str:
                text = self._executed(executor, value, context, request_id)
                return text if isinstance(text, str) else await text

            return await asyncio.gather(*map(one, values, contexts))

        return answers

    def _executed(
        self, executor: Executor[Any], value: object, context: Context, request_id: str
    ) -> str | Awaitable[str]:
        async def later(result: Awaitable[ExecutionResult]) -> str:
            try:
                return _encoded(await result, request_id)
            except Exception as error:
                raise _broken(error, request_id) from error

        try:
            result = result_of_event(executor, value, context)
            return _encoded(result, request_id) if isinstance(result, ExecutionResult) else later(result)
        except Exception as error:
            raise _broken(error, request_id) from error

    def _bound(self, operation: Operation, viewer: Viewer | None, request_id: str) -> Executor[Any]:
        return bound(
            self._schema,
            operation.document,
            name=operation.name,
            variables=operation.request.variables,
            extensions=operation.request.extensions,
            context=self._context(viewer, request_id),
        )


class Showing:
    """A state that a subscriber was admitted to."""

    __slots__ = ("_answer", "_groups", "_key", "_request_id", "_state", "_stops", "_subscriber")

    def __init__(
        self,
        groups: dict[object, StateGroup[Any]],
        key: object,
        state: State[Any],
        answer: Answer[Any],
        request_id: str,
    ) -> None:
        """Show it together with those of the same key."""
        self._groups = groups
        self._key = key
        self._state: State[Any] | None = state
        self._answer: Answer[Any] | None = answer
        self._request_id = request_id
        self._subscriber: Subscriber | None = None
        self._stops: tuple[Stop, ...] = ()

    def to(self, subscriber: Subscriber) -> None:
        """Show it from now on, until it ends, or they lose the right to see it, or stop."""
        assert self._state  # noqa: S101 - it is shown once
        assert self._answer  # noqa: S101
        state, answer, key = self._state, self._answer, self._key
        self._state = self._answer = None  # the group has them, of its first member
        group = self._groups.get(key)
        if group is None:
            over = partial(self._groups.pop, key, None)
            group = self._groups[key] = StateGroup(state.feed, state.every, answer, over)
        self._subscriber = subscriber
        self._stops = (group.join(subscriber, state.present), state.hold(self._lose))

    def stop(self) -> None:
        """Show it no longer."""
        for stop in self._stops:
            stop()
        self._stops = ()

    def _lose(self, refusal: Exception) -> None:
        self.stop()
        if self._subscriber:
            self._subscriber.end(_broken(refusal, self._request_id).errors)


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
