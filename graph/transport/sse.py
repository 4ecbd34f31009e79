"""GraphQL over server-sent events, in graphql-sse's distinct connections mode: one response for each operation."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graph.transport.connections import abort_of
from graph.transport.errors import Rejected, formatted
from graph.transport.limits import Limits
from graph.transport.live import Stop
from graph.transport.request import encode

_Write = Callable[[str], Awaitable[None]]


class EventStream(Response):
    """The answers as events. Ends, and closes them, as soon as the client goes away or the server drains.

    A stream that drains ends without a `complete`, by which clients know to connect again.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        answers: AsyncGenerator[str],
        limits: Limits,
        draining: asyncio.Event,
        stays: Callable[[Callable[[], None]], Stop] | None = None,
    ) -> None:
        """Take what Engine.run yields, or anything that yields encoded responses and may raise Rejected.

        `stays` calls back when whoever reads has to go, until what it returns is called.
        """
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._answers = answers
        self._limits = limits
        self._draining = draining
        self._stays = stays

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until they end, the client leaves, has to leave or reads nothing, or the server drains."""

        async def write(text: str) -> None:
            async with asyncio.timeout(self._limits.socket_stall_seconds):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        ended = asyncio.Event()
        events = asyncio.create_task(self._write_events(write))
        gone = asyncio.create_task(_disconnected(receive))
        others = [asyncio.create_task(each) for each in (ended.wait(), self._draining.wait(), self._keep_alive(write))]
        tasks = (events, gone, *others)
        stop = self._stays(ended.set) if self._stays else None
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if stop:
                stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if any(not each.cancelled() and isinstance(each.exception(), TimeoutError) for each in tasks):
            if abort := abort_of(scope):
                abort()
                await _disconnected(receive)
        elif gone.cancelled():  # somebody still listens
            if not events.cancelled():
                events.result()  # raises what only a fault of ours can have raised
            elif ended.is_set():
                message = "The sign-in has ended: sign in again."
                await write(_next(encode({"errors": [formatted(message, "UNAUTHENTICATED")]})) + _COMPLETE)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write_events(self, write: _Write) -> None:
        try:
            async with aclosing(self._answers) as answers:
                async for answer in answers:
                    await write(_next(answer))
        except Rejected as rejected:
            await write(_next(encode({"errors": rejected.errors})))
        await write(_COMPLETE)

    async def _keep_alive(self, write: _Write) -> None:
        while True:  # the first goes out at once: it sends the headers off, so that clients see the stream open
            await write(":\n\n")
            await asyncio.sleep(self._limits.keep_alive_seconds)


async def rejected(rejection: Rejected) -> AsyncGenerator[str]:
    """A stream that says only this: EventSource could not read it from an error response."""
    raise rejection
    yield  # pyright: ignore[reportUnreachable]  # makes it a generator


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _next(answer: str) -> str:
    return f"event: next\ndata: {answer}\n\n"


_COMPLETE = "event: complete\ndata:\n\n"
