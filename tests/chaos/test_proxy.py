"""The proxy that the checker breaks links with."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.chaos.proxy import Connection, Proxy


@pytest.fixture
async def proxy() -> AsyncGenerator[Proxy]:
    """One before a server that answers each line with the same line."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            while line := await reader.readline():
                writer.write(line)
        writer.close()

    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        Proxy.running(server.sockets[0].getsockname()[1]) as proxy,
    ):
        yield proxy


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncGenerator[Connection]:
    """A connection that has passed something on already."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        assert await said((reader, writer), b"first") == b"first"
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def said(connection: Connection, words: bytes) -> bytes:
    """What comes back of a line; nothing if the connection ends."""
    reader, writer = connection
    writer.write(words + b"\n")
    return (await reader.readline()).rstrip()


async def test_what_comes_is_passed_on_both_ways(proxy: Proxy) -> None:
    async with connected(proxy) as connection:
        assert await said(connection, b"x" * 10_000) == b"x" * 10_000
        assert proxy.links == 1


async def test_silence_closes_nothing_and_loses_nothing(proxy: Proxy) -> None:
    async def come_later() -> bytes:
        async with connected(proxy) as connection:
            return await said(connection, b"third")

    async with connected(proxy) as connection:
        proxy.silence()
        waiting = [asyncio.create_task(said(connection, b"second")), asyncio.create_task(come_later())]
        assert (await asyncio.wait(waiting, timeout=0.2))[0] == set()
        proxy.heal()
        assert await asyncio.gather(*waiting) == [b"second", b"third"]


async def test_a_stranded_connection_stays_silent_and_a_new_one_works(proxy: Proxy) -> None:
    async with connected(proxy) as connection:
        assert proxy.strand() == 1
        waiting = asyncio.create_task(said(connection, b"second"))
        async with connected(proxy) as other:
            assert await said(other, b"third") == b"third"
        assert not waiting.done()
        connection[1].close()
        assert await waiting == b""


async def test_a_cut_connection_is_reset(proxy: Proxy) -> None:
    async with connected(proxy) as (reader, _):
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()
    async with connected(proxy) as connection:
        assert await said(connection, b"second") == b"second"
