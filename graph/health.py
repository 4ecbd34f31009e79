"""Whether this process lives (/healthz), and whether it can do its work (/readyz).

Everybody may ask, so the answers name no address and repeat no error; the log does. And nobody can load the servers by
asking: what was looked at within a second is not looked at again, and a look that takes long is waited for by all.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from persistence.migrate import Standing, standing
from persistence.resources import Resources
from persistence.storage import StorageUnavailableError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0
"""What has not answered for so long counts as down."""
FRESH_SECONDS = 1.0
_SILENT = "does not answer"
_KEY = "readiness"
"""No object ever lies under it."""

Look = Callable[[Resources], Awaitable[None]]


class _Unready(Exception):
    """Said as it is to whoever asks."""


def alive() -> BaseRoute:
    """Return the route that tells whether the process answers. It depends on nobody: to start it again heals it."""
    return Route("/healthz", _alive)


def ready(resources: Resources, draining: asyncio.Event) -> BaseRoute:
    """Return the route that tells whether requests should come here: 200, or 503 with what is wrong."""
    checks = {name: _Check(name, look, resources) for name, look in _LOOKS.items()}

    async def answer(_request: Request) -> Response:
        if draining.is_set():
            return _answer("draining", 503)
        problems = dict(zip(checks, await asyncio.gather(*(each.problem() for each in checks.values())), strict=True))
        told = {
            name: {"status": "ok"} if problem is None else {"status": "failed", "message": problem}
            for name, problem in problems.items()
        }
        return _answer("unavailable", 503, told) if any(problems.values()) else _answer("ok", 200, told)

    return Route("/readyz", answer)


class _Check:
    """One thing that must be well, looked at by one at a time."""

    def __init__(self, name: str, look: Look, resources: Resources) -> None:
        self._name, self._look, self._resources = name, look, resources
        self._looking: asyncio.Task[tuple[str | None, str]] | None = None
        self._looked_at = float("-inf")
        self._told: str | None = None

    async def problem(self) -> str | None:
        """Return what is wrong, None if nothing is."""
        if self._looking is None or (self._looking.done() and time.monotonic() - self._looked_at > FRESH_SECONDS):
            self._looking = asyncio.create_task(self._found())
        # Waited for, but not cancelled: what runs in a thread cannot be, and the next to ask may have its answer.
        await asyncio.wait({self._looking}, timeout=PATIENCE_SECONDS)
        problem, why = (
            self._looking.result() if self._looking.done() else (_SILENT, f"not within {PATIENCE_SECONDS:g} s")
        )
        if problem != self._told:  # once for each outage, not for each who asks
            logger.warning("readiness: %s: %s", self._name, f"{problem}: {why}" if problem else "well again")
        self._told = problem
        return problem

    async def _found(self) -> tuple[str | None, str]:
        """What is wrong, for everybody, and why, for the log."""
        try:
            await self._look(self._resources)
        except _Unready as problem:
            return str(problem), "looked at"
        except (SQLAlchemyError, RedisError, StorageUnavailableError, OSError) as error:
            return _SILENT, " ".join(str(error).split()) or repr(error)
        else:
            return None, ""
        finally:
            self._looked_at = time.monotonic()


async def _database(resources: Resources) -> None:
    async with resources.database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def _migrations(resources: Resources) -> None:
    async with resources.database.engine.connect() as connection:
        found = await standing(connection)
    # A newer database is as it should be while processes of the version before are still being replaced.
    if found in {Standing.EMPTY, Standing.BEHIND}:
        raise _Unready(f"the database is {found.value}; run `reelgraph migrate`")


async def _redis(resources: Resources) -> None:
    await resources.doorbells.ping()


async def _storage(resources: Resources) -> None:
    if resources.settings.storage == "disk":
        await asyncio.to_thread(_writable, resources.settings.storage_path)
    else:
        await resources.storage.size(_KEY)


def _writable(folder: Path) -> None:
    """Look at the folder, or at where it would be made. A full disk is none of our business: reading goes on."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise _Unready("cannot be written")


_LOOKS: dict[str, Look] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "storage": _storage,
}


async def _alive(_request: Request) -> Response:
    return _answer("ok", 200)


def _answer(status: str, code: int, checks: dict[str, dict[str, str]] | None = None) -> Response:
    body = {"status": status} | ({} if checks is None else {"checks": checks})
    return JSONResponse(body, code, headers={"Cache-Control": "no-store"})
