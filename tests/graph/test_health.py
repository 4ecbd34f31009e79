"""Whether an API process lives, and whether requests should come to it, over real HTTP routes and real servers."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette

from graph import health
from persistence.resources import opened
from persistence.settings import Settings

WELL = {"status": "ok"}
ALL = ("database", "migrations", "redis", "storage")
NOWHERE = "127.0.0.1:1"

Asking = Callable[[Settings], AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def asking(settings: Settings, draining: asyncio.Event | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application with nothing but these routes."""
    async with opened(settings) as resources:
        app = Starlette(routes=[health.alive(), health.ready(resources, draining or asyncio.Event())])
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


async def readiness(settings: Settings) -> tuple[int, dict[str, Any]]:
    async with asking(settings) as client:
        answer = await client.get("/readyz")
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json()


def unready(**problems: str) -> tuple[int, dict[str, Any]]:
    failed = {name: {"status": "failed", "message": message} for name, message in problems.items()}
    return 503, {"status": "unavailable", "checks": dict.fromkeys(ALL, WELL) | failed}


async def test_a_process_with_all_it_needs_is_ready(settings: Settings) -> None:
    assert await readiness(settings) == (200, {"status": "ok", "checks": dict.fromkeys(ALL, WELL)})


async def test_a_process_lives_whatever_has_become_of_its_servers(settings: Settings) -> None:
    nowhere = replace(settings, database_url=f"postgresql://u:p@{NOWHERE}/d", redis_url=f"redis://{NOWHERE}")
    async with asking(nowhere) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, WELL)


async def test_a_database_that_is_not_there_is_told_without_its_address(settings: Settings) -> None:
    told = await readiness(replace(settings, database_url=f"postgresql://u:p@{NOWHERE}/d"))
    assert told == unready(database="does not answer", migrations="does not answer")


async def test_a_redis_that_is_not_there_is_told(settings: Settings) -> None:
    told = await readiness(replace(settings, redis_url=f"redis://{NOWHERE}"))
    assert told == unready(redis="does not answer")


async def test_a_storage_that_cannot_be_used_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o400)
    told = await readiness(replace(settings, storage_path=tmp_path / "file" / "media"))
    assert told == unready(storage="cannot be written")


async def test_a_bucket_that_does_not_answer_is_told(settings: Settings) -> None:
    keys = {"s3_access_key_id": "a", "s3_secret_access_key": "b"}
    bucket = replace(settings, storage="s3", s3_bucket="media", s3_endpoint_url=f"http://{NOWHERE}", **keys)
    assert await readiness(bucket) == unready(storage="does not answer")


@pytest.mark.parametrize("storage_environment", ["moto"], indirect=True)
async def test_a_bucket_that_answers_is_ready(settings: Settings) -> None:
    assert settings.storage == "s3"
    assert (await readiness(settings))[0] == 200


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "DELETE FROM alembic_version",
            unready(migrations="the database is without our tables; run `reelgraph migrate`"),
        ),
        # In a deployment: migrated for the next version, and processes of this one not all replaced yet.
        ("UPDATE alembic_version SET version_num = 'from the future'", (200, None)),
    ],
)
async def test_a_database_of_another_version(settings: Settings, statement: str, expected: Any) -> None:
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute(statement)
    await connection.close()
    code, body = await readiness(settings)
    assert (code, body if expected[1] else None) == expected


async def test_a_process_that_is_told_to_stop_is_ready_no_more_but_alive(settings: Settings) -> None:
    draining = asyncio.Event()
    async with asking(settings, draining) as client:
        assert (await client.get("/readyz")).status_code == 200
        draining.set()
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
        assert (await client.get("/healthz")).status_code == 200


async def test_a_server_that_says_nothing_is_given_up_after_two_seconds_by_all_who_ask(settings: Settings) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asking(replace(settings, database_url=f"postgresql://u:p@127.0.0.1:{port}/d")) as client:
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
        assert asyncio.get_running_loop().time() - started < health.PATIENCE_SECONDS + 1.5
        expected = unready(database="does not answer", migrations="does not answer")
        assert [(each.status_code, each.json()) for each in answers] == [expected] * 20
        assert len(connections) == 2  # one for each look, however many ask
        server.close()
        for each in connections:
            each.close()
