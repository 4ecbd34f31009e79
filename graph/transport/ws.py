"""GraphQL over WebSocket: the graphql-transport-ws protocol.

Told in ASGI itself: this is where thousands of sockets wait and every message passes. An open socket is one task, which
reads. States are sent by another that is there only while something waits to be sent; other operations have their own.
"""

import asyncio
import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from domain.viewer import Viewer
from graph.transport.connections import abort_of
from graph.transport.eager import started
from graph.transport.engine import Engine, InvalidToken, Showing
from graph.transport.errors import Rejected, formatted, presented
from graph.transport.live import Errors, Stop
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

    @property
    def message(self) -> Message:
        return {"type": "websocket.close", "code": self.code, "reason": self.reason}


class _Gone(Exception):
    """The client is not there any more, or the socket is closed."""


_RESTART = _Close(1012, "Service restart")
_FORBIDDEN = _Close(4403, "Forbidden")
_STALLED = _Close(4408, "Nothing was read for too long")


class WebSocketTransport:
    """Answers WebSocket connections: an ASGI application."""

    def __init__(self, engine: Engine, draining: asyncio.Event, allowed_origins: Sequence[str]) -> None:
        """Take the event that is set when the server shuts down, and the web origins to admit (* admits any).

        The server's own origin is always admitted, and so are clients that are no browsers: they send no origin.
        """
        self._engine = engine
        self._draining = draining
        self._allowed_origins = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)
        self._open: set[_Socket] = set()
        self._keeper: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak the protocol until either side closes the socket or the server drains."""
        await receive()  # that somebody connects
        if not self._admitted(Headers(scope=scope)):
            await send({"type": "websocket.close"})  # before it is accepted, this answers the handshake with 403
            return
        spoken = PROTOCOL in scope["subprotocols"]
        try:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL if spoken else None})
            if not spoken:
                await send(_Close(4406, "Subprotocol not acceptable").message)
                return
            if self._draining.is_set():
                await send(_RESTART.message)
                return
        except OSError:  # it has gone meanwhile
            return
        with self._kept(_Socket(receive, send, abort_of(scope), self._engine)) as socket:
            await socket.serve()

    def _admitted(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or "*" in self._allowed_origins:
            return True
        return origin.lower() in self._allowed_origins or _same_host(origin, headers.get("host", ""))

    @contextmanager
    def _kept(self, socket: "_Socket") -> Generator["_Socket"]:
        self._open.add(socket)
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="sockets")
        try:
            yield socket
        finally:
            self._open.discard(socket)
            if not self._open and self._keeper:
                self._keeper.cancel()
                self._keeper = None

    async def _keep(self) -> None:
        """Cut off clients that read nothing, and close all sockets when the server drains. One for all of them."""
        stall = self._engine.limits.socket_stall_seconds
        while not self._draining.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(stall / 10):
                    await self._draining.wait()
            for socket in tuple(self._open):
                socket.cut_if_stalled_since(time.monotonic() - stall)
        for socket in tuple(self._open):
            socket.shut(_RESTART)


class _Operation:
    """One operation of a socket. To a state it is the subscriber: of what it was shown, it keeps the latest."""

    __slots__ = ("_answer", "_ending", "_head", "_queued", "_socket", "key", "showing", "task")

    def __init__(self, socket: "_Socket", key: str) -> None:
        self.key = key
        self.task: asyncio.Task[None] | None = None
        """What executes it, where it is not shown a state."""
        self.showing: Showing | None = None
        self._socket = socket
        self._head = f'{{"id":{encode(key)},"type":"next","payload":'
        self._answer: str | None = None
        self._ending: str | None = None
        self._queued = False

    def next(self, answer: str) -> str:
        """The message that carries a response."""
        return f"{self._head}{answer}}}"

    def last(self, errors: Errors | None) -> str:
        """The message behind which nothing follows."""
        if errors is None:
            return encode({"id": self.key, "type": "complete"})
        return encode({"id": self.key, "type": "error", "payload": errors})

    def show(self, answer: str) -> None:
        self._answer = answer
        self._queue()

    def end(self, errors: Errors | None) -> None:
        if errors is not None:
            self._answer = None  # these do not wait
        self._ending = self.last(errors)
        self._queue()

    def messages(self) -> Iterator[str]:
        """What is to be sent now; it may become more while it is sent."""
        self._queued = False
        answer, self._answer = self._answer, None
        if answer is not None:
            yield self.next(answer)
        if self._ending is not None and self._answer is None:
            ending, self._ending = self._ending, None
            # The client may use the id again once it has read the last message.
            self._socket.forget(self)
            yield ending

    def stop(self) -> None:
        """Send nothing more, and close what is open."""
        self._answer = self._ending = None
        if self.showing:
            self.showing.stop()
        if self.task and not self.task.cancelling():  # a second time would break off the closing of what it has open
            self.task.cancel()

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._socket.queue(self)


class _Socket:
    """One client's socket, and the operations that it has under way."""

    __slots__ = (
        "_abort", "_engine", "_operations", "_reading", "_receive", "_send", "_sending", "_shut", "_since", "_stays",
        "_tasks", "_unsent", "_viewer", "_writer", "_writing",
    )  # fmt: skip

    def __init__(self, receive: Receive, send: Send, abort: Stop | None, engine: Engine) -> None:
        self._receive = receive
        self._send = send
        self._abort = abort
        self._engine = engine
        self._viewer: Viewer | None = None
        self._operations: dict[str, _Operation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Those of operations, also of such as are still cleaning up."""
        self._unsent: list[_Operation] = []
        """Operations with something new to show."""
        self._writing = False
        self._writer: asyncio.Task[None] | None = None
        """What writes them, where it has to wait for the client."""
        self._reading: asyncio.Task[None] | None = None
        self._shut: _Close | None = None
        self._stays: Stop | None = None
        self._sending = 0
        self._since = 0.0
        """When the client last took something that waited to be sent."""

    async def serve(self) -> None:
        """Answer messages until one side has enough; then end all operations and wait until they are closed."""
        try:
            close = await self._read()
            self._stop()
            if close:
                await self._close(close)
        finally:
            self._stop()
            if self._writer:
                self._writer.cancel()
            await asyncio.gather(*self._tasks, *filter(None, [self._writer]), return_exceptions=True)

    def shut(self, close: _Close) -> None:
        """Close it from our side."""
        if self._reading and self._shut is None:
            self._shut = close
            self._reading.cancel()

    def cut_if_stalled_since(self, moment: float) -> None:
        """Cut it off if what waits to be sent has waited for so long."""
        if self._sending and self._since < moment:
            if self._abort:
                self._abort()
            else:
                self.shut(_STALLED)

    def queue(self, operation: _Operation) -> None:
        """Send what the operation has to show, as soon as the client has room for it."""
        self._unsent.append(operation)
        if not self._writing:
            self._writing = True
            self._writer = started(self._write())

    def forget(self, operation: _Operation) -> None:
        """It is over."""
        operation.stop()
        if self._operations.get(operation.key) is operation:
            del self._operations[operation.key]

    async def _write(self) -> None:
        try:
            while self._unsent:
                for message in self._unsent.pop(0).messages():
                    await self._say(message)
        except _Gone:
            self._unsent.clear()  # the reader hears of it too, and ends the socket
        finally:
            self._writing = False
            self._writer = None

    def _stop(self) -> None:
        if self._stays:
            self._stays()
            self._stays = None
        for operation in self._operations.values():
            operation.stop()
        self._operations.clear()

    async def _read(self) -> _Close | None:
        """How the socket is to be closed, or None when the client has gone."""
        self._reading = asyncio.current_task()
        try:
            await self._begin()
            while True:
                await self._handle(await self._hear())
        except _Close as close:
            return close
        except _Gone:
            return None
        except asyncio.CancelledError:
            if self._shut is None or self._reading is None or self._reading.uncancel():
                raise
            return self._shut
        finally:
            self._reading = None

    async def _begin(self) -> None:
        try:
            async with asyncio.timeout(self._engine.limits.socket_init_seconds):
                while (message := await self._hear())["type"] != "connection_init":
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
        if self._viewer:
            self._stays = self._engine.stays(self._viewer, partial(self.shut, _FORBIDDEN))
        await self._say(encode({"type": "connection_ack"}))

    async def _handle(self, message: _Message) -> None:
        match message["type"]:
            case "subscribe":
                await self._subscribe(_id(message), _request(message))
            case "complete":
                if operation := self._operations.get(_id(message)):
                    self.forget(operation)
            case "ping":
                await self._say(encode({**_payload(message), "type": "pong"}))
            case "pong":
                _payload(message)
            case "connection_init":
                raise _Close(4429, "Too many initialisation requests")
            case kind:
                raise _Close(4400, f"Invalid message: there is no type {encode(kind)[:50]}")

    async def _subscribe(self, key: str, request: Request) -> None:
        if key in self._operations:
            raise _Close(4409, f"Subscriber for {key} already exists")
        operation = _Operation(self, key)
        under_way = len(self._operations) + sum(task.cancelling() > 0 for task in self._tasks)
        if under_way >= (most := self._engine.limits.socket_operations):
            problem = f"This connection has {most} operations under way already: complete one, or open another."
            await self._say(operation.last([formatted(problem, "TOO_MANY_OPERATIONS")]))
            return
        self._operations[key] = operation
        operation.task = task = asyncio.create_task(self._operate(operation, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _operate(self, operation: _Operation, request: Request) -> None:
        request_id = secrets.token_hex(8)
        errors: Errors | None = None
        try:
            prepared = self._engine.prepare(request, request_id)
            if prepared.kind is OperationType.SUBSCRIPTION:
                answers = await self._engine.subscribe(prepared, self._viewer, request_id)
            else:
                answers = self._engine.run(prepared, self._viewer, request_id)
            if isinstance(answers, Showing):
                operation.task, operation.showing = None, answers
                answers.to(operation)
                return
            async with aclosing(answers):
                async for answer in answers:
                    # Each waits until the client has room: of every operation one response waits, never more.
                    await self._say(operation.next(answer))
        except Rejected as rejected:
            errors = rejected.errors
        except _Gone:
            return
        operation.task = None
        self.forget(operation)
        with suppress(_Gone):
            await self._say(operation.last(errors))

    async def _hear(self) -> _Message:
        """The next message: an object with a type. Raise _Close for anything else."""
        received = await self._receive()
        if received["type"] == "websocket.disconnect":
            raise _Gone
        text = cast("str | None", received.get("text"))
        if text is None:
            raise _Close(4400, "Invalid message: it is binary")
        if len(text) > self._engine.limits.body_bytes:
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

    async def _say(self, text: str) -> None:
        """Send a message once the client has room for it."""
        if not self._sending:
            self._since = time.monotonic()
        self._sending += 1
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError) as error:  # how uvicorn says that it is closed, or about to be
            raise _Gone from error
        finally:
            self._sending -= 1
            if self._sending:
                self._since = time.monotonic()

    async def _close(self, close: _Close) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._send(close.message)
        except TimeoutError:
            if self._abort:
                self._abort()
        except (OSError, RuntimeError):
            return  # it is closed, or as good as


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
