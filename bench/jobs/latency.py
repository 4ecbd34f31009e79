"""How soon clients see what happens: the product at a steady rate, and bare taskiq-redis in the same manner."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py leaves its keyword arguments untyped.

import asyncio
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from taskiq import TaskiqMessage

from bench.jobs import bare
from bench.jobs.client import Http, Refused, Seen, Socket
from bench.jobs.people import Person
from bench.jobs.processor import Meter
from bench.jobs.released import KEY
from bench.jobs.scenario import Latency

LEGS = ("answered", "PROCESSING seen", "COMPLETED seen", "total")
"""Arrival to answer; from there to PROCESSING; from the release to COMPLETED; arrival to COMPLETED."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One job to be: when, and who it is that starts it, where."""

    at: float
    user: int
    project: int


@dataclass(kw_only=True)
class Round:
    """What was measured, in milliseconds."""

    name: str
    legs: dict[str, list[float]] = field(default_factory=lambda: defaultdict[str, list[float]](list))
    lateness: list[float] = field(default_factory=list[float])
    """How late the bench itself was with each arrival: the noise in what it measures."""
    lost: int = 0
    """Jobs whose end was never seen."""
    why: Counter[str] = field(default_factory=Counter[str])
    """Why not, in the API's words."""
    saturated_after: float | None = None
    """Seconds until too many jobs were under way, and no more were started."""
    used: dict[str, float] = field(default_factory=dict[str, float])
    """Processor milliseconds for each job, by process."""
    strangers: float = 0.0

    def p(self, leg: str, percent: float) -> float:
        """A percentile; a job that never ended took for ever."""
        return percentile([*self.legs[leg], *[math.inf] * self.lost], percent)

    def lines(self) -> Iterator[str]:
        yield f"{self.name}: {len(self.legs['total'])} jobs measured, {self.lost} never ended"
        if self.saturated_after is not None:
            yield f"  SATURATED: so many were under way after {self.saturated_after:.1f} s that no more were started"
        for reason, number in self.why.most_common():
            yield f"  {number} of them: {reason}"
        for leg in LEGS:
            yield f"  {leg:16} p50 {self.p(leg, 50):7.1f} ms   p99 {self.p(leg, 99):7.1f} ms"
        used = ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in self.used.items())
        yield f"  processor ms a job: {used}; others had {self.strangers:.0%} of the machine"
        late = (percentile(self.lateness, 50), percentile(self.lateness, 99))
        yield f"  the bench itself was late by p50 {late[0]:.1f} ms, p99 {late[1]:.1f} ms (counted above)"


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; infinite if there are no values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else math.inf


def arrivals(scenario: Latency, seed: int) -> list[Arrival]:
    """The same ones for the same seed."""
    chance = random.Random(seed)
    drawn, at = list[Arrival](), 0.0
    while (at := at + chance.expovariate(scenario.jobs_per_second)) < scenario.warm_seconds + scenario.seconds:
        drawn.append(
            Arrival(at=at, user=chance.randrange(scenario.users), project=chance.randrange(scenario.projects_of_each))
        )
    return drawn


Flow = Callable[[Arrival, float, Round], Awaitable[None]]
"""Takes one job from its arrival (on the monotonic clock) to its end, and notes how long each leg took."""


async def _round(name: str, scenario: Latency, seed: int, flow: Flow, pids: dict[str, int]) -> Round:
    warming, measured = Round(name=name), Round(name=name)
    start = time.monotonic() + 0.2
    meter: Meter | None = None
    under_way: dict[asyncio.Task[None], Round] = {}

    def ended(task: asyncio.Task[None]) -> None:
        if task in under_way and not task.cancelled() and (error := task.exception()):
            under_way[task].lost += 1
            under_way[task].why[str(error) if isinstance(error, Refused) else repr(error)] += 1
        under_way.pop(task, None)

    for arrival in arrivals(scenario, seed):
        await asyncio.sleep(start + arrival.at - time.monotonic())
        is_warm = arrival.at >= scenario.warm_seconds
        if is_warm and meter is None:
            meter = Meter(pids)
        if len(under_way) >= scenario.most_under_way:
            measured.saturated_after = arrival.at
            break
        into = measured if is_warm else warming
        task = asyncio.ensure_future(flow(arrival, start + arrival.at, into))
        under_way[task] = into
        task.add_done_callback(ended)
    if under_way:
        await asyncio.wait(list(under_way), timeout=scenario.patience_seconds)
    late, under_way = under_way, {}
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for into in late.values():
        into.lost += 1
        into.why[f"no end within {scenario.patience_seconds:g} s of the last arrival"] += 1
    # What went wrong before the measuring began is no less wrong.
    measured.lost += warming.lost
    measured.why += warming.why
    meter = meter or Meter(pids)
    jobs = max(1, len(measured.legs["total"]))
    measured.strangers = meter.strangers()
    measured.used = {name: seconds * 1000 / jobs for name, seconds in meter.used().items()}
    return measured


