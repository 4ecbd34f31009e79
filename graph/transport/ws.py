"""GraphQL over WebSocket: the graphql-transport-ws protocol."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import urlsplit

from graphql import GraphQLFormattedError
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.viewer import Viewer
from graph.transport.engine import Engine, InvalidToken
from graph.transport.errors import Rejected, formatted, presented
from graph.transport.request import BadRequest, Request, encode, read_json

PROTOCOL = "graphql-transport-ws"

_CLOSE_SECONDS = 5.0
"""How long a client that reads nothing may hold up the closing of its socket."""
_REASON_BYTES = 123
"""What the WebSocket protocol leaves for the reason of a close."""
_PORTS = {"http": 80, "https": 443}

_Message = dict[str, object]


class _Close(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:_REASON_BYTES].decode(errors="ignore")


class WebSocketTransport:
    """Answers WebSocket connections."""

    def __init__(self, engine: Engine, draining: asyncio.Event, allowed_origins: Sequence[str]) -> None:
        """Take the event that is set when the server shuts down, and the web origins to admit (* admits any).

        The server's own origin is always admitted, and so are clients that are no browsers: they send no origin.
        """
        self._engine = engine
        self._draining = draining
        self._allowed_origins = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)

    async def answer(self, websocket: WebSocket) -> None:
        """Speak the protocol until either side closes the socket or the server drains."""
        if not self._admitted(websocket):
            await websocket.close()  # before it is accepted, this answers the handshake with 403
            return
        if PROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(4406, "Subprotocol not acceptable")
            return
        await websocket.accept(subprotocol=PROTOCOL)
        await _Socket(websocket, self._engine).serve(self._draining)

    def _admitted(self, websocket: WebSocket) -> bool:
        origin = websocket.headers.get("origin")
        if origin is None or "*" in self._allowed_origins:
            return True
        return origin.lower() in self._allowed_origins or _same_host(origin, websocket.headers.get("host", ""))


class _Socket:
    """One client's socket and the operations it has under way, each a task of its own."""

    def __init__(self, websocket: WebSocket, engine: Engine) -> None:
        self._websocket = websocket
        self._engine = engine
        self._limits = engine.limits
        self._viewer: Viewer | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # these, and the ones that are still cleaning up

    async def serve(self, draining: asyncio.Event) -> None:
        """Answer messages until one side has enough; then end all operations and wait until they are closed."""
        reading = asyncio.create_task(self._read())
        drained = asyncio.create_task(draining.wait())
        try:
            await asyncio.wait({reading, drained}, return_when=asyncio.FIRST_COMPLETED)
            close = reading.result() if reading.done() else _Close(1012, "Service restart")
            _cancel(*self._tasks)
            if close:
                await self._close(close)
        finally:
            _cancel(reading, drained, *self._tasks)
            await asyncio.gather(reading, drained, *self._tasks, return_exceptions=True)

    async def _read(self) -> _Close | None:
        """How the socket is to be closed, or None when the client has gone."""
        try:
            await self._begin()
            while True:
                await self._handle(await self._receive())
        except _Close as close:
            return close
        except WebSocketDisconnect:
            return None

    async def _begin(self) -> None:
        try:
            async with asyncio.timeout(self._limits.socket_init_seconds):
                while (message := await self._receive())["type"] != "connection_init":
                    if message["type"] == "subscribe":
                        raise _Close(4401, "Unauthorized")
                    await self._handle(message)
        except TimeoutError:
            raise _Close(4408, "Connection initialisation timeout") from None
        authorization = _authorization(message)
        try:
            self._viewer = await self._engine.viewer(authorization)
        except InvalidToken:
            raise _Close(4403, "Forbidden") from None
        except Exception as error:
            presented([error], secrets.token_hex(8))  # logs it
            raise _Close(4500, "Internal server error") from error
        await self._send(encode({"type": "connection_ack"}))

    async def _handle(self, message: _Message) -> None:
        match message["type"]:
            case "subscribe":
                await self._subscribe(_id(message), _request(message))
            case "complete":
                task = self._operations.pop(_id(message), None)
                if task:
                    _cancel(task)
            case "ping":
                await self._send(encode({**_payload(message), "type": "pong"}))
            case "pong":
                _payload(message)
            case "connection_init":
                raise _Close(4429, "Too many initialisation requests")
            case kind:
                raise _Close(4400, f"Invalid message: there is no type {encode(kind)[:50]}")

    async def _subscribe(self, key: str, request: Request) -> None:
        if key in self._operations:
            raise _Close(4409, f"Subscriber for {key} already exists")
        if len(self._tasks) >= self._limits.socket_operations:
            most = self._limits.socket_operations
            problem = f"This connection has {most} operations under way already: complete one, or open another."
            await self._send_errors(key, [formatted(problem, "TOO_MANY_OPERATIONS")])
            return
        task = asyncio.create_task(self._operate(key, request))
        self._operations[key] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _operate(self, key: str, request: Request) -> None:
        request_id = secrets.token_hex(8)
        try:
            operation = self._engine.prepare(request, request_id)
            async with aclosing(self._engine.run(operation, self._viewer, request_id)) as answers:
                async for answer in answers:
                    # Each send waits until the client has room: of every operation one answer waits, never more.
                    await self._send(f'{{"id":{encode(key)},"type":"next","payload":{answer}}}')
            await self._send(encode({"id": key, "type": "complete"}))
        except Rejected as rejected:
            await self._send_errors(key, rejected.errors)
        except WebSocketDisconnect:
            return  # the reader hears of it too, and ends the socket
        finally:
            # The client may use the id again once it has read the last message, not before.
            if self._operations.get(key) is asyncio.current_task():
                del self._operations[key]

    async def _receive(self) -> _Message:
        """The next message: an object with a type. Raise _Close for anything else."""
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received["code"])
        text = cast("str | None", received.get("text"))
        if text is None:
            raise _Close(4400, "Invalid message: it is binary")
        if len(text) > self._limits.body_bytes:
            raise _Close(1009, "Message too big")
        try:
            message = read_json(text)
        except BadRequest as bad:
            raise _Close(4400, f"Invalid message: {bad}") from None
        if not isinstance(message, dict):
            raise _Close(4400, "Invalid message: it is no JSON object")
        members = cast("_Message", message)
        if not isinstance(members.get("type"), str):
            raise _Close(4400, "Invalid message: it has no type")
        return members

    async def _send_errors(self, key: str, errors: Sequence[GraphQLFormattedError]) -> None:
        await self._send(encode({"id": key, "type": "error", "payload": errors}))

    async def _send(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except RuntimeError as error:  # how Starlette and uvicorn say that a close has been sent meanwhile
            raise WebSocketDisconnect(1006) from error

    async def _close(self, close: _Close) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._websocket.close(close.code, close.reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            return  # it is closed, or as good as


def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel each once: a second time would break off the closing of what it has open."""
    for task in tasks:
        if not task.cancelling():
            task.cancel()


def _payload(message: _Message) -> _Message:
    """The payload as a member to pass on, when there is one."""
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _Close(4400, "Invalid message: its payload is no JSON object")
    return {} if payload is None else {"payload": cast("_Message", payload)}


def _authorization(message: _Message) -> str | None:
    """What a header of this name would say: browsers cannot send one with a WebSocket."""
    payload = cast("_Message", _payload(message).get("payload", {}))
    for name, value in payload.items():
        if name.lower() == "authorization":
            if not isinstance(value, str):
                raise _Close(4403, "Forbidden")
            return value
    return None


def _id(message: _Message) -> str:
    key = message.get("id")
    if not isinstance(key, str) or not key:
        raise _Close(4400, "Invalid message: it has no id")
    return key


def _request(message: _Message) -> Request:
    try:
        return Request.parse(message.get("payload"))
    except BadRequest as bad:
        raise _Close(4400, f"Invalid message: {bad}") from None


def _same_host(origin: str, host: str) -> bool:
    """Whether the page came from the server it now connects to. The scheme is the business of whoever ends TLS."""
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        usual = _PORTS.get(page.scheme)
        ports = page.port or usual, server.port or usual
    except ValueError:  # a port that is no number
        return False
    return page.hostname is not None and page.hostname == server.hostname and ports[0] == ports[1]
