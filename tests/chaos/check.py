"""The checker: let clients start and watch many jobs, let everything go wrong, then ask whether any of it showed.

    python -m tests.chaos.check [--scenario full] [--seed N]

It runs a deployment of its own in a temporary folder. Prints a line for each goal; exits 1, and keeps the folder, if
one is missed.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from bench.goals import Goal, told
from persistence.database import Database
from tests.chaos.acts import Act, Files, Place, Records, follow, prepared
from tests.chaos.client import Client
from tests.chaos.deployment import Deployment
from tests.chaos.evidence import Evidence
from tests.chaos.history import LOSSES, goals
from tests.chaos.scenario import Scenario, blows, plans
from tests.chaos.strays import PATIENCE, Overdue, Strays, told_of
from tests.chaos.trouble import Trouble

LONGEST_DRAIN = 30
MOST_GIVEN_UP = 0.02
"""Of all jobs, for want of workers that live long enough."""
_SWEPT_SECONDS = 20
"""In which the sweepers have removed what killed workers left behind."""
_NEWS_SECONDS = 30
_DONE = ("watches over WebSockets", "watches over event streams", "cancels", "retries", "answers lost")
"""What clients do in any case, or the run proves little."""
_FAULTS_SHOWN = 20
_THREADS = 64


@dataclass(kw_only=True)
class Check:
    """One run: what was done, and what came of it."""

    scenario: Scenario
    folder: Path
    records: Records = field(default_factory=Records)
    evidence: Evidence = field(default_factory=Evidence)
    trouble: Trouble | None = None
    strays: Strays | None = None
    failures: list[str] = field(default_factory=list)
    """See Client.failures."""
    folders: int = 0
    """Of attempts, that nobody removed."""

    async def run(self) -> None:
        """Make trouble, let everything settle, and collect what came of it."""
        scenario, excuses = self.scenario, self.records.excuses
        # Many wait in threads, each for the end of some process.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        async with AsyncExitStack() as stack:
            deployment = await stack.enter_async_context(Deployment.running(self.folder, scenario))
            database = await stack.enter_async_context(Database.opened(deployment.installation.settings))
            people = [
                await stack.enter_async_context(Client.running(deployment.installation, f"Person {number}", excuses))
                for number in range(1, scenario.people + 1)
            ]
            places = [[await prepared(client) for _ in range(scenario.projects)] for client in people]
            self.trouble = Trouble(deployment, database, excuses, self._note, scenario.lease_seconds)
            self.strays = Strays(
                deployment.scratch,
                self._has_ended,
                orphans=Overdue(PATIENCE),
                # Whoever cannot ask the database gives a job up when the lease is over.
                idlers=Overdue(scenario.lease_seconds + PATIENCE),
            )
            watching = [
                *(self.strays.watch(), excuses.notice_stalls(), self._tell_news()),
                *(self._follow(client, theirs) for client, theirs in zip(people, places, strict=True)),
            ]
            self._note("begins")
            tasks = [asyncio.create_task(each) for each in (*watching, *self._acts(people, places))]
            await self.trouble.run(blows(scenario))
            self._note("settles")
            await asyncio.wait(tasks[len(watching) :], timeout=scenario.settle_seconds)
            self._note("ends")
            await self.evidence.collect(database, self.records.jobs, list(chain(*places)))
            self.folders = await _left_in(deployment.scratch)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            self.records.errors += [repr(result) for result in results if isinstance(result, Exception)]
            for client in people:
                self.records.did += client.did
                self.failures += client.failures

    def _acts(self, people: Sequence[Client], places: Sequence[Sequence[Place]]) -> Iterator[Coroutine[Any, Any, None]]:
        start = time.monotonic()
        files = Files.made(self.folder / "files")
        for plan in plans(self.scenario):
            act = Act(plan, people[plan.person], places[plan.person][plan.project], files, self.records)
            yield _at(start + plan.at, act)

    async def _follow(self, client: Client, places: Sequence[Place]) -> None:
        """Follow somebody's projects, some this way and some that."""
        channels = cycle((client.pages[0], client.streams[0]))
        await asyncio.gather(*(follow(place, next(channels), self.records) for place in places))

    def goals(self) -> Iterator[Goal]:
        """What the run has to answer for; ask when everything has stopped."""
        records, evidence, trouble, strays = self.records, self.evidence, self.trouble, self.strays
        assert trouble
        assert strays
        planned = sum(self.scenario.jobs.values())
        given_up = [job for job in records.jobs.values() if job.was_given_up]
        yield Goal(name="jobs started", value=len(records.by_plan), wanted=planned, at_least=True)
        yield Goal(name="jobs made twice", value=evidence.jobs - len(set(records.by_plan.values())), wanted=0)
        yield from goals(records.jobs.values())
        yield Goal(name="assets made twice", value=evidence.surplus, wanted=0)
        yield Goal(name="jobs given up with WORKER_LOST", value=len(given_up), wanted=planned * MOST_GIVEN_UP)
        yield Goal(
            name="jobs given up whose workers were well",
            value=sum(len(job.vanished) < LOSSES or trouble.hurt.isdisjoint(job.vanished) for job in given_up),
            wanted=0,
        )
        yield Goal(name="answers that nobody expects", value=len(records.errors), wanted=0)
        yield Goal(name="requests that failed for no reason", value=len(self.failures), wanted=0)
        yield Goal(name="errors logged for no reason", value=len(self.complaints), wanted=0)
        yield Goal(name="project logs told with a gap", value=evidence.gaps, wanted=0)
        orphans = len(trouble.survivors) + len(strays.orphans.found)
        yield Goal(name="orphan processes", value=orphans, wanted=0)
        yield Goal(name="processes that outlived their job", value=len(strays.idlers.found), wanted=0)
        yield Goal(name="processes left behind", value=len(told_of(self.folder)), wanted=0)
        yield Goal(name="folders of attempts left behind", value=self.folders, wanted=0)
        longest = max(trouble.drains, default=0)
        yield Goal(name="longest drain", value=longest, wanted=LONGEST_DRAIN, unit="seconds")
        for did in _DONE:
            yield Goal(name=did, value=records.did[did], wanted=1, at_least=True)
        for happening in self.scenario.trouble:
            yield Goal(name=happening, value=trouble.dealt[happening], wanted=1, at_least=True)

    def leases_lost(self) -> Counter[str]:
        """By whom: one that is well may still be kept from its heartbeat, by PostgreSQL or by the machine."""
        assert self.trouble
        losers = [pid for job in self.records.jobs.values() for each in (job, *job.children) for pid in each.losers]
        well = sum(pid not in self.trouble.hurt for pid in losers)
        return Counter({"leases lost by workers that were hurt": len(losers) - well, "by ones that were well": well})

    def faults(self) -> Iterator[str]:
        """What is known of those that are short."""
        for known in (self.records.errors, self.failures, self.complaints):
            yield from known[:_FAULTS_SHOWN]
        jobs = self.records.jobs.items()
        for job, history in islice(((job, each) for job, each in jobs if each.faults), _FAULTS_SHOWN):
            yield f"job {job}: {', '.join(history.faults)}: {history}"
        for job, history in jobs:
            if history.was_given_up:
                yield f"job {job}: given up, for the processes {history.vanished} had vanished with it"

    @property
    def complaints(self) -> list[str]:
        """What processes logged as errors without an excuse."""
        return self.records.excuses.complaints(self.folder / "logs")

    async def _tell_news(self) -> None:
        start = time.monotonic()
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            jobs = self.records.jobs
            ended = sum(map(self._has_ended, jobs))
            _say(f"after {time.monotonic() - start:.0f} s: {len(jobs)} jobs started, {ended} ended")

    def _has_ended(self, job: str) -> bool:
        """Whether all who watch it were shown its end."""
        history = self.records.jobs.get(job)
        return bool(history and history.watches and all(watch.end for watch in history.watches))

    def _note(self, text: str) -> None:
        with (self.folder / "logs" / "trouble.log").open("a") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f} {text}\n")


