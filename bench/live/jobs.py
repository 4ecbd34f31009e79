"""Jobs that are under way, and workers' word of how far they are: rows and rings as the product has them."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import asyncpg
from redis.asyncio import Redis

from domain.entity import new_id
from domain.job import Job

_BEAT = """UPDATE jobs SET beat = beat + 1, stage = 'encoding', fraction = (beat + 1) % 1000 / 1000.0, frames = beat,
  fps = 25.5, speed = 1.02, eta_seconds = 12.25 WHERE id = $1"""
_UNDER_WAY = {
    "id": "unnest($2::text[])",
    "state": "'PROCESSING'",
    "attempt": "1",
    "in_line": "false",
    "started_at": "now()",
    "lease_expires_at": "now() + interval '1 day'",
}


class Workers:
    """What workers do to jobs and tell of them, at the cost of a few connections."""

    def __init__(self, database_url: str, redis: Redis, namespace: str) -> None:
        self._url = database_url
        self._redis = redis
        self._prefix = f"{namespace}:bell:"

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._url, min_size=4, max_size=4, server_settings={"synchronous_commit": "off"}
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def under_way(self, job_id: str, count: int) -> list[str]:
        """The ids of so many jobs that are being processed, copies of a job that waits."""
        names = [column.name for column in Job.__table__.columns]
        copied = ", ".join(_UNDER_WAY.get(name, name) for name in names)
        ids = [new_id() for _ in range(count)]
        await self._pool.execute(
            f"INSERT INTO jobs ({', '.join(names)}) SELECT {copied} FROM jobs WHERE id = $1", job_id, ids
        )
        return ids

    async def beat(self, job_id: str) -> None:
        """Tell how far the job is, as its worker does."""
        await self._pool.execute(_BEAT, job_id)
        await self._redis.publish(self._prefix + job_id, b"1")

    async def relayed(self, job_id: str, message: str) -> None:
        """Publish what ours would have made of it."""
        await self._redis.publish(job_id, message)

    async def forget(self, ids: Sequence[str]) -> None:
        """Remove these jobs."""
        await self._pool.execute("DELETE FROM jobs WHERE id = ANY($1::text[])", list(ids))
