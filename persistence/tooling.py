"""What the workers make things with, as the API knows it: by that it names what they would make."""

import time

from sqlalchemy import func, select

from domain.pool import WorkerPresence
from domain.render.scene import Tools
from persistence.database import Database

_KNOWN_FOR = 10.0
"""Seconds. Workers with another FFmpeg are rare news, and one who knows it late only finds less in the cache."""


class Tooling:
    """One for each process."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet."""
        self._database = database
        self._tools: Tools | None = None
        self._until = 0.0

    async def newest(self) -> Tools | None:
        """That of the worker which has started last, or what was heard last; None if nothing ever was."""
        if self._tools is None or time.monotonic() > self._until:
            self._tools = await self._asked() or self._tools  # with no worker left, what they made is still there
            self._until = time.monotonic() + _KNOWN_FOR
        return self._tools

    def forget(self) -> None:
        """Ask again the next time."""
        self._until = 0.0

    async def _asked(self) -> Tools | None:
        told = select(WorkerPresence.tools).where(func.jsonb_typeof(WorkerPresence.tools) == "object")
        async with self._database.statements() as session:
            found = await session.scalar(told.order_by(WorkerPresence.started_at.desc()).limit(1))
        return Tools(**found) if found else None
