"""Connections to Redis that were reset while they lay idle, on the event loop that the product runs on."""

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import pytest

from domain.entity import new_id
from domain.kinds import Pool
from persistence.feed import Doorbells, redis_opened
from persistence.queue import Queue
from reelgraph import embedded
from tests.chaos.proxy import Proxy


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def proxy(servers: embedded.Servers) -> AsyncGenerator[Proxy]:
    async with Proxy.running(urlsplit(servers.redis_url).port or 0) as proxy:
        yield proxy


def through(proxy: Proxy, url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()


async def reset(proxy: Proxy) -> None:
    """Cut every link, and let our side notice."""
    assert proxy.cut()
    while proxy.links:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_what_is_said_first_after_a_reset_arrives(servers: embedded.Servers, proxy: Proxy) -> None:
    url, namespace = through(proxy, servers.redis_url), new_id()
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = Doorbells(None, url=servers.redis_url, namespace=namespace)
    async with redis_opened(url, connections=4) as redis, listener.listening(), asyncio.timeout(10):
        bells, queue = Doorbells(redis, url=url, namespace=namespace), Queue(redis, namespace=namespace)
        with listener.hung("topic", heard.put_nowait):
            await heard.get()  # it hangs
            await bells.ring(["topic"])
            await heard.get()
            await reset(proxy)
            await bells.ring(["topic"])
            await heard.get()
            await reset(proxy)
            await queue.wake({Pool.LIGHT: 1})
            assert await redis.llen(f"{namespace}:wake:{Pool.LIGHT}") == 1
