"""Migrations and the declared tables."""

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from persistence.migrate import upgrade
from persistence.resources import Resources
from persistence.tables import declared


async def test_a_migrated_database_has_exactly_the_declared_tables(resources: Resources) -> None:
    def difference(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, declared()))

    async with resources.database.engine.connect() as connection:
        assert await connection.run_sync(difference) == []


async def test_migrating_twice_at_once_is_harmless(resources: Resources) -> None:
    url = resources.settings.database_url
    await asyncio.gather(*(asyncio.to_thread(upgrade, url) for _ in range(2)))
