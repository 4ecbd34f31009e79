"""What a process holds open: the one place where the database, Redis and storage are opened and closed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from persistence.database import Database
from persistence.feed import Doorbells, redis_opened
from persistence.queue import Queue
from persistence.reads import Reads
from persistence.settings import Settings
from persistence.storage import Storage
from persistence.storage.local import LocalStorage
from persistence.tooling import Tooling
from persistence.work import Work, transaction


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Opened once for each process."""

    settings: Settings
    database: Database
    doorbells: Doorbells
    queue: Queue
    storage: Storage

    @asynccontextmanager
    async def work(self) -> AsyncGenerator[Work]:
        """One transaction; when it has committed, ring and wake."""
        async with transaction(self.database.sessions()) as work:
            yield work
        await asyncio.gather(self.queue.wake(work.wakes), self.doorbells.ring(work.rings))

    @cached_property
    def tooling(self) -> Tooling:
        """What the workers make things with."""
        return Tooling(self.database)

    def reads(self) -> Reads:
        """Look-ups for one operation."""
        return Reads(self.database)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Resources]:
    """Open everything, lazily where it can be; close it in reverse."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.opened(settings))
        redis = await stack.enter_async_context(redis_opened(settings.redis_url, connections=settings.redis_pool))
        queue = Queue(redis, namespace=settings.redis_namespace)
        stack.push_async_callback(queue.close)
        yield Resources(
            settings=settings,
            database=database,
            doorbells=Doorbells(redis, url=settings.redis_url, namespace=settings.redis_namespace),
            queue=queue,
            storage=await stack.enter_async_context(storage_opened(settings)),
        )


@asynccontextmanager
async def storage_opened(settings: Settings) -> AsyncGenerator[Storage]:
    """Open what the settings say keeps the media. Raises SettingError where they do not describe it."""
    if settings.storage == "disk":
        yield LocalStorage(settings)
        return
    from persistence.storage.s3 import S3Storage  # boto3 takes half a second to import

    storage = await S3Storage.opened(settings)
    try:
        yield storage
    finally:
        await storage.close()
