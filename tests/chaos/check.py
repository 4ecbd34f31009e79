"""The small checker: watch many jobs, kill and freeze what works on them, then ask whether any of it showed.

    python -m tests.chaos.check [--jobs 40] [--seconds 60] [--seed 1] [--workers 3]

It runs a deployment of its own in a temporary folder. The seed fixes what is planned, not what the machine makes of it.
Prints a line for each goal; exits 1, and keeps the folder, if one is missed.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
from sqlalchemy import select

from domain.event import ProjectEvent
from domain.job import Job, JobState
from persistence.database import Database
from persistence.migrate import upgrade
from reelgraph import embedded
from reelgraph.process import Process
from tests.chaos.history import Goal, JobHistory, Seen, goals
from tests.installation import Installation, installed, kill
from tests.story import project_of
from tests.wire import Caller, Socket

PROJECTS = 4
LEASE_SECONDS = 2
FROZEN_SECONDS = 3.5
"""Longer than a lease: whoever thaws then takes its job for its own, and it is not any more."""
SETTLE_SECONDS = 45
"""How long everything may take to end once nothing is killed any more."""
WATCH_JOB = "subscription($id: ID!) { job(id: $id) { state version attempt progress { fraction } } }"
WATCH_LOG = 'subscription($id: ID!) { projectEvents(projectId: $id, after: "0") { kind subjectId } }'

Entry = tuple[str, str]
"""Of a project's log: what happened, and to what."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One job to be: when it is started, for how long it runs, and when somebody cancels it."""

    at: float
    seconds: float
    project: int
    cancel_after: float | None

    @classmethod
    def drawn(cls, chance: random.Random, within: float) -> Self:
        return cls(
            at=chance.uniform(0, within),
            seconds=chance.uniform(0.2, 1),
            project=chance.randrange(PROJECTS),
            cancel_after=chance.uniform(0, 1.5) if chance.random() < 0.15 else None,
        )


@dataclass(kw_only=True)
class Place:
    """A project, the socket on which all that happens in it is watched, and its log as it was told there."""

    id: str
    socket: Socket
    log: list[Entry] = field(default_factory=list)


