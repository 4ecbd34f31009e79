"""The engine and its sessions."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from persistence.settings import Settings


def async_url(database_url: str) -> URL:
    """The same address, spoken to through asyncpg."""
    return make_url(database_url).set(drivername="postgresql+asyncpg")


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@dataclass(frozen=True)
class Database:
    """One engine for each process. A session is one transaction, or one batch of reads; nobody keeps one."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncGenerator["Database"]:
        """Open the pool (lazily: the first query connects) and close it at the end."""
        engine = create_async_engine(
            async_url(settings.database_url),
            pool_size=settings.database_pool,
            max_overflow=0,
            pool_pre_ping=True,
            json_serializer=_json,
        )
        try:
            yield cls(engine, async_sessionmaker(engine, expire_on_commit=False))
        finally:
            await engine.dispose()
