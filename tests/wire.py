"""A client program: GraphQL over HTTP, WebSocket and event streams, and the plain HTTP of uploads and downloads."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from domain.user import User
from domain.viewer import Scope, Viewer
from tests.story import Person

PROTOCOL = "graphql-transport-ws"


def http() -> httpx.AsyncClient:
    """A client that goes to loopback, whatever proxy the environment names. Made for a block: close it."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=30)


async def token_for(url: str, client_id: str, secret: str) -> str:
    """An access token from the real authorization server, for a program that acts as its owner."""
    async with http() as client:
        answer = await client.post(
            f"{url}/oauth/token", auth=(client_id, secret), data={"grant_type": "client_credentials"}
        )
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()["access_token"]


class Caller(Person):
    """A person who is far away: the same verbs, over the wire. Subscriptions go over WebSocket."""

    def __init__(self, url: str, user: User, scopes: frozenset[Scope], token: str) -> None:
        super().__init__(None, Viewer(user_id=user.id, scopes=scopes), user.email)
        self.url = url
        self.token = token
        self._scopes = scopes
        self._user = user

    def at(self, url: str) -> "Caller":
        """The same person at another API process."""
        return Caller(url, self._user, self._scopes, self.token)

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def events(self, query: str, **variables: Any) -> AsyncGenerator[Any]:
        """As `watch`, over server-sent events."""
        async with (
            http() as client,
            client.stream(
                "POST",
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                headers={**self.authorization, "Accept": "text/event-stream"},
                timeout=None,
            ) as answer,
        ):
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            event = ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "next":
                    yield _value(json.loads(value))
            assert event == "complete", "the stream broke off"

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator["Socket"]:
        """A signed-in WebSocket."""
        address = f"ws{self.url.removeprefix('http')}/graphql"
        async with connect(address, subprotocols=[PROTOCOL], compression=None, proxy=None) as connection:
            await connection.send(json.dumps({"type": "connection_init", "payload": self.authorization}))
            assert json.loads(await connection.recv()) == {"type": "connection_ack"}
            socket = Socket(connection)
            reading = asyncio.create_task(socket.read())
            try:
                yield socket
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _run(self, query: str, variables: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        if query.startswith("subscription"):
            async with self.socket() as socket, aclosing(socket.subscribe(query, **variables)) as responses:
                async for response in responses:
                    yield response
        else:
            async with http() as client:
                answer = await client.post(
                    f"{self.url}/graphql",
                    json={"query": query, "variables": variables},
                    headers=self.authorization if self.token else {},
                )
            yield answer.json()


class Socket:
    """One WebSocket connection with any number of subscriptions."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._keys = count(1)
        self._waiting: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    async def subscribe(self, query: str, **variables: Any) -> AsyncGenerator[dict[str, Any]]:
        """The responses of one subscription; when the socket closes, its ConnectionClosed."""
        key = str(next(self._keys))
        arriving = self._waiting[key] = asyncio.Queue()
        await self._send({"id": key, "type": "subscribe", "payload": {"query": query, "variables": variables}})
        open_ = True
        try:
            while open_:
                message = await arriving.get()
                open_ = message["type"] == "next"
                if message["type"] == "closed":
                    raise message["error"]
                if message["type"] == "error":
                    yield {"errors": message["payload"]}
                elif open_:
                    yield message["payload"]
        finally:
            del self._waiting[key]
            if open_:
                with suppress(ConnectionClosed):
                    await self._send({"id": key, "type": "complete"})

    async def closed(self) -> int:
        """The code with which the server closed it, once it has."""
        await self._connection.wait_closed()
        return self._connection.close_code

    async def read(self) -> None:
        """Hand each message to the subscription it is for, until the socket closes."""
        try:
            async for text in self._connection:
                message = json.loads(text)
                if message.get("id") in self._waiting:
                    self._waiting[message["id"]].put_nowait(message)
            error = ConnectionClosed(self._connection.protocol.close_rcvd, self._connection.protocol.close_sent)
        except ConnectionClosed as closed:
            error = closed
        for waiting in self._waiting.values():
            waiting.put_nowait({"type": "closed", "error": error})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._connection.send(json.dumps(message))


def _value(response: dict[str, Any]) -> Any:
    assert "errors" not in response, response["errors"]
    (value,) = response["data"].values()
    return value
