"""A TCP proxy on loopback that can do what networks do: go silent without closing, cut, and heal."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Self

_CHUNK = 2**16
_NO_FAREWELL = struct.pack("ii", 1, 0)
"""Of SO_LINGER: a close is a reset."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Passes on what comes to a port of its own to another port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._links: set[_Link] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, port: int) -> AsyncGenerator[Self]:
        """One that leads to this port, until the end of the block."""
        proxy = cls(port)
        proxy._server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        try:
            yield proxy
        finally:
            proxy._server.close()
            proxy.cut()
            await asyncio.gather(*(link.ended.wait() for link in proxy._links))

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server
        return self._server.sockets[0].getsockname()[1]

    @property
    def links(self) -> int:
        """How many connections it holds."""
        return len(self._links)

    def silence(self) -> None:
        """Pass nothing on, and close nothing, until it heals; nothing is lost, and new connections wait as well."""
        self._passing.clear()

    def heal(self) -> None:
        """Pass everything on that was held back."""
        self._passing.set()

    def strand(self) -> int:
        """Leave each connection that is there now half open for ever; later ones work. Returns how many those are."""
        for link in self._links:
            link.stranded = True
        return len(self._links)

    def cut(self) -> int:
        """Reset every connection; returns how many there were."""
        for link in self._links:
            link.cut()
        return len(self._links)

    async def _serve(self, *near: *Connection) -> None:
        link = _Link(near[1])
        self._links.add(link)
        try:
            with suppress(OSError):
                await self._passing.wait()
                await link.join(near, await asyncio.open_connection("127.0.0.1", self._target), self._passing)
        finally:
            await link.close()
            self._links.discard(link)


class _Link:
    """One connection on its two sides."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.stranded = False
        self.ended = asyncio.Event()
        self._sides = [near]
        self._pumps: list[asyncio.Task[None]] = []
        self._over = False

    async def join(self, near: Connection, far: Connection, passing: asyncio.Event) -> None:
        """Pass on both ways until either side ends or somebody cuts."""
        self._sides.append(far[1])
        if self._over:
            return
        self._pumps = [
            asyncio.create_task(self._pump(near[0], far[1], passing)),
            asyncio.create_task(self._pump(far[0], near[1], passing)),
        ]
        try:
            await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        if not self._over:
            self._over = True
            for side in self._sides:
                side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_FAREWELL)
                side.transport.abort()
            for pump in self._pumps:
                pump.cancel()

    async def close(self) -> None:
        self._over = True
        for side in self._sides:
            side.transport.abort()
            with suppress(OSError):
                await side.wait_closed()
        self.ended.set()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        while chunk := await source.read(_CHUNK):
            await passing.wait()
            if self.stranded:
                continue  # the end of the source is still heard: who gives such a connection up is rid of it
            sink.write(chunk)
            await sink.drain()
