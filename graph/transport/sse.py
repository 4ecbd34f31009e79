"""GraphQL over server-sent events, in graphql-sse's distinct connections mode: one response for each operation."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graph.transport.errors import Rejected
from graph.transport.request import encode


class EventStream(Response):
    """The answers as events. Ends, and closes them, as soon as the client goes away or the server drains.

    A stream that drains ends without a `complete`, by which clients know to connect again.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        answers: AsyncGenerator[str],
        keep_alive_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        """Take what Engine.run yields, or anything that yields encoded responses and may raise Rejected."""
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._answers = answers
        self._keep_alive_seconds = keep_alive_seconds
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until they end, the client leaves or the server drains; whichever is first."""
        del scope

        async def write(text: str, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        events = asyncio.create_task(self._write_events(write))
        gone = asyncio.create_task(_disconnected(receive))
        drained = asyncio.create_task(self._draining.wait())
        alive = asyncio.create_task(self._keep_alive(write))
        tasks = (events, gone, drained, alive)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if gone.cancelled():  # somebody still listens
            if not events.cancelled():
                events.result()  # raises what only a fault of ours can have raised
            await write("", more=False)

    async def _write_events(self, write: Callable[[str], Awaitable[None]]) -> None:
        try:
            async with aclosing(self._answers) as answers:
                async for answer in answers:
                    await write(f"event: next\ndata: {answer}\n\n")
        except Rejected as rejected:
            await write(f"event: next\ndata: {encode({'errors': rejected.errors})}\n\n")
        await write("event: complete\ndata:\n\n")

    async def _keep_alive(self, write: Callable[[str], Awaitable[None]]) -> None:
        while True:  # the first goes out at once: it sends the headers off, so that clients see the stream open
            await write(":\n\n")
            await asyncio.sleep(self._keep_alive_seconds)


async def rejected(rejection: Rejected) -> AsyncGenerator[str]:
    """A stream that says only this: EventSource could not read it from an error response."""
    raise rejection
    yield  # pyright: ignore[reportUnreachable]  # makes it a generator


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
