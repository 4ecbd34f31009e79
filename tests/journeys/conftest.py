"""Journeys: real processes, talked to over the wire and killed where the story says so."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path

import asyncpg
import pytest

from domain.entity import new_id
from reelgraph import embedded
from tests.installation import Installation, installed
from tests.wire import Caller

_TOLD_LINES = 60


@pytest.fixture
def installation(environment: dict[str, str], tmp_path: Path) -> Iterator[Installation]:
    """A deployment of the test's own, without processes yet; what its workers vanish with comes back quickly."""
    with installed(environment | {"LEASE_SECONDS": "3"}, tmp_path / "logs") as installation:
        yield installation


@pytest.fixture(scope="session")
def site_environment(
    servers: embedded.Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    name = f"site_{new_id()}"

    async def create() -> None:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template.rpartition('/')[2]} STRATEGY FILE_COPY")
        await connection.close()

    asyncio.run(create())
    folder = tmp_path_factory.mktemp("site")
    return {
        "DATABASE_URL": f"{servers.database_url.rpartition('/')[0]}/{name}",
        "REDIS_URL": servers.redis_url,
        "REDIS_NAMESPACE": name,
        "SECRET_KEY": "a secret of the tests, long enough to be one",
        "STORAGE_PATH": str(folder / "media"),
        "SCRATCH_PATH": str(folder / "scratch"),
        "UPLOAD_PART_BYTES": "1024",
        "DRAIN_SECONDS": "0.2",
    }


@pytest.fixture(scope="session")
async def site(
    site_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Installation]:
    """One deployment for all stories in which nothing breaks: two API processes and one worker."""
    with installed(site_environment, tmp_path_factory.mktemp("site") / "logs") as site:
        await site.api()
        await asyncio.gather(site.api(), site.worker())
        yield site


@pytest.fixture
async def ada(site: Installation) -> Caller:
    """Somebody new, at the site's first API."""
    return await site.person("Ada")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a failure show what the processes had to say."""
    report = yield
    if report.failed:
        for installation in getattr(item, "funcargs", {}).values():
            for process in installation.processes if isinstance(installation, Installation) else ():
                report.sections.append((process.name, "\n".join(process.said().splitlines()[-_TOLD_LINES:])))
    return report
