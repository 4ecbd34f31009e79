"""Live fan-out: the present state first, newer ones in order, the end always."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from domain.job import Job, JobState
from domain.kinds import PauseSpec
from domain.order import Order
from domain.project import Project
from domain.user import User
from graph.hub import Hub
from persistence.resources import Resources
from persistence.work import transaction


@pytest.fixture
async def hub(resources: Resources) -> AsyncGenerator[Hub]:
    hub = Hub(resources.reads(), resources.doorbells)
    async with hub.running():
        yield hub


@pytest.fixture
async def project(resources: Resources) -> Project:
    async with resources.work() as work:
        user = User(email="a@example.org", name="A")
        work.add(user)
        await work.session.flush()
        project, membership = Project.founded(user, "P")
        work.add(project)
        await work.session.flush()
        work.add(membership)
    return project


async def _job(resources: Resources, project: Project) -> Job:
    async with resources.work() as work:
        return await work.place(Order(spec=PauseSpec(seconds=1), project_id=project.id, user_id=None))


async def _cancel(resources: Resources, job: Job) -> None:
    async with resources.work() as work:
        locked = await work.locked(Job, job.id)
        assert locked
        locked.cancel(await work.now())


async def test_a_slow_subscriber_sees_the_latest_state_and_never_an_older_one(
    hub: Hub, resources: Resources, project: Project
) -> None:
    job = await _job(resources, project)
    async with aclosing(hub.states(job.id)) as states:
        assert (await anext(states)).version == 1
        for _ in range(5):
            async with resources.work() as work:
                locked = await work.locked(Job, job.id)
                assert locked
                locked.priority += 1
        await _cancel(resources, job)
        seen = [each async for each in states]
    assert seen[-1].state == JobState.CANCELLED
    versions = [each.version for each in seen]
    assert versions == sorted(set(versions))


async def test_however_many_watch_each_sees_the_end(hub: Hub, resources: Resources, project: Project) -> None:
    job = await _job(resources, project)
    looking = [asyncio.Event() for _ in range(200)]

    async def watch(begun: asyncio.Event) -> JobState:
        last = None
        async for each in hub.states(job.id):
            begun.set()
            last = each.state
        assert last
        return last

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        watching = [group.create_task(watch(begun)) for begun in looking]
        for begun in looking:
            await begun.wait()
        await _cancel(resources, job)
    assert {task.result() for task in watching} == {JobState.CANCELLED}


async def test_nobody_is_remembered_once_they_have_gone(hub: Hub, resources: Resources, project: Project) -> None:
    job = await _job(resources, project)
    async with aclosing(hub.states(job.id)) as states:
        await anext(states)
        assert len(hub._watches) == 1
    assert not hub._watches
    assert not resources.doorbells._bells


async def test_a_log_longer_than_a_batch_comes_whole(hub: Hub, resources: Resources, project: Project) -> None:
    async with resources.work() as work:
        for _ in range(250):
            await work.place(Order(spec=PauseSpec(seconds=1), project_id=project.id, user_id=None))

    async def allowed() -> bool:
        return True

    async with asyncio.timeout(10), aclosing(hub.log(project.id, 0, allowed)) as log:
        assert [(await anext(log)).seq for _ in range(251)] == list(range(1, 252))


async def test_a_ring_that_was_lost_only_delays(
    hub: Hub, resources: Resources, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.hub.LOOK_SECONDS", 0.2)
    job = await _job(resources, project)

    async def allowed() -> bool:
        return True

    async with (
        asyncio.timeout(10),
        aclosing(hub.states(job.id)) as states,
        aclosing(hub.log(project.id, 2, allowed)) as log,
    ):
        await anext(states)
        told = asyncio.ensure_future(anext(log))
        # As a process does that is killed between its commit and its ring.
        async with transaction(resources.database.sessions()) as work:
            locked = await work.locked(Job, job.id)
            assert locked
            locked.cancel(await work.now())
        assert [each.state async for each in states][-1] == JobState.CANCELLED
        assert (await told).seq == 3


async def test_a_ring_that_was_lost_is_made_good_however_much_others_ring(
    hub: Hub, resources: Resources, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.hub.LOOK_SECONDS", 0.3)
    quiet, busy = await _job(resources, project), await _job(resources, project)

    async def ring() -> None:
        while True:
            await resources.doorbells.ring([busy.id])
            await asyncio.sleep(0.05)

    async with asyncio.timeout(10), aclosing(hub.states(busy.id)) as noise, aclosing(hub.states(quiet.id)) as states:
        await anext(noise)
        await anext(states)
        ringing = asyncio.create_task(ring())
        async with transaction(resources.database.sessions()) as work:
            locked = await work.locked(Job, quiet.id)
            assert locked
            locked.cancel(await work.now())
        assert [each.state async for each in states][-1] == JobState.CANCELLED
        ringing.cancel()
