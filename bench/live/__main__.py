"""The bench of live updates: what a delivered message costs, next to a raw relay on the same Redis.

    python -m bench.live [shared] [distinct]

It runs servers of its own in a temporary folder. Prints what was measured and a line for each goal; exits 1 if one is
short. Processor time and memory are those of the one server process; its clients are another, the same for both.
"""

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from bench.goals import Goal, told
from bench.live.measuring import Bench, Measured
from bench.live.scenario import Scenario
from domain.entity import new_id
from persistence.migrate import upgrade
from reelgraph import embedded
from reelgraph.home import Home

SPARE_FILES = 200
"""Descriptors that a server needs besides its sockets."""


def main() -> int:
    """Measure what was named, or all."""
    named = sys.argv[1:] or ["shared", "distinct"]
    scenario, started = Scenario.read(), time.monotonic()
    _allow_files(max(scenario.subscribers) + SPARE_FILES)
    folder, goals = Path(tempfile.mkdtemp(prefix="reelgraph-bench-")), list[Goal]()
    with embedded.running(Home(folder / "home"), fsync=False) as servers:
        upgrade(servers.database_url)
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "SECRET_KEY": new_id() + new_id(),
            "STORAGE_PATH": str(folder / "media"),
            "SCRATCH_PATH": str(folder / "scratch"),
        }
        bench = Bench(scenario, environment, folder)
        for name in named:
            for subscribers in scenario.subscribers:
                ours, raw = uvloop.run(bench.measured(name, subscribers))
                print(f"{name}, {subscribers} subscribers", f"  ours {ours}", f"  raw  {raw}", sep="\n", flush=True)
                goals += _goals(scenario, name, subscribers, ours, raw)
    shutil.rmtree(folder)
    print(f"{time.monotonic() - started:.0f} s in all")
    return told(goals)


def _goals(scenario: Scenario, name: str, subscribers: int, ours: Measured, raw: Measured) -> Iterator[Goal]:
    yield Goal(
        name=f"cpu of a message, {name}, {subscribers} subscribers",
        value=ours.each / raw.each,
        wanted=getattr(scenario.goals, f"cpu_{name}"),
        unit="x raw",
    )
    yield Goal(
        name=f"memory of a subscription above raw, {name}, {subscribers} subscribers",
        value=(ours.memory - raw.memory) / 1000,
        wanted=scenario.goals.memory_above_raw_kb,
        unit="kB",
    )


def _allow_files(wanted: int) -> None:
    """Let us, and the processes we start, have so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"{wanted} open files are needed, and at most {hard} are allowed here: see `ulimit -Hn`")
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
