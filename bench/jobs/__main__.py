"""The bench of jobs: how soon clients see them, how fast they are claimed, how soon one goes on after a kill.

    python -m bench.jobs [latency] [claims] [fairness] [recovery]

It runs a deployment of its own, as `reelgraph up` does, in a temporary folder. Prints what was measured and a line for
each goal; exits 1 if one is short.
"""

import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import uvloop

from bench.goals import Goal, told
from bench.jobs import claims, latency, recovery
from bench.jobs.claims import Rate
from bench.jobs.client import Http, Refused
from bench.jobs.people import Person, people
from bench.jobs.scenario import Scenario
from persistence.database import Database
from reelgraph.home import Home
from reelgraph.process import WORKING, Process
from reelgraph.stack import Stack, stack

T = TypeVar("T")


class Bench:
    """A running deployment, to which each part brings workers of its own."""

    def __init__(self, scenario: Scenario, stack: Stack, home: Home) -> None:
        self._scenario = scenario
        self._stack = stack
        self._home = home
        self._servers = {"PostgreSQL": stack.servers.postgres.pid, "Redis": stack.servers.redis.pid}

    def latency(self) -> Iterator[Goal]:
        """What a client waits for, next to bare taskiq-redis on the same Redis."""
        wanted, goals, seed = self._scenario.latency, self._scenario.goals, self._scenario.seed
        redis_url = self._stack.settings.redis_url
        crowd = self._people(wanted.users, wanted.projects_of_each)
        with self._worker("hold", slots=wanted.slots) as worker:
            pids = {"API": self._stack.api.pid, "worker": worker.pid, **self._servers, "bench": os.getpid()}
            ours = uvloop.run(latency.product(wanted, seed, self._stack.url, redis_url, crowd, pids))
        _say(*ours.lines())
        with self._process("bench.jobs.bare", str(wanted.slots)) as worker:
            pids = {"worker": worker.pid, "Redis": self._servers["Redis"], "bench": os.getpid()}
            bare = uvloop.run(latency.bare_taskiq(wanted, seed, redis_url, pids))
        _say(*bare.lines())
        rate = f"at {wanted.jobs_per_second:g} jobs a second"
        yield Goal(name=f"jobs that never ended {rate}", value=ours.lost, wanted=0)
        yield Goal(name=f"total p50 {rate}", value=ours.p("total", 50), wanted=goals.total_p50_ms, unit="ms")
        yield Goal(name=f"total p99 {rate}", value=ours.p("total", 99), wanted=goals.total_p99_ms, unit="ms")

    def claims(self) -> Iterator[Goal]:
        """Jobs that return at once, claimed and finished by one worker process."""
        wanted, goals = self._scenario.claims, self._scenario.goals
        crowd = self._people(wanted.users, wanted.projects_of_each)
        rates: dict[tuple[int, int], Rate] = {}
        _say("Claims:")
        for slots in wanted.slots:
            # By turns, and the better of each: whatever else the machine does only takes away.
            for rows in (wanted.shallow_rows, wanted.deep_rows) * wanted.rounds:
                rate = self._claimed(crowd, slots, rows)
                _say(str(rate))
                rates[rows, slots] = max(rate, rates.get((rows, slots), rate), key=lambda each: each.a_second)
        for slots in wanted.slots:
            yield Goal(
                name=f"claims a second with {slots} slots",
                value=rates[wanted.shallow_rows, slots].a_second,
                wanted=goals.claims_per_second,
                at_least=True,
            )
        for slots in wanted.slots:
            deep, shallow = rates[wanted.deep_rows, slots].a_second, rates[wanted.shallow_rows, slots].a_second
            yield Goal(
                name=f"claims with {slots} slots and {wanted.deep_rows:,} rows, of those on an empty queue",
                value=deep / shallow if shallow else 0,
                wanted=goals.deep_of_shallow,
                at_least=True,
            )

    def _claimed(self, crowd: Sequence[Person], slots: int, rows: int) -> Rate:
        self._run(claims.empty)
        self._run(lambda database: claims.fill(database, crowd, rows))
        with self._worker("return", slots=slots) as worker:
            pids = {"worker": worker.pid, **self._servers, "bench": os.getpid()}
            return self._run(lambda database: claims.measured(database, self._scenario.claims, slots, rows, pids))

    def fairness(self) -> Iterator[Goal]:
        """One user's very long line, and another's single job."""
        wanted = self._scenario.fairness
        busy, other = self._people(2, 1)
        self._run(claims.empty)
        self._run(lambda database: claims.fill(database, [busy], wanted.rows))
        with self._worker("return", slots=wanted.slots):
            self._run(lambda database: claims.ended(database, wanted.claimed_before, wanted.patience_seconds))
        job = uvloop.run(_placed(self._stack.url, other))
        with self._worker("return", slots=wanted.slots):
            before, came = self._run(lambda database: claims.claimed_before(database, job, wanted.patience_seconds))
        if not came:
            _say(f"The single job was not claimed within {wanted.patience_seconds:g} s")
        yield Goal(
            name=f"jobs of a line of {wanted.rows:,} that another user's only one waits for",
            value=before if came else float("inf"),
            wanted=wanted.slots,
        )

    def recovery(self) -> Iterator[Goal]:
        """Kill -9 of the worker that has the job."""
        wanted = self._scenario.recovery
        (person,) = self._people(1, 1)
        lease = self._stack.settings.lease_seconds
        times = [self._recovered(person) for _ in range(wanted.rounds)]
        _say(f"Seconds from kill -9 to PROCESSING again: {', '.join(f'{each:.1f}' for each in times)}")
        yield Goal(
            name=f"slowest recovery, lease {lease:g} s",
            value=max(times),
            wanted=lease + wanted.margin_seconds,
            unit="s",
        )

    def _recovered(self, person: Person) -> float:
        patience = self._scenario.recovery.patience_seconds
        self._run(claims.empty)
        with self._worker("hold") as one, self._worker("hold", number=2) as other:
            return self._run(
                lambda database: recovery.after_kill(database, self._stack.url, person, [one, other], patience)
            )

    def _worker(self, kind: str, *, slots: int | None = None, number: int = 1) -> AbstractContextManager[Process]:
        sizes = {} if slots is None else {"LIGHT_SLOTS": str(slots)}
        return self._process("bench.jobs.worker", kind, number=number, **sizes)

    @contextmanager
    def _process(self, module: str, *arguments: str, number: int = 1, **environment: str) -> Generator[Process]:
        process = Process(
            name=f"Worker {number} of the bench",
            argv=[sys.executable, "-m", module, *arguments],
            log=self._home.log(f"bench-worker-{number}"),
            environment={**self._stack.environment, **environment},
            answers=lambda it: WORKING in it.said(),
        )
        try:
            process.start()
            process.wait()
            yield process
        finally:
            process.stop()

    def _people(self, users: int, projects_of_each: int) -> list[Person]:
        return self._run(lambda database: people(database, users=users, projects_of_each=projects_of_each))

    def _run(self, step: Callable[[Database], Awaitable[T]]) -> T:
        async def run() -> T:
            async with Database.opened(self._stack.settings) as database:
                return await step(database)

        return uvloop.run(run())


async def _placed(url: str, person: Person) -> str:
    web = Http(url, await person.token(url))
    try:
        return await web.start(person.projects[0])
    finally:
        web.close()


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


PARTS = {"latency": Bench.latency, "claims": Bench.claims, "fairness": Bench.fairness, "recovery": Bench.recovery}


def main() -> int:
    """Run the parts that were named, or all."""
    named = sys.argv[1:] or list(PARTS)
    if unknown := set(named) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    goals, started = list[Goal](), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reelgraph-bench-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        with stack(home, environment={"PATH": os.environ["PATH"]}, workers=0) as running:
            bench = Bench(Scenario.read(), running, home)
            for name in named:
                try:
                    goals += PARTS[name](bench)
                except (Refused, TimeoutError) as error:
                    sys.exit(f"{name}: it did not work: {str(error) or 'nothing came of it in time'}")
    _say(f"{time.monotonic() - started:.0f} s in all")
    return told(goals)


if __name__ == "__main__":
    sys.exit(main())
