"""The bench of renders: what they cost next to one pass of plain FFmpeg, what a change costs, how soon one sees it.

    python -m bench.render [plan] [preview] [parallel] [short] [long]

It runs a deployment of its own, as `reelgraph up` does, in a temporary folder, on footage made for the run. Prints what
was measured and a line for each goal; exits 1 if one is short.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from statistics import median

import httpx
import uvloop

from bench.goals import Goal, told
from bench.render import footage, plain
from bench.render.hour import planned
from bench.render.reel import Reel, reel
from bench.render.scenario import Scenario
from bench.render.studio import Rendered, Studio, studio
from persistence.database import Database
from reelgraph.demo.failure import DemoFailed
from reelgraph.home import Home
from reelgraph.process import WORKING, Process, command
from reelgraph.stack import Stack, stack


class Bench:
    """A running deployment, to which each part brings workers of its own."""

    def __init__(self, scenario: Scenario, stack: Stack, home: Home, folder: Path) -> None:
        self._scenario = scenario
        self._stack = stack
        self._home = home
        self._folder = folder
        self._files = sorted((folder / "footage").iterdir())
        self._pids = {
            "API": stack.api.pid,
            "PostgreSQL": stack.servers.postgres.pid,
            "Redis": stack.servers.redis.pid,
        }

    async def plan(self) -> AsyncIterator[Goal]:
        """An hour is planned."""
        seconds, spans = planned(self._scenario)
        _say(f"An hour of {self._scenario.hour.clips} shots is {spans} spans")
        yield Goal(name="plan of an hour", value=seconds, wanted=self._scenario.goals.plan_seconds, unit="s")

    async def preview(self) -> AsyncIterator[Goal]:
        """Pictures of frames drawn by lot, while nobody else wants anything."""
        wanted, goals = self._scenario.preview, self._scenario.goals
        edit = reel(self._scenario, self._scenario.short)
        with self._workers(1):
            async with self._studio() as own:
                await own.edit(edit)
                frames = Random(self._scenario.seed).sample(range(edit.length), wanted.frames)
                await own.previews(frames[:3], wanted.width + 2)  # so that everybody is awake
                first = await own.previews(frames, wanted.width)
                again = await own.previews(frames, wanted.width)
        _say(f"Previews: {_quantiles(first)}; again: {_quantiles(again)}")
        yield Goal(name="preview p50", value=median(first), wanted=goals.preview_p50_ms, unit="ms")
        yield Goal(name="preview again p50", value=median(again), wanted=goals.preview_again_p50_ms, unit="ms")

    async def parallel(self) -> AsyncIterator[Goal]:
        """The same render by one worker and by two, one thread each."""
        edit, walls = reel(self._scenario, self._scenario.parallel), dict[int, float]()
        _say(f"{edit.length} frames, one thread for each encoder:")
        for workers in (1, 2):
            with self._workers(workers, RENDER_THREADS="1"):
                async with self._studio() as own:
                    made = await self._rendered(own, edit, f"{workers} workers" if workers > 1 else "1 worker")
            walls[workers] = made.wall_seconds
        wanted = self._scenario.goals.two_workers
        yield Goal(name="two workers, times as fast as one", value=walls[1] / walls[2], wanted=wanted, at_least=True)

    async def short(self) -> AsyncIterator[Goal]:
        """Two minutes."""
        async for goal in self._against_plain(self._scenario.short, self._scenario.goals.one_caption_short):
            yield goal

    async def long(self) -> AsyncIterator[Goal]:
        """Ten minutes."""
        async for goal in self._against_plain(self._scenario.long, self._scenario.goals.one_caption_long):
            yield goal

    async def _against_plain(self, clips: int, cheaper: float) -> AsyncIterator[Goal]:
        edit, goals = reel(self._scenario, clips), self._scenario.goals
        _say(f"{clips} clips, {edit.length} frames:")
        by_hand = await asyncio.to_thread(
            plain.run, edit, self._folder / "footage", self._folder / "plain", self._scenario.encoder
        )
        _say(f"  plain FFmpeg: {by_hand.cpu_seconds:.1f} s of processor time in {by_hand.wall_seconds:.1f} s")
        with self._workers(1, RENDER_THREADS=str(self._scenario.encoder.threads)):
            async with self._studio() as own:
                cold = await self._rendered(own, edit, "cold")
                number = len(edit.captions) // 2
                changed = await self._rendered(own, edit.reworded(number, "In other words"), "one caption changed")
                again = await self._rendered(own, edit.reworded(number, "In other words"), "nothing changed")
        name = f"{clips} clips"
        yield Goal(
            name=f"cold, {name}, of plain", value=cold.cpu_seconds / by_hand.cpu_seconds, wanted=goals.cold_of_plain
        )
        yield Goal(
            name=f"one caption, {name}, times cheaper than all",
            value=cold.cpu_seconds / changed.cpu_seconds,
            wanted=cheaper,
            at_least=True,
        )
        yield Goal(name=f"nothing changed, {name}, encodes", value=again.spans + again.sounds, wanted=0)
        yield Goal(
            name=f"nothing changed, {name}, of all",
            value=again.cpu_seconds / cold.cpu_seconds,
            wanted=goals.nothing_of_whole,
        )

    async def _rendered(self, own: Studio, edit: Reel, name: str) -> Rendered:
        made = await own.render(edit, self._scenario.encoder, self._pids)
        _say(*made.lines(name))
        return made

    @asynccontextmanager
    async def _studio(self) -> AsyncGenerator[Studio]:
        async with (
            Database.opened(self._stack.settings) as database,
            studio(database, self._stack.url, self._files) as own,
        ):
            yield own

    @contextmanager
    def _workers(self, count: int, **environment: str) -> Generator[None]:
        with ExitStack() as running:
            for number in range(1, count + 1):
                process = Process(
                    name=f"Worker {number} of the bench",
                    argv=command("worker"),
                    log=self._home.log(f"bench-worker-{number}"),
                    environment={**self._stack.environment, **environment},
                    answers=lambda it: WORKING in it.said(),
                )
                running.callback(process.stop)
                process.start()
                process.wait()
                self._pids[f"worker {number}"] = process.pid
                running.callback(self._pids.pop, f"worker {number}")
            yield


def _quantiles(times: list[float]) -> str:
    ordered = sorted(times)
    return ", ".join(
        f"p{part} {ordered[min(len(ordered) - 1, len(ordered) * part // 100)]:.0f} ms" for part in (50, 90, 99)
    )


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)


PARTS = {
    "plan": Bench.plan,
    "preview": Bench.preview,
    "parallel": Bench.parallel,
    "short": Bench.short,
    "long": Bench.long,
}


async def _run(bench: Bench, names: list[str]) -> list[Goal]:
    goals = list[Goal]()
    for name in names:
        try:
            goals += [goal async for goal in PARTS[name](bench)]
        except (DemoFailed, httpx.HTTPError, ExceptionGroup) as error:
            sys.exit(f"{name}: it did not work: {error!r}")
    return goals


def main() -> int:
    """Run the parts that were named, or all."""
    named = sys.argv[1:] or list(PARTS)
    if unknown := set(named) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    started, scenario = time.monotonic(), Scenario.read()
    with tempfile.TemporaryDirectory(prefix="reelgraph-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "footage").mkdir()
        if set(named) != {"plan"}:
            longest = max(reel(scenario, clips).length for clips in (scenario.short, scenario.long, scenario.parallel))
            footage.shoot(folder / "footage", scenario.footage, longest / scenario.footage.rate + 1)
            _say(f"The footage is there after {time.monotonic() - started:.0f} s")
        home = Home(folder / "home")
        with stack(home, environment={"PATH": os.environ["PATH"]}, workers=0) as running:
            goals = uvloop.run(_run(Bench(scenario, running, home, folder), named))
    _say(f"{time.monotonic() - started:.0f} s in all")
    return told(goals)


if __name__ == "__main__":
    sys.exit(main())
