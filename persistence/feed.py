"""Doorbells over Redis pub/sub: a ring says "look at this row". Losing one delays, a double one is harmless.

One connection for each process listens. Redis confirms each (re)subscription, and that confirmation rings the bell
too: whoever hangs a bell and then reads the row can miss nothing, neither between the two nor while the line was cut.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py leaves its keyword arguments untyped.

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import RedisError

from persistence.redis_pool import pool_opened

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 3.0
"""A line that answers no ping for so long is dead, whatever the socket says: half-open links never tell."""
PING_SECONDS = 1.0
RING_SECONDS = 1.0
"""How long a commit waits for a Redis that does not answer."""
_LONGEST_PAUSE = 2.0
UNREACHABLE = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a command raises when Redis cannot be reached. The last is uvloop's, for a connection that was reset while it
lay idle, and redis-py passes it on as it is."""


class Bell(Protocol):
    """What is told of a ring. Called on the event loop; it must not block."""

    def __call__(self, topic: str, /) -> None: ...


@asynccontextmanager
async def redis_opened(url: str, *, connections: int) -> AsyncGenerator["Redis"]:
    """Open a client whose commands wait for a free connection and are tried again over a short outage."""
    async with pool_opened(
        url,
        connections=connections,
        socket_connect_timeout=2,
        socket_timeout=5,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 3),
        retry_on_error=[RuntimeError],
    ) as pool:
        yield Redis(connection_pool=pool)


class Doorbells:
    """Rings, and listens for rings, by topic (an entity's id, or a project's log)."""

    def __init__(self, redis: "Redis", *, url: str, namespace: str) -> None:
        """Keep the client for ringing; the listening line is a connection of its own to the same server."""
        self._redis = redis
        self._url = url
        self._prefix = f"{namespace}:bell:"
        self._bells: dict[str, list[Bell]] = {}
        self._changed: set[str] = set()
        """Topics that were hung or taken down since the line's subscriptions were last brought in step."""
        self._wanted = asyncio.Event()
        self._heard = time.monotonic()
        self._was_up = False

    async def ring(self, topics: Collection[str]) -> None:
        """Ring each topic once. Never raises, and soon gives up: those who listen look by themselves now and then."""
        if not topics:
            return
        try:
            async with asyncio.timeout(RING_SECONDS), self._redis.pipeline(transaction=False) as pipe:
                for topic in topics:
                    pipe.publish(self._prefix + topic, b"1")
                await pipe.execute()
        except UNREACHABLE as error:
            logger.warning("%d doorbells did not ring: %s", len(topics), error)

    async def ping(self) -> None:
        """Ask Redis for an answer. Raises RedisError."""
        await self._redis.ping()

    def hang(self, topic: str, bell: Bell) -> Callable[[], None]:
        """Ring this bell for the topic, and once when the line is up, until what is returned is called."""
        if topic not in self._bells:
            self._bells[topic] = []
            self._want(topic)
        self._bells[topic].append(bell)
        return partial(self._take_down, topic, bell)

    @contextmanager
    def hung(self, topic: str, bell: Bell) -> Generator[None]:
        """Ring this bell for the topic, as long as the block lasts."""
        take_down = self.hang(topic, bell)
        try:
            yield
        finally:
            take_down()

    def _take_down(self, topic: str, bell: Bell) -> None:
        bells = self._bells.get(topic, [])
        if bell in bells:
            bells.remove(bell)
            if not bells:
                del self._bells[topic]
                self._want(topic)

    def _want(self, topic: str) -> None:
        self._changed.add(topic)
        self._wanted.set()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Keep the line up as long as the block lasts."""
        task = asyncio.create_task(self._listen(), name="doorbells")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        pause = 0.05
        while True:
            try:
                async with redis_line(self._url) as line:
                    # Before anything else happens on it: concurrent first commands of a fresh line race.
                    await line.subscribe(self._prefix)
                    self._heard = time.monotonic()
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._read(line))
                        group.create_task(self._follow(line))
                        group.create_task(self._watch(line))
            except* Exception as group:  # noqa: BLE001 - whatever it is, the line is down and must come up again
                logger.warning("the doorbell line is down, again in %.1f s: %s", pause, group.exceptions[0])
            # While the line is down nobody hears of anything: let them look by themselves now and then.
            self._sound(list(self._bells))
            if self._was_up:  # not only accepted, as by a proxy before a Redis that is away
                pause, self._was_up = 0.05, False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _read(self, line: PubSub) -> None:
        while True:
            message = await line.get_message(ignore_subscribe_messages=False, timeout=None)
            self._heard, self._was_up = time.monotonic(), True
            if message and message["type"] in {"message", "subscribe"}:
                channel = cast("bytes", message["channel"]).decode()
                self._sound([channel.removeprefix(self._prefix)])

    async def _follow(self, line: PubSub) -> None:
        """Bring the line's subscriptions in step with the bells that hang. The only one to subscribe, so in order."""
        there: set[str] = set()
        self._changed = set(self._bells)
        while True:
            self._wanted.clear()
            changed, self._changed = self._changed, set()
            wanted = {topic for topic in changed if topic in self._bells}
            if more := wanted - there:
                await line.subscribe(*(self._prefix + topic for topic in more))
            if fewer := changed & there - wanted:
                await line.unsubscribe(*(self._prefix + topic for topic in fewer))
            there -= fewer
            there |= more
            await self._wanted.wait()

    async def _watch(self, line: PubSub) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            if time.monotonic() - self._heard > SILENCE_SECONDS:
                raise TimeoutError("no answer to pings: the connection is half open")
            await line.ping()

    def _sound(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for bell in list(self._bells.get(topic, ())):
                bell(topic)


@asynccontextmanager
async def redis_line(url: str) -> AsyncGenerator[PubSub]:
    """A fresh connection in subscribed state that never reconnects by itself: the loop above must hear of a cut."""
    options = {"socket_connect_timeout": 2, "socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
    async with pool_opened(url, connections=1, **options) as pool, Redis(connection_pool=pool).pubsub() as line:
        yield line
