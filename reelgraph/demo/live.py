"""GraphQL subscriptions over one WebSocket: the client's side of the graphql-transport-ws protocol."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from reelgraph.demo.client import Json, data_of
from reelgraph.demo.failure import DemoFailed

PROTOCOL = Subprotocol("graphql-transport-ws")
PATIENCE = 60
"""Seconds without news after which something must be wrong."""


class Live:
    """One socket, on which any number of subscriptions run at once."""

    def __init__(self, socket: ClientConnection) -> None:
        """Make it with `connected`."""
        self._socket = socket
        self._numbers = count(1)
        self._watched: dict[str, asyncio.Queue[Json]] = {}

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, token: str) -> AsyncGenerator[Self]:
        """Connect and sign in; `url` is that of the server, starting with http."""
        # Straight to the server, whatever proxy the environment names: it runs on this machine.
        async with connect(f"ws{url.removeprefix('http')}/graphql", subprotocols=[PROTOCOL], proxy=None) as socket:
            live = cls(socket)
            await live._begin(token)
            reading = asyncio.create_task(live._read())
            try:
                yield live
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    async def watch(self, document: str, **variables: object) -> AsyncGenerator[Json]:
        """Each answer of a subscription, until the server completes it. Close the generator to leave earlier."""
        key = str(next(self._numbers))
        messages = self._watched[key] = asyncio.Queue()
        try:
            await self._send(id=key, type="subscribe", payload={"query": document, "variables": variables})
            while (message := await _patiently(messages))["type"] == "next":
                yield data_of(message["payload"])["answer"]
            del self._watched[key]
            if message["type"] == "error":
                data_of({"errors": message["payload"]})
        finally:
            if self._watched.pop(key, None):
                with suppress(ConnectionClosed):
                    await self._send(id=key, type="complete")

    async def _begin(self, token: str) -> None:
        await self._send(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        try:
            answer: Json = json.loads(await self._socket.recv())
        except ConnectionClosed as closed:
            raise DemoFailed(f"the live connection was refused: {closed}") from None
        if answer["type"] != "connection_ack":
            raise DemoFailed(f"the live connection began with {answer['type']} instead of connection_ack")

    async def _read(self) -> None:
        """Hand each message to the subscription it belongs to."""
        with suppress(ConnectionClosed):
            async for text in self._socket:
                message: Json = json.loads(text)
                if message["type"] == "ping":
                    await self._send(type="pong")
                elif messages := self._watched.get(message.get("id", "")):
                    messages.put_nowait(message)
        reason = f"the live connection ended: {self._socket.close_code} {self._socket.close_reason}".rstrip()
        for messages in self._watched.values():
            messages.put_nowait({"type": "error", "payload": [{"message": reason}]})

    async def _send(self, **message: object) -> None:
        try:
            await self._socket.send(json.dumps(message))
        except ConnectionClosed as closed:
            raise DemoFailed(f"the live connection ended: {closed}") from None


async def _patiently(messages: asyncio.Queue[Json]) -> Json:
    try:
        return await asyncio.wait_for(messages.get(), PATIENCE)
    except TimeoutError:
        raise DemoFailed(f"there has been no news for {PATIENCE} s") from None
