"""Servers go away and come back under running processes: clients notice a delay, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from persistence.migrate import upgrade
from reelgraph import embedded
from tests.installation import Installation, installed, kill
from tests.journeys.acts import WATCH_JOB, WATCH_PROJECT, pause
from tests.story import project_of, until
from tests.wire import http

STATE = "query($id: ID!) { job(id: $id) { state } }"


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Servers]:
    """Servers of our own, that may be stopped."""
    with embedded.running(tmp_path_factory.mktemp("mortal"), fsync=False) as servers:
        upgrade(servers.database_url)
        yield servers


@pytest.fixture
def on_mortal(mortal: embedded.Servers, environment: dict[str, str], tmp_path: Path) -> Iterator[Installation]:
    own = {"DATABASE_URL": mortal.database_url, "REDIS_URL": mortal.redis_url}
    with installed(environment | own, tmp_path / "logs") as installation:
        yield installation


async def eventually(true: Callable[[], Awaitable[bool]], *, within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not await true():
            await asyncio.sleep(0.05)


async def test_what_happens_while_redis_is_away_is_seen_all_the_same(
    mortal: embedded.Servers, on_mortal: Installation
) -> None:
    await asyncio.gather(on_mortal.api(), on_mortal.worker())
    ada = await on_mortal.person()
    project = await project_of(ada)
    first = await pause(ada, project, 1.5)

    async def over(job: str) -> bool:
        return (await ada.ask(STATE, id=job))["state"] == "COMPLETED"

    async with (
        ada.socket() as socket,
        aclosing(ada.watch(WATCH_JOB, id=first)) as watching,
        aclosing(ada.events(WATCH_JOB, id=first)) as events,
        aclosing(socket.subscribe(WATCH_PROJECT, id=project, after="0")) as log,
        aclosing(ada.events(WATCH_PROJECT, id=project, after="0")) as log_events,
    ):
        await until(watching, state="PROCESSING")
        await until(events, state="PROCESSING")
        kill(mortal.redis)
        late = asyncio.create_task(_states(ada.watch(WATCH_JOB, id=first)))  # joins those who watch it already
        second = await pause(ada, project, 0.1)  # nobody hears of it
        await eventually(lambda: over(first))
        await eventually(lambda: over(second))
        mortal.redis.start()
        await asyncio.to_thread(mortal.redis.wait)
        third = await pause(ada, project, 0.1)
        async with asyncio.timeout(10):
            seen = [await _states(watching), await _states(events), await late]
            told = [(await anext(log))["data"]["projectEvents"]]
            while told[-1]["subjectId"] != third or told[-1]["kind"] != "JOB_COMPLETED":
                told.append((await anext(log))["data"]["projectEvents"])
            assert [await anext(log_events) for _ in told] == told
    assert [states[-1] for states in seen] == ["COMPLETED"] * 3
    assert seen[2][0] in {"PROCESSING", "COMPLETED"}
    for job in (first, second, third):
        kinds = [event["kind"] for event in told if event["subjectId"] == job]
        assert kinds == ["JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"]


async def _states(watching: AsyncGenerator[Any]) -> list[str]:
    return [each["state"] async for each in watching]


async def test_a_database_that_comes_back_finds_everybody_at_their_place(
    mortal: embedded.Servers, on_mortal: Installation
) -> None:
    api, worker = await asyncio.gather(on_mortal.api(), on_mortal.worker())
    ada = await on_mortal.person()
    project = await project_of(ada)

    async def health() -> int:
        async with http() as client:
            return (await client.get(f"{ada.url}/readyz")).status_code

    async def well() -> bool:
        return await health() == 200

    job = await pause(ada, project, 2)
    async with aclosing(ada.watch(WATCH_JOB, id=job)) as watching:
        await until(watching, state="PROCESSING")
        await asyncio.to_thread(mortal.postgres.stop)
        assert await health() == 503
        assert await ada.error(STATE, id=job) == "INTERNAL"
        mortal.postgres.start()
        await asyncio.to_thread(mortal.postgres.wait)
        await eventually(well)
        async with asyncio.timeout(15):
            assert [each["state"] async for each in watching][-1] == "COMPLETED"
    assert (api.ended, worker.ended) == (None, None)


async def test_five_seconds_without_either_server_cost_time_and_nothing_else(
    mortal: embedded.Servers, on_mortal: Installation
) -> None:
    api, worker = await asyncio.gather(on_mortal.api(), on_mortal.worker())
    ada = await on_mortal.person()
    project = await project_of(ada)
    job = await pause(ada, project, 2)
    async with aclosing(ada.watch(WATCH_JOB, id=job)) as watching:
        await until(watching, state="PROCESSING")
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in (mortal.postgres, mortal.redis)))
        await asyncio.sleep(5)  # the outage: the job would have ended in the middle of it
        for each in (mortal.postgres, mortal.redis):
            each.start()
            await asyncio.to_thread(each.wait)
        async with asyncio.timeout(15):
            end = [each async for each in watching][-1]
    assert (end["state"], end["attempt"], end["failures"]) == ("COMPLETED", 1, 0)
    async with asyncio.timeout(10):
        again = await pause(ada, project, 0.1)
        async with aclosing(ada.watch(WATCH_JOB, id=again)) as watching:
            assert [each["state"] async for each in watching][-1] == "COMPLETED"
    assert (api.ended, worker.ended) == (None, None)
