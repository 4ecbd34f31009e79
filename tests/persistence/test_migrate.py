"""Migrations and the declared tables."""

import asyncio
import shutil
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.pool import NullPool

import persistence
from domain.entity import new_id
from persistence.database import database_engine
from persistence.migrate import Standing, configured, standing, upgrade
from persistence.resources import Resources
from persistence.tables import declared
from reelgraph.embedded import Servers

_OLD_ROWS = """
    INSERT INTO projects (id, name, timeline, timeline_version, version)
    VALUES ('set', 'A', '{"tracks": []}', 7, 1), ('none', 'B', NULL, 0, 1), ('null', 'C', 'null', 0, 1)
"""


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


async def test_an_upgrade_keeps_the_timelines_that_are_there_as_the_beginning_of_their_history(
    servers: Servers,
) -> None:
    name = f"test_{new_id()}"
    engine = database_engine(servers.database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    old = database_engine(f"{servers.database_url.rpartition('/')[0]}/{name}", poolclass=NullPool)
    try:
        async with old.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(configured(sync), "0002"))
            await connection.execute(text(_OLD_ROWS))
        async with old.begin() as connection:
            await connection.run_sync(lambda sync: command.upgrade(configured(sync), "head"))
        async with old.connect() as connection:
            query = text("SELECT project_id, number, timeline, user_id, restored_from FROM timeline_versions")
            assert (await connection.execute(query)).all() == [("set", 7, {"tracks": []}, None, None)]
            ids = (await connection.execute(text("SELECT id FROM timeline_versions"))).scalars().all()
            assert [len(each) for each in ids] == [24]
        async with old.begin() as connection:
            await connection.run_sync(lambda sync: command.downgrade(configured(sync), "0002"))
            await connection.run_sync(lambda sync: command.upgrade(configured(sync), "head"))
    finally:
        await old.dispose()
        async with engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        await engine.dispose()
