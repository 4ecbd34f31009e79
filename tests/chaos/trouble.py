"""What goes wrong in a run: each blow of the plan, dealt to the deployment."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, Signals

from sqlalchemy import func, select, text

from domain.job import Job, JobState
from persistence.database import OUTAGE, Database
from reelgraph.home import StartError
from reelgraph.process import Process
from tests.chaos.deployment import Deployment, Machine, signalled
from tests.chaos.excuses import Excuses
from tests.chaos.scenario import Blow, Happening
from tests.chaos.strays import PATIENCE
from tests.installation import below, held, kill

LONGEST_DRAIN = 40.0
"""Seconds after which nobody waits for a drain any more."""
_BEYOND_LEASE = 1.5
_SOUGHT_SECONDS = 20
"""How long somebody is looked for to whom it can be done: there may be none, for what was done before."""
_SWEEPING = text("""
    SELECT application_name FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE jobs SET%losses%'
""")


class Trouble:
    """Deals the blows, and keeps account of those that hit."""

    def __init__(
        self, deployment: Deployment, database: Database, excuses: Excuses, note: Callable[[str], None], lease: float
    ) -> None:
        self.dealt = Counter[Happening]()
        self.drains: list[float] = []
        """Seconds between SIGTERM and the end of a process."""
        self.survivors: list[int] = []
        """Processes that lived on after whoever started them was killed."""
        self.hurt: set[int] = set()
        """All that were killed or frozen."""
        self._deployment = deployment
        self._database = database
        self._excuses = excuses
        self._note = note
        self._lease = lease
        self._busy: set[int] = set()
        """Processes that are frozen, or draining."""
        self._redis = asyncio.Lock()
        self._postgres = asyncio.Lock()

    async def run(self, blows: Iterable[Blow]) -> None:
        """Deal each at its time, and wait until the last has passed."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for blow in blows:
                await asyncio.sleep(start + blow.at - time.monotonic())
                group.create_task(self._deal(blow))

    async def _deal(self, blow: Blow) -> None:
        chance = random.Random(blow.seed)
        machine = chance.choice(self._deployment.machines)
        deal: dict[Happening, Callable[[], Awaitable[str]]] = {
            Happening.WORKER_KILLED: lambda: self._kill_worker(chance),
            Happening.WORKER_STOPPED: lambda: self._stop_worker(chance),
            Happening.WORKER_FROZEN: lambda: self._freeze_worker(chance),
            Happening.SWEEPER_KILLED: lambda: self._kill_sweeper(chance),
            Happening.PARENT_KILLED: lambda: self._kill_parent(machine, chance),
            Happening.API_KILLED: lambda: self._kill_api(machine),
            Happening.API_STOPPED: lambda: self._stop_api(machine),
            Happening.API_FROZEN: lambda: self._freeze(machine.api, chance),
            Happening.REDIS_KILLED: lambda: self._kill_redis(chance, wipe=False),
            Happening.REDIS_WIPED: lambda: self._kill_redis(chance, wipe=True),
            Happening.POSTGRES_KILLED: lambda: self._end_postgres(SIGKILL, chance),
            Happening.POSTGRES_ABORTED: lambda: self._end_postgres(SIGQUIT, chance),
            Happening.LINKS_STRANDED: lambda: self._strand(machine),
            Happening.LINKS_SILENT: lambda: self._silence(machine, chance),
            Happening.LINKS_CUT: lambda: self._cut(machine),
        }
        deadline = time.monotonic() + _SOUGHT_SECONDS
        while not (did := await deal[blow.happening]()) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        self.dealt[blow.happening] += bool(did)
        self._note(f"{blow.happening}: {did or 'there was none to be found'}")

    # Each answers with what it did; with nothing if it could not

    async def _kill_worker(self, chance: random.Random) -> str:
        return await self._kill(await self._victim(chance))

    async def _kill_api(self, machine: Machine) -> str:
        return await self._kill(machine.api)

    async def _kill_parent(self, machine: Machine, chance: random.Random) -> str:
        supervisor = machine.supervisor
        if supervisor.ended is not None:
            return ""
        did = await self._kill(supervisor.pid)
        supervisor.stop()
        await asyncio.sleep(chance.uniform(0, 2))
        supervisor.start()
        return did

    async def _stop_worker(self, chance: random.Random) -> str:
        return await self._stop(await self._victim(chance))

    async def _stop_api(self, machine: Machine) -> str:
        return await self._stop(machine.api)

    async def _freeze_worker(self, chance: random.Random) -> str:
        return await self._freeze(await self._victim(chance), chance)

    async def _kill_sweeper(self, chance: random.Random) -> str:
        """Kill a worker, and then the one that takes its jobs back, between its look at them and its commit."""
        with suppress(*OUTAGE):
            victim = await self._victim(chance)
            async with self._database.sessions() as session:
                ends = await session.scalar(
                    select(func.min(Job.lease_expires_at) - func.clock_timestamp()).where(
                        Job.state == JobState.PROCESSING, Job.worker.contains(f":{victim}:")
                    )
                )
            if ends and await self._kill(victim):
                await asyncio.sleep(max(0, ends.total_seconds() - 0.1))
                return await self._kill_who_sweeps()
        return ""

    async def _kill_who_sweeps(self) -> str:
        deadline = time.monotonic() + 1.5
        engine = self._database.engine
        async with engine.begin() as holding, engine.connect() as looking:
            await looking.execution_options(isolation_level="AUTOCOMMIT")
            # Whoever sweeps finds the jobs and locks them, but has to wait with what it writes.
            await holding.execute(text("SET LOCAL lock_timeout = '500ms'"))
            await holding.execute(text("LOCK TABLE jobs IN SHARE MODE"))
            while time.monotonic() < deadline:
                for name in (await looking.scalars(_SWEEPING)).all():
                    if did := await self._kill(self._deployment.workers.get(name)):
                        return did
                await asyncio.sleep(0.01)
        return ""

    async def _kill_redis(self, chance: random.Random, *, wipe: bool) -> str:
        redis = self._deployment.servers.redis
        async with self._redis:
            kill(redis)
            if wipe:
                for file in redis.folder.glob("*.aof"):
                    file.unlink()
            await asyncio.sleep(chance.uniform(0, 2))
            await _up_again(redis)
        return f"now process {redis.pid}"

    async def _end_postgres(self, by: Signals, chance: random.Random) -> str:
        postgres = self._deployment.servers.postgres
        async with self._postgres:
            with self._excuses.without_database():
                os.kill(postgres.pid, by)
                await asyncio.to_thread(postgres.stop)
                await asyncio.sleep(chance.uniform(0, 1))
                await _up_again(postgres)
        return f"now process {postgres.pid}"

    async def _strand(self, machine: Machine) -> str:
        links = machine.redis.strand()
        return f"{links} of {machine.name}" if links else ""

    async def _cut(self, machine: Machine) -> str:
        links = machine.redis.cut()
        return f"{links} of {machine.name}" if links else ""

    async def _silence(self, machine: Machine, chance: random.Random) -> str:
        seconds = chance.uniform(1, 6)
        machine.redis.silence()
        await asyncio.sleep(seconds)
        machine.redis.heal()
        return f"of {machine.name}, for {seconds:.1f} s"

    # To any process

    async def _victim(self, chance: random.Random) -> int | None:
        """A worker, rather one that is at work."""
        workers = [pid for pid in self._deployment.workers.values() if pid not in self._busy]
        at_work: set[int] = set()
        with suppress(*OUTAGE):
            async with self._database.sessions() as session:
                names = await session.scalars(select(Job.worker).where(Job.state == JobState.PROCESSING))
                at_work = {int(name.split(":")[1]) for name in names if name}
        candidates = [pid for pid in workers if pid in at_work] or workers
        return chance.choice(candidates) if candidates else None

    async def _kill(self, pid: int | None) -> str:
        """Kill it, and see that all that it started goes with it."""
        if pid is None:
            return ""
        family = [pid, *below(pid)]
        self.hurt |= set(family)
        with held(family) as holding:
            if not signalled(pid, SIGKILL):
                return ""
            if not await holding.end_within(PATIENCE):
                self.survivors.append(pid)
        return f"process {pid} and the {len(family) - 1} below it"

    async def _stop(self, pid: int | None) -> str:
        if pid is None or pid in self._busy:
            return ""
        self._busy.add(pid)
        try:
            with held([pid]) as holding:
                asked = time.monotonic()
                if not signalled(pid, SIGTERM):
                    return ""
                await holding.end_within(LONGEST_DRAIN)
                self.drains.append(time.monotonic() - asked)
        finally:
            self._busy.discard(pid)
        return f"process {pid} in {self.drains[-1]:.1f} s"

    async def _freeze(self, pid: int | None, chance: random.Random) -> str:
        if pid is None or pid in self._busy:
            return ""
        self._busy.add(pid)
        self.hurt.add(pid)
        seconds = self._lease + chance.uniform(0.5, _BEYOND_LEASE)
        try:
            with held([pid]) as holding, self._excuses.given():
                if not signalled(pid, SIGSTOP):
                    return ""
                if not await holding.end_within(seconds):
                    signalled(pid, SIGCONT)
        finally:
            self._busy.discard(pid)
        return f"process {pid} for {seconds:.1f} s"


async def _up_again(server: Process) -> None:
    """Start it until it stays: those that a killed PostgreSQL has left behind may still be at it."""
    while True:
        server.start()
        try:
            await asyncio.to_thread(server.wait)
        except StartError:
            await asyncio.sleep(0.2)
        else:
            return
