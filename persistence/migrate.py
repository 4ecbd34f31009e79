"""Bringing a database to the present tables, by Alembic."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from persistence.database import async_url

_LOCK = 5_230_901_718
"""An advisory lock of our own: two processes that migrate at once take turns, and the second finds nothing to do."""


def configured(connection: Connection | None = None) -> Config:
    """Alembic's configuration; its env.py works on the connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str) -> None:
    """Bring the database to the newest revision, all or nothing; harmless when it is there already."""
    asyncio.run(_upgrade(database_url))


async def _upgrade(database_url: str) -> None:
    engine = create_async_engine(async_url(database_url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(lambda sync: command.upgrade(configured(sync), "head"))
    finally:
        await engine.dispose()
