"""The small checker: start jobs, watch all of them, kill workers and Redis meanwhile, then ask whether any of it showed.

    python -m tests.chaos.check [--jobs 40] [--seconds 60] [--seed 1] [--workers 3]

A deployment of its own in a temporary folder. The seed fixes what is planned, not what the machine makes of it. Prints
a line for each goal; exits 1 if one is missed.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path

from sqlalchemy import select

from domain.entity import new_id
from domain.event import ProjectEvent
from domain.job import Job
from persistence.database import Database
from persistence.migrate import upgrade
from reelgraph import embedded
from tests.chaos.history import ENDED, Goal, JobHistory, Seen, goals
from tests.installation import Installation, installed, kill
from tests.story import project_of
from tests.wire import Caller, Socket

PROJECTS = 4
LEASE = 2
SETTLE_SECONDS = 45
"""How long everything may take to end, once nothing is killed any more."""
WATCH_JOB = "subscription($id: ID!) { job(id: $id) { state version attempt progress { fraction } } }"
WATCH_PROJECT = "subscription($id: ID!) { projectEvents(projectId: $id, after: \"0\") { cursor kind subjectId } }"


class Check:
    """One run."""

    def __init__(self, servers: embedded.Servers, installation: Installation, seed: int) -> None:
        self.did = {"workers killed": 0, "Redis killed": 0, "Redis wiped": 0, "cancels": 0}
        self.jobs: dict[str, JobHistory] = {}
        self.logs: dict[str, list[tuple[str, str, str]]] = {}
        self.errors: list[str] = []
        self._servers = servers
        self._installation = installation
        self._random = random.Random(seed)
        self._watching: list[asyncio.Task[None]] = []

    async def run(self, jobs: int, seconds: float, workers: int) -> None:
        """Make trouble for so long, let everything settle, and collect what came of it."""
        await asyncio.gather(self._installation.api(), *(self._installation.worker() for _ in range(workers)))
        person = await self._installation.person()
        async with AsyncExitStack() as sockets:
            places = [(await project_of(person), await sockets.enter_async_context(person.socket())) for _ in range(PROJECTS)]
            following = [asyncio.create_task(self._follow(*place)) for place in places]
            trouble = asyncio.create_task(self._trouble(time.monotonic() + seconds))
            # All jobs in the first part, so that there is always work to interrupt; their times are drawn beforehand.
            await asyncio.gather(*(self._job(person, *place) for place in self._drawn(places, jobs, seconds * 0.7)))
            await trouble
            await asyncio.wait(self._watching, timeout=SETTLE_SECONDS)
            await self._collect()
            await self._until_told(5)
            for task in (*self._watching, *following):
                task.cancel()
            await asyncio.gather(*self._watching, *following, return_exceptions=True)

    def goals(self, log_told: dict[str, list[tuple[str, str, str]]] | None = None) -> list[Goal]:
        ...

    # What clients do

    def _drawn(self, places, jobs, seconds):
        ...
