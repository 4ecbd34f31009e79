"""What open connections rest on, sign-ins and memberships, looked at again and again while they are open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks: what is lost must show within two seconds."""

K = TypeVar("K")


class Watch(Generic[K]):
    """Watches many things of one kind in one query a second, and in none while there is nothing to watch.

    A look that fails ends nothing: an outage takes nobody's rights away.
    """

    def __init__(self, lost: Callable[[list[K]], Awaitable[Collection[K]]]) -> None:
        """Take what tells which of these are lost."""
        self._lost = lost
        self._kept: dict[K, list[Callable[[], None]]] = {}
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many different things are watched."""
        return len(self._kept)

    def add(self, key: K, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended`, once, when this is lost. Call what is returned to watch it no longer; twice does no harm."""
        self._kept.setdefault(key, []).append(ended)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="rights")
        return partial(self._remove, key, ended)

    def _remove(self, key: K, ended: Callable[[], None]) -> None:
        waiting = self._kept.get(key, [])
        if ended in waiting:
            waiting.remove(ended)
            if not waiting:
                del self._kept[key]
        if not self._kept and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                lost = await self._lost(list(self._kept))
            except Exception as error:  # noqa: BLE001 - whatever it is, look again
                logger.warning("what open connections rest on could not be looked at: %s", error)
                continue
            for key in lost:
                for ended in self._kept.pop(key, ()):
                    try:
                        ended()
                    except Exception:  # one connection's trouble is nobody else's
                        logger.exception("a connection could not be told that its right is lost")
            if not self._kept:
                self._looking = None
                return
