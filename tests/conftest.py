"""Real servers for the whole session; a database of its own, cloned from a migrated template, for each test."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path

import asyncpg
import pytest

from domain.entity import new_id
from persistence.migrate import upgrade
from persistence.resources import Resources, opened
from persistence.settings import Settings
from reelgraph import embedded
from tests import s3
from tests.story import Stage, staged

TEMPLATE = "template_reelgraph"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[embedded.Servers]:
    """A real PostgreSQL and a real Redis, empty, for this test process."""
    with embedded.running(tmp_path_factory.mktemp("home"), fsync=False) as running:
        yield running


@pytest.fixture(scope="session")
def template(servers: embedded.Servers) -> str:
    """The URL of a migrated database that tests are cloned from."""
    _sql(servers.database_url, f"CREATE DATABASE {TEMPLATE}")
    url = _named(servers.database_url, TEMPLATE)
    upgrade(url)
    return url


@pytest.fixture
def database_url(servers: embedded.Servers, template: str) -> Iterator[str]:
    """A migrated database that nobody else uses."""
    name = f"test_{new_id()}"
    _sql(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    yield _named(servers.database_url, name)
    _sql(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Generator[s3.S3Server]:
    with s3.running("moto", tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Generator[s3.S3Server]:
    with s3.running("rclone", tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def storage_environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Where media are kept: a folder, or (see tests.s3) a bucket of a real server."""
    folder = {"STORAGE_PATH": str(tmp_path / "media")}
    kind = getattr(request, "param", "disk")
    return folder if kind == "disk" else folder | request.getfixturevalue(kind).environment()


@pytest.fixture
def environment(
    database_url: str, servers: embedded.Servers, tmp_path: Path, storage_environment: dict[str, str]
) -> dict[str, str]:
    """What a process of the product is configured with."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": servers.redis_url,
        "REDIS_NAMESPACE": new_id(),
        "SECRET_KEY": "a secret of the tests, long enough to be one",
        "PUBLIC_URL": "http://127.0.0.1:8000",
        **storage_environment,
        "SCRATCH_PATH": str(tmp_path / "scratch"),
        "DATABASE_POOL": "5",
        "DRAIN_SECONDS": "0.2",
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.read(environment)


@pytest.fixture
async def resources(settings: Settings) -> AsyncGenerator[Resources]:
    async with opened(settings) as resources:
        yield resources


@pytest.fixture
async def stage(resources: Resources) -> AsyncGenerator[Stage]:
    """One API process without its wire."""
    async with staged(resources) as stage:
        yield stage


def _named(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


def _sql(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
