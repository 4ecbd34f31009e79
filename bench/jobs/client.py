"""A light client: GraphQL over kept-alive HTTP connections and over one WebSocket, with as little work as can be.

What the API does not do is raised as Refused, with the API's own words, and so is an answer that does not come.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from itertools import count
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

IDLE_SECONDS = 3.0
"""A connection that was not used for so long is not used again: servers close them, usually after five."""
PATIENCE_SECONDS = 20.0
"""An answer that takes longer does not come."""
PROTOCOL = Subprotocol("graphql-transport-ws")
START = """mutation($input: StartPauseInput!) { startPause(input: $input) {
  __typename ... on Refusal { code message } ... on Job { id state }
} }"""
WATCH = "subscription($id: ID!) { job(id: $id) { state attempt progress { stage fraction } } }"


class Refused(Exception):
    """The API did not do what it was asked to."""


@dataclass(frozen=True)
class Seen:
    """The job as an event has shown it."""

    at: float
    """When it arrived, on the monotonic clock."""
    state: str
    attempt: int


@dataclass
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used_at: float = 0.0


class Http:
    """As many connections as there are requests at once; each is kept and used again."""

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._head = (
            f"POST /graphql HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Accept: application/graphql-response+json\r\nContent-Type: application/json\r\nContent-Length: "
        ).encode()
        self._idle: list[_Line] = []

    async def ask(self, query: str, **variables: object) -> Any:
        """The value of the operation's only root field. Raises Refused."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        line = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await self._line()
                line.writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
                head = (await line.reader.readuntil(b"\r\n\r\n")).lower()
                answer = await line.reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r")[0]))
        except TimeoutError:
            raise Refused(f"no answer within {PATIENCE_SECONDS:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise Refused(f"the request broke off: {error!r}") from error
        line.used_at = time.monotonic()
        self._idle.append(line)
        return _value(json.loads(answer))

    async def start(self, project: str) -> str:
        """Start a job that takes time; return its id. Raises Refused."""
        job = await self.ask(START, input={"projectId": project, "seconds": 3600})
        if job["__typename"] != "Job":
            raise Refused(f"{job['code']}: {job['message']}")
        return job["id"]

    def close(self) -> None:
        for line in self._idle:
            line.writer.close()

    async def _line(self) -> _Line:
        oldest = time.monotonic() - IDLE_SECONDS
        while self._idle:
            line = self._idle.pop()
            if line.used_at > oldest:
                return line
            line.writer.close()
        return _Line(*await asyncio.open_connection(self._host, self._port))


class Socket:
    """One signed-in WebSocket with any number of subscriptions."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._keys = count(1)
        self._heard: dict[str, asyncio.Queue[Seen | Refused]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def opened(cls, url: str, token: str) -> Self:
        """Sign in. Raises Refused."""
        address = f"ws{url.removeprefix('http')}/graphql"
        connection = await connect(address, subprotocols=[PROTOCOL], compression=None, proxy=None)
        payload = {"authorization": f"Bearer {token}"}
        await connection.send(json.dumps({"type": "connection_init", "payload": payload}))
        if json.loads(answer := await connection.recv())["type"] != "connection_ack":
            raise Refused(str(answer))
        return cls(connection)

    async def watch(self, job: str) -> AsyncGenerator[Seen]:
        """Subscribe to a job: each event as it comes, until the API says that it was the last. Raises Refused."""
        key = str(next(self._keys))
        heard = self._heard[key] = asyncio.Queue()
        payload = {"query": WATCH, "variables": {"id": job}}
        try:
            await self._connection.send(json.dumps({"id": key, "type": "subscribe", "payload": payload}))
        except ConnectionClosed as closed:
            raise Refused(f"the socket was closed: {closed}") from closed
        while True:
            match await heard.get():
                case Seen() as seen:
                    yield seen
                case refused:
                    raise refused

    async def close(self) -> None:
        self._reading.cancel()
        await self._connection.close()

    async def _read(self) -> None:
        try:
            async for text in self._connection:
                at, message = time.monotonic(), json.loads(text)
                match message["type"]:
                    case "next":
                        self._heard[message["id"]].put_nowait(_seen(at, message["payload"]))
                    case "complete":
                        self._heard.pop(message["id"]).put_nowait(Refused("no more events"))
                    case "error":
                        self._heard.pop(message["id"]).put_nowait(Refused(_told(message["payload"])))
                    case _:
                        pass
        except ConnectionClosed:
            pass  # with an error; told in the same way
        for heard in self._heard.values():
            heard.put_nowait(Refused(f"the socket was closed: {self._connection.close_code}"))


def _seen(at: float, response: dict[str, Any]) -> Seen | Refused:
    try:
        job = _value(response)
    except Refused as refused:
        return refused
    return Seen(at, job["state"], job["attempt"])


def _value(response: dict[str, Any]) -> Any:
    if "errors" in response:
        raise Refused(_told(response["errors"]))
    (value,) = response["data"].values()
    return value


def _told(errors: list[dict[str, Any]]) -> str:
    """The first error, without what differs from one request to the next."""
    (first, *_) = errors
    code = first.get("extensions", {}).get("code", "")
    return f"{code}: {first['message'].partition(' request id ')[0]}"
