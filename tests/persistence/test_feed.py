"""Doorbells on a real Redis that comes and goes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from persistence.feed import Doorbells, redis_opened
from persistence.settings import Settings


@asynccontextmanager
async def _doorbells(settings: Settings) -> AsyncGenerator[Doorbells]:
    async with redis_opened(settings.redis_url, connections=4) as redis:
        bells = Doorbells(redis, url=settings.redis_url, namespace=settings.redis_namespace)
        async with bells.listening():
            yield bells


class _Ear:
    """Counts rings; waits for the next one."""

    def __init__(self) -> None:
        self._rings: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, topic: str, /) -> None:
        self._rings.put_nowait(topic)

    async def next(self) -> str:
        async with asyncio.timeout(10):
            return await self._rings.get()

    @property
    def silent(self) -> bool:
        return self._rings.empty()


async def test_a_ring_is_heard_in_another_process(settings: Settings) -> None:
    ear = _Ear()
    async with _doorbells(settings) as here, _doorbells(settings) as there:
        with here.hung("a", ear):
            assert await ear.next() == "a"  # the line is up
            await there.ring(["a", "b"])
            assert await ear.next() == "a"
        assert ear.silent


async def test_a_bell_that_was_taken_down_is_silent(settings: Settings) -> None:
    first, second = _Ear(), _Ear()
    async with _doorbells(settings) as bells:
        with bells.hung("a", second):
            with bells.hung("a", first):
                await second.next()
                await first.next()
            await bells.ring(["a"])
            await second.next()
        assert first.silent


async def test_every_bell_rings_by_itself_when_the_line_is_up_again(settings: Settings) -> None:
    ear = _Ear()
    async with _doorbells(settings) as bells, Redis.from_url(settings.redis_url) as redis:
        with bells.hung("a", ear):
            await ear.next()
            for _ in range(3):
                while not ear.silent:
                    await ear.next()
                await redis.client_kill_filter(_type="pubsub", skipme=True)
                await ear.next()
            await bells.ring(["a"])
            await ear.next()


async def test_ringing_a_redis_that_is_not_there_harms_nobody() -> None:
    async with redis_opened("redis://127.0.0.1:1/0", connections=1) as redis:
        await Doorbells(redis, url="redis://127.0.0.1:1/0", namespace="x").ring(["a"])
