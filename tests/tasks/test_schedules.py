"""Each time of a schedule starts one job, whoever looks, dies or stands in the way."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.cron import Cron
from domain.job import Job, Priority
from domain.project import Project
from domain.schedule import PauseStart, Schedule
from persistence.resources import opened
from persistence.settings import Settings
from tasks.schedules import BATCH, due_schedules, fire
from tests.story import Stage, project_of

HOURLY = Cron(expression="0 * * * *", time_zone="UTC")
ROOT = Path(__file__).parents[2]


async def due(stage: Stage, count: int, *, projects: int = 1) -> list[str]:
    """The ids of schedules that are due, spread over so many projects."""
    person = await stage.person()
    homes = [await project_of(person) for _ in range(projects)]
    async with stage.resources.work() as work:
        now = await work.now()
        rows = [
            Schedule.made(
                project_id=homes[index % projects],
                user_id=person.id,
                name="Due",
                cron=HOURLY,
                start=PauseStart(seconds=1),
                priority=Priority.NORMAL,
                paused=False,
                now=now - timedelta(hours=3),
                there=0,
            )
            for index in range(count)
        ]
        work.add(*rows)
    return [row.id for row in rows]


async def fired(stage: Stage) -> tuple[int, int]:
    """How many jobs there are, and how many schedules are due."""
    async with stage.resources.database.sessions() as session:
        jobs = (await session.scalars(select(func.count()).select_from(Job))).one()
        waiting = select(func.count()).select_from(Schedule).where(Schedule.next_at <= func.now())
        return jobs, (await session.scalars(waiting)).one()


async def settled(looks: int, *all_resources: Any) -> int:
    """How many fire while so many processes look at once, again and again, until there are none."""
    total = 0
    while found := await asyncio.gather(*(due_schedules(each) for each in all_resources for _ in range(looks))):
        total += sum(found)
        async with all_resources[0].database.sessions() as session:
            left = select(func.count()).select_from(Schedule).where(Schedule.next_at <= func.now())
            if (await session.scalars(left)).one() == 0:
                return total
    raise AssertionError


async def test_eight_processes_that_look_at_once_fire_each_schedule_once(stage: Stage, settings: Settings) -> None:
    await due(stage, 60, projects=20)
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(opened(settings)) for _ in range(8)]
        assert await settled(1, *processes) == 60
    assert await fired(stage) == (60, 0)


async def test_a_single_schedule_fires_once_each_time_however_many_want_it(stage: Stage) -> None:
    (schedule_id,) = await due(stage, 1)
    for times in range(1, 6):
        assert await settled(4, stage.resources) == 1
        assert await fired(stage) == (times, 0)
        async with stage.resources.work() as work:
            row = await work.locked(Schedule, schedule_id)
            assert row
            row.next_at = await work.now()


async def test_what_was_not_committed_has_not_happened_and_another_does_it(stage: Stage) -> None:
    (schedule_id,) = await due(stage, 1)
    with pytest.raises(ZeroDivisionError):
        async with stage.resources.work() as work:
            assert await fire(work, schedule_id)
            raise ZeroDivisionError
    assert await fired(stage) == (0, 1)
    assert await due_schedules(stage.resources) == 1
    assert await fired(stage) == (1, 0)


DIES_IN_THE_MIDDLE = """
import asyncio, os, sys
from persistence.resources import opened
from persistence.settings import Settings
from tasks.schedules import fire

async def main():
    async with opened(Settings.read(os.environ)) as resources, resources.work() as work:
        assert await fire(work, sys.argv[1])
        await work.session.flush()
        print("fired", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_while_it_fires_has_fired_nothing_and_blocks_nobody_else(
    stage: Stage, environment: dict[str, str]
) -> None:
    first, *_ = await due(stage, 3, projects=2)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DIES_IN_THE_MIDDLE,
        first,
        cwd=ROOT,
        env=environment | {"PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert await process.stdout.readline() == b"fired\n"
    async with asyncio.timeout(20):
        # Its project is locked for as long as it lives; the other one's schedule is not.
        assert await due_schedules(stage.resources) == 1
        process.send_signal(signal.SIGKILL)
        await process.wait()
        # PostgreSQL sees a moment later that nobody is there any more.
        assert await settled(1, stage.resources) == 2
    assert await fired(stage) == (3, 0)


async def test_a_project_that_somebody_is_changing_is_passed_over_and_not_waited_for(stage: Stage) -> None:
    (schedule_id,) = await due(stage, 1)
    async with stage.resources.work() as work:
        row = await work.session.get_one(Schedule, schedule_id)
        assert await work.locked(Project, row.project_id)
        async with asyncio.timeout(5):
            assert await due_schedules(stage.resources) == 0
    assert await due_schedules(stage.resources) == 1


async def test_one_that_cannot_fire_is_put_off_and_holds_up_nobody(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    odd, *_ = await due(stage, 3)
    async with stage.resources.work() as work:
        row = await work.locked(Schedule, odd)
        assert row
        row.start_json = {"kind": "PAUSE", "fromTheFuture": True}
        row.next_at = await work.now() - timedelta(days=1)
    with caplog.at_level(logging.ERROR):
        assert await due_schedules(stage.resources) == 2
    assert [each.getMessage() for each in caplog.records] == [
        f"schedule {odd} could not fire; it is tried again in a minute"
    ]
    assert await fired(stage) == (2, 0)
    async with stage.resources.work() as work:
        row = await work.locked(Schedule, odd)
        assert row
        assert row.next_at is not None
        assert timedelta(seconds=50) < row.next_at - await work.now() <= timedelta(minutes=1)
        row.start_json, row.next_at = PauseStart(seconds=1).to_json(), await work.now()
    assert await due_schedules(stage.resources) == 1


async def test_more_than_a_batch_is_worked_off_in_one_go_even_past_those_that_are_passed_over(stage: Stage) -> None:
    ids = await due(stage, BATCH + 20, projects=2)
    async with stage.resources.work() as work:
        row = await work.session.get_one(Schedule, ids[0])
        assert await work.locked(Project, row.project_id)
        assert await due_schedules(stage.resources) == (BATCH + 20) // 2
    assert await due_schedules(stage.resources) == (BATCH + 20) // 2
    assert await fired(stage) == (BATCH + 20, 0)
