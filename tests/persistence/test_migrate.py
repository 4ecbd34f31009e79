"""Migrations and the declared tables."""

import asyncio
import shutil
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

import persistence
from persistence.migrate import Standing, standing, upgrade
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


async def test_a_database_says_how_it_and_the_code_go_together(resources: Resources, tmp_path: Path) -> None:
    later = tmp_path / "migrations"
    shutil.copytree(Path(persistence.__file__).parent / "migrations", later)
    async with resources.database.engine.connect() as connection:
        assert await standing(connection) is Standing.CURRENT
        newest = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
        (later / "versions" / "9999_later.py").write_text(f'revision = "9999"\ndown_revision = "{newest}"\n')
        assert await standing(connection, later) is Standing.BEHIND
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        assert await standing(connection) is Standing.AHEAD
        assert await standing(connection, later) is Standing.CURRENT
        await connection.execute(text("DROP TABLE alembic_version"))
        assert await standing(connection) is Standing.EMPTY
