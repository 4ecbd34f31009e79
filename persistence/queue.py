"""Wake-ups for workers, over Taskiq: a message says only "pool X has work". What work it is, the claim decides in SQL.

So at-most-once delivery is enough (a plain Redis list), a message too many finds nothing to do, and a lost one is made
good within a second by the workers' own look at the table.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError
from taskiq import BrokerMessage
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

from domain.kinds import Pool
from persistence.feed import RING_SECONDS, UNREACHABLE

logger = logging.getLogger(__name__)

MOST_WAKES = 64
"""Wake-ups are all alike: a list longer than any number of idle slots says nothing more."""
_LISTEN_SECONDS = 2
"""How long one question for a message waits: well below the time in which Redis must answer."""
_TASK = "wake"


class _Wakes(ListQueueBroker):
    """The list broker, with a bounded list and a listener that survives Redis."""

    def __init__(self, redis: "Redis", queue_name: str) -> None:
        super().__init__("redis://", queue_name=queue_name)
        # In place of the pool it has made itself, unconnected: that one cannot ask a Sentinel where Redis is.
        self.connection_pool = cast("BlockingConnectionPool", redis.connection_pool)
        self.closing = asyncio.Event()
        self._redis = redis  # one for all messages: to make a client costs more than to use it

    async def kick(self, message: BrokerMessage) -> None:
        await self.wake(message.message, 1)

    async def wake(self, message: bytes, times: int) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.lpush(self.queue_name, *[message] * times)
            pipe.ltrim(self.queue_name, 0, MOST_WAKES - 1)
            await pipe.execute()

    async def listen(self) -> AsyncGenerator[bytes, None]:
        pause = 0.05
        # Ended by a word, not only by a cancel: the receiver cancels its listener once, and a cancel can get lost.
        while not self.closing.is_set():
            try:
                popped: Any = await self._redis.brpop([self.queue_name], timeout=_LISTEN_SECONDS)
                pause = 0.05
                if popped:
                    yield popped[1]
            except UNREACHABLE as error:
                logger.warning("the queue is out of reach, again in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)


class Queue:
    """One list of wake-ups for each pool."""

    def __init__(self, redis: "Redis", *, namespace: str) -> None:
        """Share the client's connections; whoever listens holds one for each pool of jobs."""
        self._brokers = {pool: _Wakes(redis, f"{namespace}:wake:{pool}") for pool in Pool}

    async def wake(self, pools: Mapping[Pool, int]) -> None:
        """Wake so many idle slots of each pool. Never raises: the workers look for themselves every second."""
        for pool, slots in pools.items():
            broker = self._brokers[pool]
            message = broker.formatter.dumps(_message(broker.id_generator()))
            try:
                async with asyncio.timeout(RING_SECONDS):
                    await broker.wake(message.message, min(slots, MOST_WAKES))
            except UNREACHABLE as error:
                logger.warning("no wake-up for the %s pool: %s", pool, error)

    async def receive(self, pool: Pool, slots: int, work: Callable[[], Awaitable[None]]) -> None:
        """Call `work` for each wake-up, at most `slots` at once: a message stays in Redis until a slot is idle."""
        broker = self._brokers[pool]
        broker.register_task(work, task_name=_TASK)
        broker.is_worker_process = True
        await run_receiver_task(broker, max_async_tasks=slots, max_prefetch=0, validate_params=False)

    def stop(self) -> None:
        """Receive nothing more: `receive` returns within a few seconds, by a cancel at once."""
        for broker in self._brokers.values():
            broker.closing.set()

    async def close(self) -> None:
        """Let go of every connection."""
        for broker in self._brokers.values():
            with suppress(RedisError, OSError):
                await broker.shutdown()


def _message(task_id: str) -> Any:
    from taskiq import TaskiqMessage

    return TaskiqMessage(task_id=task_id, task_name=_TASK, labels={}, args=[], kwargs={})