async def _at(moment: float, act: Act) -> None:
    await asyncio.sleep(moment - time.monotonic())
    await act.run()


async def _left_in(folder: Path) -> int:
    """How many folders stay in it, however long the sweepers have time."""
    deadline = time.monotonic() + _SWEPT_SECONDS
    while (left := len(list(folder.iterdir()))) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    return left


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.check", description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", default="full", help="the name of a .toml file beside this one, or a path")
    parser.add_argument("--seed", type=int, help="another one than the scenario's")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs in any case")
    arguments = parser.parse_args()
    file = Path(arguments.scenario)
    scenario = Scenario.read(file if file.suffix else Path(__file__).with_name(f"{file}.toml"))
    scenario = replace(scenario, seed=scenario.seed if arguments.seed is None else arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="reelgraph-chaos-"))
    check = Check(scenario=scenario, folder=folder)
    asyncio.run(check.run())
    states = Counter(job.state for job in check.records.jobs.values())
    stalls = check.records.excuses.stalls
    _say(f"The machine stood still {len(stalls)} times, for {max(stalls, default=0):.1f} s at most")
    lost = check.leases_lost()
    for did in (states, check.records.did, lost):
        _say(", ".join(f"{number} {what}" for what, number in did.most_common()))
    is_short = told(check.goals())
    for fault in check.faults():
        _say(fault)
    if is_short or arguments.keep:
        _say(f"The logs are in {folder}/logs and {folder}/home/logs.")
    else:
        shutil.rmtree(folder)
    return is_short


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it is a command


if __name__ == "__main__":
    sys.exit(main())
