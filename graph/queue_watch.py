"""One look at the queues for all who watch them: however many administrators do, the database is asked once."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from domain.pool import Queue

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the queues are looked at while somebody watches."""
_REST = 10
"""A look that takes long is followed by a rest so many times as long: watching must not cost what it watches."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen, when (on the process's own clock), and who may see it."""

    queues: list[Queue]
    admins: frozenset[str]
    at: float


class QueueWatch:
    """Looks as long as anybody watches, and only then. One for each process."""

    def __init__(self, look: Callable[[], Awaitable[tuple[list[Queue], frozenset[str]]]]) -> None:
        """Look at nothing yet."""
        self._look = look
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self._latest: Look | None = None
        self._fresh = asyncio.Event()

    async def looks(self) -> AsyncGenerator[Look]:
        """The latest look at once, then newer ones; who is slow misses some."""
        self._watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._keep_looking(), name="queues")
        seen: Look | None = None
        try:
            while True:
                latest = self._latest
                if latest is None or latest is seen:
                    await self._fresh.wait()
                else:
                    seen = latest
                    yield latest
        finally:
            self._watchers -= 1
            if not self._watchers:
                await self._stop()

    async def _stop(self) -> None:
        task, self._task, self._latest = self._task, None, None
        if task:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_looking(self) -> None:
        while True:
            began = time.monotonic()
            try:
                queues, admins = await self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is (the database is away, say), look again
                logger.warning("the queues could not be looked at, again in %.1f s: %s", LOOK_SECONDS, error)
            else:
                self._latest = Look(queues=queues, admins=admins, at=began)
                told, self._fresh = self._fresh, asyncio.Event()
                told.set()
            await asyncio.sleep(max(LOOK_SECONDS, _REST * (time.monotonic() - began)))
