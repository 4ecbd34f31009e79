"""Thousands of WebSocket clients in one process that do as little as clients can: they count what comes.

    python -m bench.live.clients

Reads lines of JSON from its standard input and answers each with what has come so far. A list is of sockets to open,
each with a port, a path and what it says: the first text at once, each other behind an answer.
"""

import asyncio
import json
import os
import struct
import sys
from dataclasses import dataclass
from typing import Any, cast

import uvloop

AT_ONCE = 100
"""Sockets that are being opened at the same time."""
OPEN_SECONDS = 60.0
_MASK = bytes(4)  # allowed, and nothing to compute
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA


class Client(asyncio.Protocol):
    """One socket."""

    def __init__(self, path: str, says: list[str], opened: asyncio.Future[None]) -> None:
        self.messages = 0
        self.latest = b""
        self._path = path
        self._says = says
        self._opened = opened
        self._received = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        protocol = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n" if self._says else ""
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._upgraded:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._fail(ConnectionError(head.decode()))
                return
            self._upgraded, self._received = True, rest
            self._go_on()
        while frame := _frame(self._received):
            opcode, payload, length = frame
            self._received = self._received[length:]
            self._heard(opcode, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _heard(self, opcode: int, payload: bytes) -> None:
        if opcode == _TEXT and self._says:
            self._go_on()
        elif opcode == _TEXT:
            self.messages += 1
            self.latest = payload
            if not self._opened.done():
                self._opened.set_result(None)
        elif opcode == _PING:
            self._send(_PONG, payload)
        elif opcode == _CLOSE:
            self._fail(ConnectionError(f"the server closed the socket: {payload!r}"))

    def _go_on(self) -> None:
        if self._says:
            self._send(_TEXT, self._says.pop(0).encode())
        else:
            self._opened.set_result(None)

    def _send(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        size = struct.pack("!B", 0x80 | length) if length < 126 else struct.pack("!BH", 0x80 | 126, length)
        self._transport.write(bytes([0x80 | opcode]) + size + _MASK + payload)

    def _fail(self, error: Exception) -> None:
        if self._opened.done():
            sys.exit(f"a client lost its connection: {error}")
        self._opened.set_exception(error)


def _frame(data: bytes) -> tuple[int, bytes, int] | None:
    """The opcode, the payload and the length of a server's first frame, once it is all there."""
    if len(data) < 2:
        return None
    length, body = data[1], 2
    if length == 126:
        length, body = int.from_bytes(data[2:4], "big"), 4
    end = body + length
    return (data[0] & 0x0F, data[body:end], end) if len(data) >= max(body, end) else None


@dataclass(frozen=True)
class Sockets:
    """Those that are open."""

    clients: list[Client]

    @classmethod
    async def opened(cls, wanted: list[dict[str, Any]]) -> "Sockets":
        """Open these."""
        room, loop = asyncio.Semaphore(AT_ONCE), asyncio.get_running_loop()

        async def open_one(port: int, path: str, says: list[str]) -> Client:
            async with room, asyncio.timeout(OPEN_SECONDS):
                opened: asyncio.Future[None] = loop.create_future()
                _, client = await loop.create_connection(lambda: Client(path, says, opened), "127.0.0.1", port)
                await opened
                return client

        return cls(list(await asyncio.gather(*(open_one(**each) for each in wanted))))

    def count(self) -> dict[str, Any]:
        """What has come to them."""
        counts = [client.messages for client in self.clients]
        return {"messages": sum(counts), "least": min(counts), "latest": self.clients[0].latest.decode()}


async def main() -> None:
    """Do what is asked for until there is nobody to ask."""
    sockets, loop = Sockets([]), asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb"))
    while line := await reader.readline():
        if wanted := json.loads(line):
            sockets = await Sockets.opened(wanted)
        print(json.dumps(sockets.count()), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
