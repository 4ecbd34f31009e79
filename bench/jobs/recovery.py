"""How soon a job goes on whose worker was killed."""

import asyncio
import math
import os
import signal
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing

from sqlalchemy import select

from bench.jobs.client import Http, Seen, Socket
from bench.jobs.people import Person
from domain.job import Job
from persistence.database import Database
from reelgraph.process import Process


async def after_kill(
    database: Database, url: str, person: Person, workers: Sequence[Process], patience: float
) -> float:
    """Seconds from the kill -9 of the worker to PROCESSING in the second attempt, seen by a subscriber."""
    token = await person.token(url)
    async with AsyncExitStack() as stack:
        web = Http(url, token)
        stack.callback(web.close)
        socket = await Socket.opened(url, token)
        stack.push_async_callback(socket.close)
        job = await web.start(person.projects[0])
        watch = await stack.enter_async_context(aclosing(socket.watch(job)))
        try:
            async with asyncio.timeout(patience):
                await _seen(watch, attempt=1)
                victim = await _worker_of(database, job, workers)
                killed = time.monotonic()
                os.kill(victim.pid, signal.SIGKILL)
                return await _seen(watch, attempt=2) - killed
        except TimeoutError:
            return math.inf


async def _seen(watch: AsyncGenerator[Seen], *, attempt: int) -> float:
    """When the job was shown to be at work in this attempt."""
    async for seen in watch:
        if (seen.state, seen.attempt) == ("PROCESSING", attempt):
            return seen.at
    raise AssertionError(attempt)  # a watch ends by Refused


async def _worker_of(database: Database, job: str, workers: Sequence[Process]) -> Process:
    async with database.sessions() as session:
        (name,) = await session.scalars(select(Job.worker).where(Job.id == job))
    (found,) = (each for each in workers if str(each.pid) in (name or "").split(":"))
    return found