class Check:
    """One run: what was done, and what was seen of it."""

    def __init__(self, servers: embedded.Servers, installation: Installation, seed: int) -> None:
        self.did = Counter[str]()
        self.jobs: dict[str, JobHistory] = defaultdict(JobHistory)
        self.errors: list[str] = []
        self.gaps = 0
        """Projects whose log was not told as it is."""
        self._servers = servers
        self._installation = installation
        self._chance = random.Random(seed)
        self._watching: set[asyncio.Task[None]] = set()

    async def run(self, jobs: int, seconds: float, workers: int) -> None:
        """Make trouble for so long, let everything settle, and collect what came of it."""
        plans = [Plan.drawn(self._chance, seconds * 0.8) for _ in range(jobs)]
        await asyncio.gather(self._installation.api(), *(self._installation.worker() for _ in range(workers)))
        person = await self._installation.person()
        async with AsyncExitStack() as stack, Database.opened(self._installation.settings) as database:
            places = [
                Place(id=await project_of(person), socket=await stack.enter_async_context(person.socket()))
                for _ in range(PROJECTS)
            ]
            following = [asyncio.create_task(self._follow(place)) for place in places]
            trouble = asyncio.create_task(self._trouble(database, time.monotonic() + seconds))
            await asyncio.gather(*(self._start(person, places[plan.project], plan) for plan in plans))
            await trouble
            await asyncio.wait(self._watching, timeout=SETTLE_SECONDS)
            await self._collect(database, places)
            for task in (*self._watching, *following):
                task.cancel()
            await asyncio.gather(*self._watching, *following, return_exceptions=True)

    # What clients do

    async def _start(self, person: Caller, place: Place, plan: Plan) -> None:
        await asyncio.sleep(plan.at)
        try:
            started = await person.do("startPause", "... on Job { id }", projectId=place.id, seconds=plan.seconds)
            history = self.jobs[started["id"]]
            self._watching.add(asyncio.create_task(self._watch(place.socket, started["id"], history)))
            if plan.cancel_after is not None:
                await asyncio.sleep(plan.cancel_after)
                history.cancelled = True
                self.did["cancels"] += 1
                await person.do("cancelJob", "", id=started["id"])
        except (AssertionError, httpx.HTTPError) as error:
            self.errors.append(str(error))

    async def _watch(self, socket: Socket, job: str, history: JobHistory) -> None:
        async with aclosing(socket.subscribe(WATCH_JOB, id=job)) as responses:
            async for response in responses:
                shown = response["data"]["job"]
                history.seen.append(Seen(fraction=shown.pop("progress")["fraction"], **shown))
        history.completed = True

    async def _follow(self, place: Place) -> None:
        async with aclosing(place.socket.subscribe(WATCH_LOG, id=place.id)) as responses:
            async for response in responses:
                entry = response["data"]["projectEvents"]
                place.log.append((entry["kind"], entry["subjectId"]))

    # What goes wrong

    async def _trouble(self, database: Database, until: float) -> None:
        async with asyncio.TaskGroup() as frozen:
            while time.monotonic() < until:
                await asyncio.sleep(self._chance.uniform(0.5, 1.5))
                match self._chance.choices(("kill", "freeze", "Redis"), (4, 3, 2)):
                    case ["kill"]:
                        self._kill_worker(await self._victim(database))
                    case ["freeze"]:
                        frozen.create_task(self._freeze_worker(await self._victim(database)))
                    case _:
                        await self._kill_redis()

    async def _victim(self, database: Database) -> Process:
        """A worker, rather one that is at work."""
        for each in self._installation.processes[1:]:
            if each.ended is not None:  # it found no Redis when it started, and said so; a supervisor tries again
                each.start()
        async with database.sessions() as session:
            names = await session.scalars(select(Job.worker).where(Job.state == JobState.PROCESSING))
            at_work = {int(name.split(":")[1]) for name in names if name}
        workers = self._installation.processes[1:]
        return self._chance.choice([each for each in workers if each.pid in at_work] or workers)

    def _kill_worker(self, victim: Process) -> None:
        """Kill it, and start it again."""
        kill(victim)
        victim.start()
        self.did["workers killed"] += 1

    async def _freeze_worker(self, victim: Process) -> None:
        """Stop its clock for longer than its lease."""
        pid = victim.pid
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:  # it has just ended, for want of Redis
            return
        self.did["workers frozen"] += 1
        await asyncio.sleep(FROZEN_SECONDS)
        if victim.pid == pid and victim.ended is None:
            os.kill(pid, signal.SIGCONT)

    async def _kill_redis(self) -> None:
        """Kill it, perhaps take all it knew, and start it again after a while."""
        redis = self._servers.redis
        kill(redis)
        self.did["Redis killed"] += 1
        if self._chance.random() < 0.5:
            for file in redis.folder.glob("*.aof"):
                file.unlink()
            self.did["Redis wiped"] += 1
        await asyncio.sleep(self._chance.uniform(0, 1.5))
        redis.start()
        await asyncio.to_thread(redis.wait)

    # What came of it

    async def _collect(self, database: Database, places: list[Place]) -> None:
        async with database.sessions() as session:
            for job in await session.scalars(select(Job)):
                history = self.jobs[job.id]
                history.state, history.error = job.state.value, job.error_code
                history.attempt, history.version = job.attempt, job.version
            logs: dict[str, list[Entry]] = defaultdict(list)
            for event in await session.scalars(select(ProjectEvent).order_by(ProjectEvent.seq)):
                logs[event.project_id].append((event.kind.value, event.subject_id))
        for place in places:
            for kind, subject in logs[place.id]:
                if kind.startswith("JOB_"):
                    self.jobs[subject].told.append(kind)
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while len(place.log) < len(logs[place.id]):
                        await asyncio.sleep(0.05)
            self.gaps += place.log != logs[place.id]


def left_behind(folder: Path) -> list[int]:
    """Processes that were told of this folder, or work in it."""

    def belongs(process: Path) -> bool:
        with suppress(OSError):  # gone meanwhile, or somebody else's
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            return str(folder).encode() in told or (process / "cwd").readlink().is_relative_to(folder)
        return False

    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if belongs(process)]


def run(folder: Path, *, jobs: int, seconds: float, seed: int, workers: int) -> Iterator[str | Goal]:
    """Run the check; what was done, then the goals."""
    with embedded.running(folder / "home", fsync=False) as servers:
        upgrade(servers.database_url)
        environment = {
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "SECRET_KEY": "a secret of the checker, long enough to be one",
            "STORAGE_PATH": str(folder / "media"),
            "SCRATCH_PATH": str(folder / "scratch"),
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "LIGHT_SLOTS": "2",
            "DRAIN_SECONDS": "0.2",
        }
        with installed(environment, folder / "logs") as installation:
            check = Check(servers, installation, seed)
            asyncio.run(check.run(jobs, seconds, workers))
    states = Counter(job.state for job in check.jobs.values())
    yield ", ".join(f"{number} {what}" for what, number in (check.did + states).items())
    yield from check.errors
    yield Goal(name="jobs started", value=len(check.jobs), wanted=jobs)
    yield from goals(check.jobs.values())
    yield Goal(name="requests that failed", value=len(check.errors))
    yield Goal(name="project logs told with a gap", value=check.gaps)
    yield Goal(name="processes left behind", value=len(left_behind(folder)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.check", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60, help="of trouble")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    folder = Path(tempfile.mkdtemp(prefix="reelgraph-chaos-"))
    is_short = False
    for line in run(folder, **vars(parser.parse_args())):
        print(line, flush=True)  # noqa: T201 - it is a command
        is_short |= isinstance(line, Goal) and not line.is_met
    if is_short:
        print(f"The logs are in {folder}/logs and {folder}/home/logs.")  # noqa: T201 - as above
    else:
        shutil.rmtree(folder)
    return is_short


if __name__ == "__main__":
    sys.exit(main())
