"""The same messages, from the same jobs at the same moments, through our API and through the raw relay."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from bench.jobs.people import Person, people
from bench.live import deployment
from bench.live.crowd import Crowd
from bench.live.deployment import Server
from bench.live.jobs import Workers
from bench.live.scenario import Pace, Scenario
from domain.kinds import PauseSpec
from domain.membership import Membership
from domain.order import Order
from domain.viewer import Role
from persistence.database import Database
from persistence.settings import Settings
from persistence.work import transaction

WATCH = """subscription($id: ID!) {
  job(id: $id) { state attempt progress { stage fraction etaSeconds } error { code message } }
}"""
SETTLE_SECONDS = 60.0
"""How long it may take until every client has heard of its job."""

Tell = Callable[[str], Awaitable[None]]
"""Tells those who watch a job that it has come further."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one server used for the messages that it delivered."""

    messages: int
    expected: int
    """How many would have come if no state had been overtaken by the next."""
    seconds: float
    cpu: float
    memory: float
    """Bytes for each subscription."""

    @property
    def each(self) -> float:
        """Microseconds of processor time for a delivered message."""
        return self.cpu / self.messages * 1e6

    def __str__(self) -> str:
        return (
            f"{self.each:6.1f} us a message, {self.memory / 1000:5.1f} kB a subscription; {self.messages} of "
            f"{self.expected} messages in {self.seconds:.1f} s, {self.cpu / self.seconds:.0%} of a processor"
        )


class Bench:
    """Measures one server after the other, each freshly started."""

    def __init__(self, scenario: Scenario, environment: dict[str, str], folder: Path) -> None:
        self._scenario = scenario
        self._environment = environment
        self._settings = Settings.read(environment)
        self._folder = folder

    async def measured(self, name: str, subscribers: int) -> tuple[Measured, Measured]:
        """Ours, and the raw relay."""
        pace: Pace = getattr(self._scenario, name)
        async with AsyncExitStack() as stack:
            redis = await stack.enter_async_context(Redis.from_url(self._settings.redis_url))
            workers = Workers(self._settings.database_url, redis, self._settings.redis_namespace)
            await stack.enter_async_context(workers)
            users, waiting = await self._users()
            ids = await workers.under_way(waiting, subscribers if name == "distinct" else 1)
            watched = [ids[number % len(ids)] for number in range(subscribers)]
            with deployment.reelgraph(self._environment, self._folder / "api.log") as server:
                sockets = await _ours(server, users, watched)
                message, ours = await self._run(server, sockets, ids, pace, workers.beat)
            with deployment.relay(self._settings.redis_url, self._folder / "relay.log") as server:
                sockets = [_socket(server, f"/relay/{job_id}") for job_id in watched]
                _, raw = await self._run(server, sockets, ids, pace, lambda job_id: workers.relayed(job_id, message))
            await workers.forget(ids)
        return ours, raw

    async def _users(self) -> tuple[list[Person], str]:
        """The users, members of the first one's project, and a job there that no worker will take."""
        async with Database.opened(self._settings) as database:
            users = await people(database, users=self._scenario.users, projects_of_each=1)
            project = users[0].projects[0]
            async with transaction(database.sessions()) as work:
                for person in users[1:]:
                    work.add(Membership(project_id=project, user_id=person.id, role=Role.VIEWER))
                job = await work.place(Order(spec=PauseSpec(seconds=1), project_id=project, user_id=users[0].id))
        return users, job.id

    async def _run(
        self, server: Server, sockets: list[dict[str, Any]], ids: Sequence[str], pace: Pace, tell: Tell
    ) -> tuple[str, Measured]:
        """An example of a message, and what they cost."""
        idle, began = server.memory(), time.monotonic()
        async with Crowd.running() as crowd:
            opened = await crowd.open(sockets)
            print(f"  {len(sockets)} sockets opened in {time.monotonic() - began:.1f} s", flush=True)
            await _all_hear(crowd, ids, tell, more_than=opened.least)
            await asyncio.sleep(1)
            memory = (server.memory() - idle) / len(sockets)
            before, cpu, began = await crowd.count(), server.cpu(), time.monotonic()
            await _paced(ids, pace, random.Random(self._scenario.seed), tell)
            seconds = time.monotonic() - began
            expected = pace.events * len(sockets) // len(ids)
            after = await crowd.settled(before.messages + expected)
            return after.latest, Measured(
                messages=after.messages - before.messages,
                expected=expected,
                seconds=seconds,
                cpu=server.cpu() - cpu,
                memory=memory,
            )


async def _ours(server: Server, users: Sequence[Person], watched: Sequence[str]) -> list[dict[str, Any]]:
    """Sockets of all the users in turn, each with what it says first."""
    tokens = [await person.token(server.url) for person in users]
    sockets: list[dict[str, Any]] = []
    for number, job_id in enumerate(watched):
        authorization = f"Bearer {tokens[number % len(tokens)]}"
        payload = {"query": WATCH, "variables": {"id": job_id}}
        sockets.append(
            _socket(
                server,
                "/graphql",
                {"type": "connection_init", "payload": {"authorization": authorization}},
                {"type": "subscribe", "id": "1", "payload": payload},
            )
        )
    return sockets


def _socket(server: Server, path: str, *says: dict[str, Any]) -> dict[str, Any]:
    return {"port": urlsplit(server.url).port, "path": path, "says": [json.dumps(each) for each in says]}


async def _all_hear(crowd: Crowd, ids: Sequence[str], tell: Tell, *, more_than: int) -> None:
    """Tell of all jobs until each client has heard: then everything is in place, on both sides."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while (await crowd.count()).least <= more_than:
            for job_id in ids:
                await tell(job_id)
            await asyncio.sleep(1)


async def _paced(ids: Sequence[str], pace: Pace, chance: random.Random, tell: Tell) -> None:
    """Tell of one job in even steps, or of many in turn as chance has it, whether or not others are being told of."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(pace.events):
            due += 1 / pace.events_per_second if len(ids) == 1 else chance.expovariate(pace.events_per_second)
            await asyncio.sleep(due - loop.time())
            group.create_task(tell(ids[number % len(ids)]))
