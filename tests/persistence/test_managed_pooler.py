"""PgBouncer in transaction mode: each transaction may have another connection to PostgreSQL."""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import aclosing
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.entity import new_id
from persistence.database import Database
from persistence.migrate import Standing, standing, upgrade
from persistence.settings import Settings
from reelgraph.doctor import examine
from reelgraph.process import Process
from tests.installation import installed
from tests.journeys.acts import WATCH_JOB, pause
from tests.story import project_of

BINARY = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(BINARY is None, reason="there is no pgbouncer here (Debian: apt install pgbouncer)")
ROOT = "namespace:65534:65534"  # it refuses to be root; as PostgreSQL does


@pytest.fixture
def pooled(environment: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a deployment behind a pooler with two connections for everybody."""
    url = urlsplit(environment["DATABASE_URL"])
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users.txt").write_text(f'"{url.username}" "{url.password}"\n')
    (folder / "pgbouncer.ini").write_text(f"""[databases]
* = host=127.0.0.1 port={url.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = transaction
default_pool_size = 2
""")
    process = Process(
        name="PgBouncer",
        argv=[BINARY or "", "pgbouncer.ini"],
        log=tmp_path / "pgbouncer.log",
        folder=folder,
        identity=ROOT if os.geteuid() == 0 else "-",
        answers=lambda it: "process up" in it.said(),
    )
    process.start()
    try:
        process.wait()
        pooler = url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{port}").geturl()
        yield environment | {"DATABASE_URL": pooler, "DATABASE_PREPARED": "false"}
    finally:
        process.stop()


async def many_transactions(settings: Settings) -> list[int]:
    """Five clients, each with the same few statements in twenty transactions."""

    async def client(number: int) -> int:
        found = 0
        for _ in range(20):
            async with database.sessions() as session, session.begin():
                await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": number})
                rows = await session.execute(text("SELECT g FROM generate_series(1, :most) g"), {"most": number})
                found += len(rows.all())
        return found

    async with Database.opened(settings) as database:
        ended = await asyncio.gather(*(client(number) for number in range(1, 6)), return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if isinstance(each, int)]


async def test_statements_without_names_survive_a_shared_connection(pooled: dict[str, str]) -> None:
    assert await many_transactions(Settings.read(pooled)) == [20 * number for number in range(1, 6)]


async def test_prepared_statements_would_not(pooled: dict[str, str]) -> None:
    with pytest.raises(DBAPIError, match="prepared statement"):
        await many_transactions(Settings.read(pooled | {"DATABASE_PREPARED": "true"}))


async def test_an_empty_database_is_migrated_through_it(pooled: dict[str, str], database_url: str) -> None:
    name = f"empty_{new_id()}"
    administrator = await asyncpg.connect(database_url)
    await administrator.execute(f"CREATE DATABASE {name}")
    try:
        url = urlsplit(pooled["DATABASE_URL"])._replace(path=f"/{name}").geturl()
        await asyncio.to_thread(upgrade, url)
        settings = Settings.read(pooled | {"DATABASE_URL": url})
        async with Database.opened(settings) as database, database.engine.connect() as connection:
            assert await standing(connection) is Standing.CURRENT
    finally:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await administrator.close()


async def test_the_doctor_knows_a_pooler_and_says_what_to_set(pooled: dict[str, str]) -> None:
    async def lines(environment: dict[str, str]) -> list[str]:
        said = StringIO()
        await examine(environment, Console(file=said))
        return [line for line in said.getvalue().splitlines() if "a pooler" in line]

    shared = "PostgreSQL: a pooler shares connections between transactions"
    assert await lines(pooled) == [f"ok       {shared}; DATABASE_PREPARED is false"]
    assert await lines(pooled | {"DATABASE_PREPARED": "true"}) == [f"failure  {shared}; set DATABASE_PREPARED=false"]


async def test_a_job_is_done_by_a_deployment_behind_it(pooled: dict[str, str], tmp_path: Path) -> None:
    with installed(pooled, tmp_path / "logs") as installation:
        await asyncio.gather(installation.api(), installation.worker())
        ada = await installation.person()
        job = await pause(ada, await project_of(ada), 0.2)
        async with aclosing(ada.watch(WATCH_JOB, id=job)) as watching, asyncio.timeout(10):
            assert [each["state"] async for each in watching][-1] == "COMPLETED"
        for process in installation.processes:
            assert "prepared statement" not in process.said()
