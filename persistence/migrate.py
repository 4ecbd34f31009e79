"""Bringing a database to the present tables, by Alembic."""

import asyncio
from enum import Enum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from persistence.database import database_engine

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 5_230_901_718
"""An advisory lock of our own: two processes that migrate at once take turns, and the second finds nothing to do."""


class Standing(Enum):
    """How the tables of a database and this code go together."""

    CURRENT = "at the newest revision"
    EMPTY = "without our tables"
    BEHIND = "older than this code"
    AHEAD = "newer than this code"
    """As in a deployment, after the migration and before the last old process has gone."""


def configured(connection: Connection | None = None) -> Config:
    """Alembic's configuration; its env.py works on the connection."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))  # it interpolates
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str) -> None:
    """Bring the database to the newest revision, all or nothing; harmless when it is there already."""
    asyncio.run(_upgrade(database_url))


async def _upgrade(database_url: str) -> None:
    engine = database_engine(database_url, prepared=False, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(lambda sync: command.upgrade(configured(sync), "head"))
    finally:
        await engine.dispose()


async def standing(connection: AsyncConnection, scripts: Path = _SCRIPTS) -> Standing:
    """Compare the revision that the database says it has with those that this code (its migrations) knows."""
    revision = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    head, known = await asyncio.to_thread(_revisions, scripts)
    if revision is None:
        return Standing.EMPTY
    if revision == head:
        return Standing.CURRENT
    return Standing.BEHIND if revision in known else Standing.AHEAD


@cache
def _revisions(scripts: Path) -> tuple[str | None, frozenset[str]]:
    """The newest revision, and all of them."""
    folder = ScriptDirectory(str(scripts))
    return folder.get_current_head(), frozenset(each.revision for each in folder.walk_revisions())