@dataclass(kw_only=True)
class _Times:
    """One job, on the monotonic clock."""

    due: float
    sent: float
    answered: float
    processing: float
    released: float
    completed: float

    def note(self, measured: Round) -> None:
        measured.lateness.append((self.sent - self.due) * 1000)
        times = (
            self.answered - self.due,
            self.processing - self.answered,
            self.completed - self.released,
            self.completed - self.due,
        )
        for leg, seconds in zip(LEGS, times, strict=True):
            measured.legs[leg].append(seconds * 1000)


async def product(
    scenario: Latency, seed: int, url: str, redis_url: str, crowd: Sequence[Person], pids: dict[str, int]
) -> Round:
    """A mutation over HTTP, a subscription over WebSocket, for each job."""
    redis: Any = Redis.from_url(redis_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        tokens = [await person.token(url) for person in crowd]
        web = [Http(url, token) for token in tokens]
        sockets = [await Socket.opened(url, token) for token in tokens]
        for each in sockets:
            stack.push_async_callback(each.close)
        for each in web:
            stack.callback(each.close)

        async def flow(arrival: Arrival, due: float, measured: Round) -> None:
            sent = time.monotonic()
            job = await web[arrival.user].start(crowd[arrival.user].projects[arrival.project])
            answered = time.monotonic()
            async with aclosing(sockets[arrival.user].watch(job)) as watch:
                processing = await _seen(watch, "PROCESSING")
                released = time.monotonic()
                await redis.rpush(KEY, job)
                completed = await _seen(watch, "COMPLETED")
            _Times(
                due=due,
                sent=sent,
                answered=answered,
                processing=processing,
                released=released,
                completed=completed,
            ).note(measured)

        return await _round("Reelgraph", scenario, seed, flow, pids)


async def _seen(watch: AsyncGenerator[Seen], state: str) -> float:
    """When this state was shown."""
    async for seen in watch:
        if seen.state == state:
            return seen.at
    raise AssertionError(state)  # a watch ends by Refused


async def bare_taskiq(scenario: Latency, seed: int, redis_url: str, pids: dict[str, int]) -> Round:
    """A task on a list, its start and its end by pub/sub."""
    redis: Any = Redis.from_url(redis_url)
    queue = bare.broker(redis_url)
    watches: dict[str, asyncio.Queue[Seen]] = {}

    async def listen(line: Any) -> None:
        async for message in line.listen():
            if message["type"] == "message":
                state, key = message["data"].decode().split()
                watches[key].put_nowait(Seen(time.monotonic(), state, 1))

    async def flow(_arrival: Arrival, due: float, measured: Round) -> None:
        sent = time.monotonic()
        key = queue.id_generator()
        watch = watches[key] = asyncio.Queue()
        message = TaskiqMessage(task_id=key, task_name=bare.TASK, labels={}, args=[key], kwargs={})
        await queue.kick(queue.formatter.dumps(message))
        answered = time.monotonic()
        processing = await watch.get()
        released = time.monotonic()
        await redis.rpush(KEY, key)
        completed = await watch.get()
        del watches[key]
        _Times(
            due=due,
            sent=sent,
            answered=answered,
            processing=processing.at,
            released=released,
            completed=completed.at,
        ).note(measured)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        stack.push_async_callback(queue.shutdown)
        line = await stack.enter_async_context(redis.pubsub())
        await line.subscribe(bare.CHANNEL)
        listening = asyncio.create_task(listen(line))
        stack.callback(listening.cancel)
        return await _round("Bare taskiq-redis", scenario, seed, flow, pids)
