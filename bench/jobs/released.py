"""How a job that holds is let go: its id comes down a Redis list. The same for the product and for bare taskiq."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py leaves its keyword arguments untyped.

import asyncio
from collections import defaultdict
from typing import Any

from redis.asyncio import Redis

KEY = "bench:released"


class Released:
    """The listening side: one line to Redis, however many jobs hold."""

    def __init__(self, redis_url: str) -> None:
        self._redis: Any = Redis.from_url(redis_url, socket_timeout=None)
        self._events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._listening: asyncio.Task[None] | None = None

    async def wait(self, key: str) -> None:
        """Return when it is let go, even if it was before."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        await self._events[key].wait()
        del self._events[key]

    async def _listen(self) -> None:
        while True:
            _, key = await self._redis.blpop([KEY], timeout=0)
            self._events[key.decode()].set()
