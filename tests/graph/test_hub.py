"""Live fan-out: bells in, rows out, however many, in one query."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from domain.job import Job, JobState
from domain.kinds import PauseSpec
from domain.membership import Membership
from domain.order import Order
from domain.project import Project
from domain.refusals import NotFound
from domain.user import User
from domain.viewer import Role, Viewer
from graph.hub import Hub
from persistence.resources import Resources
from persistence.work import transaction
from tests.queries import queries


class Watcher:
    """Who is offered rows."""

    def __init__(self) -> None:
        self.rows: list[Job | None] = []
        self._offered = asyncio.Event()

    def offer(self, job: Job | None) -> None:
        self.rows.append(job)
        self._offered.set()

    async def until(self, state: JobState | None) -> None:
        """Wait for a row in this state; None: for none at all."""
        async with asyncio.timeout(10):
            while not self.rows or (self.rows[-1] and self.rows[-1].state) != state:
                self._offered.clear()
                await self._offered.wait()


@pytest.fixture
async def hub(resources: Resources) -> AsyncGenerator[Hub]:
    hub = Hub(resources.database, resources.doorbells)
    async with hub.running():
        yield hub


@pytest.fixture
async def owner(resources: Resources) -> User:
    async with resources.work() as work:
        user = User(email="a@example.org", name="A")
        work.add(user)
    return user


@pytest.fixture
async def project(resources: Resources, owner: User) -> Project:
    async with resources.work() as work:
        project, membership = Project.founded(owner, "P")
        work.add(project)
        await work.session.flush()
        work.add(membership)
    return project


@pytest.fixture
def viewer(owner: User) -> Viewer:
    return Viewer(user_id=owner.id, scopes=frozenset())


async def _jobs(resources: Resources, project: Project, count: int) -> list[Job]:
    async with resources.work() as work:
        return [
            await work.place(Order(spec=PauseSpec(seconds=1), project_id=project.id, user_id=None))
            for _ in range(count)
        ]


async def _cancel(resources: Resources, *jobs: Job, ringing: bool = True) -> None:
    # A process that is killed between its commit and its ring does not ring.
    block = resources.work() if ringing else transaction(resources.database.sessions())
    async with block as work:
        for job in jobs:
            locked = await work.locked(Job, job.id)
            assert locked
            locked.cancel(await work.now())


@asynccontextmanager
async def _watched(hub: Hub, *jobs: Job) -> AsyncGenerator[list[Watcher]]:
    """Who watches these, and has been offered what they are now."""
    watchers = [Watcher() for _ in jobs]
    stops = [hub.watch_job(job.id, watcher.offer) for job, watcher in zip(jobs, watchers, strict=True)]
    for watcher in watchers:
        await watcher.until(JobState.QUEUED)
    yield watchers
    for stop in stops:
        stop()


async def test_however_many_bells_ring_the_rows_are_read_in_one_query(
    hub: Hub, resources: Resources, project: Project
) -> None:
    jobs = await _jobs(resources, project, 50)
    async with _watched(hub, *jobs, jobs[0]) as watchers:
        await _cancel(resources, *jobs, ringing=False)
        with queries(resources.database) as seen:
            for job in jobs:
                hub._ring(job.id)
            for watcher in watchers:
                await watcher.until(JobState.CANCELLED)
        assert len([each for each in seen if "FROM jobs" in each]) == 1


async def test_what_is_read_for_those_who_watch_is_as_what_is_loaded(
    hub: Hub, resources: Resources, project: Project
) -> None:
    [job] = await _jobs(resources, project, 1)
    [loaded] = await resources.reads().by_ids(Job, [job.id])
    async with _watched(hub, job) as [watcher]:
        [read] = watcher.rows[-1:]
    names = [column.key for column in Job.__mapper__.column_attrs]
    assert [getattr(read, name) for name in names] == [getattr(loaded, name) for name in names]
    assert [type(getattr(read, name)) for name in names] == [type(getattr(loaded, name)) for name in names]
    assert (read.stamp, read.state.ended) == (loaded.stamp, False)


async def test_a_job_that_is_deleted_is_offered_as_none(hub: Hub, resources: Resources, project: Project) -> None:
    jobs = await _jobs(resources, project, 2)
    async with _watched(hub, *jobs) as watchers:
        async with resources.work() as work:
            locked = await work.locked(Project, project.id)
            assert locked
            await work.delete_project(locked)
        for watcher in watchers:
            await watcher.until(None)


async def test_nobody_is_remembered_once_they_have_gone(
    hub: Hub, resources: Resources, project: Project, viewer: Viewer
) -> None:
    [job] = await _jobs(resources, project, 1)
    watcher = Watcher()
    stops = [
        hub.watch_job(job.id, watcher.offer),
        hub.watch_job(job.id, watcher.offer),
        hub.watch_log(project.id, lambda: None),
        (await hub.job(job.id, viewer)).hold(lambda _refusal: None),
    ]
    assert (len(hub._jobs), len(hub._logs), len(hub._members)) == (1, 1, 1)
    assert len(resources.doorbells._bells) == 2
    for stop in stops + stops:
        stop()
    assert (hub._jobs, hub._logs, len(hub._members)) == ({}, {}, 0)
    assert resources.doorbells._bells == {}


async def test_a_ring_that_was_lost_only_delays(
    hub: Hub, resources: Resources, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.hub.LOOK_SECONDS", 0.2)
    [job] = await _jobs(resources, project, 1)
    rung = asyncio.Event()
    async with asyncio.timeout(10), _watched(hub, job) as [watcher]:
        stop = hub.watch_log(project.id, rung.set)
        await _cancel(resources, job, ringing=False)
        await watcher.until(JobState.CANCELLED)
        rung.clear()
        await rung.wait()
        stop()


async def test_a_ring_that_was_lost_is_made_good_however_much_others_ring(
    hub: Hub, resources: Resources, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.hub.LOOK_SECONDS", 0.3)
    quiet, busy = await _jobs(resources, project, 2)

    async def ring() -> None:
        while True:
            await resources.doorbells.ring([busy.id])
            await asyncio.sleep(0.05)

    async with asyncio.timeout(10), _watched(hub, busy, quiet) as [_, watcher]:
        ringing = asyncio.create_task(ring())
        await _cancel(resources, quiet, ringing=False)
        await watcher.until(JobState.CANCELLED)
        ringing.cancel()


async def test_logs_are_read_together_and_equal_questions_asked_once(
    hub: Hub, resources: Resources, project: Project
) -> None:
    await _jobs(resources, project, 120)
    with queries(resources.database) as seen:
        async with asyncio.timeout(10):
            first, again, rest, end, gone = await asyncio.gather(
                *(hub.entries(project.id, after) for after in (0, 0, 100, 121)), hub.entries("no such project", 0)
            )
    assert len([each for each in seen if "project_events" in each]) == 1
    assert [each.seq for each in first or ()] == list(range(1, 101))
    assert first is again
    assert [each.seq for each in rest or ()] == list(range(101, 122))
    assert (end, gone) == ([], None)


async def test_an_outage_of_the_database_only_delays_what_was_asked(
    hub: Hub, resources: Resources, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.hub._PAUSE", 0.01)
    [job] = await _jobs(resources, project, 1)
    statements, failing = resources.database.statements, 3

    def failing_at_first() -> Any:
        nonlocal failing
        failing -= 1
        if failing >= 0:
            raise ConnectionError("the database is away")
        return statements()

    object.__setattr__(resources.database, "statements", failing_at_first)
    async with asyncio.timeout(10):
        async with _watched(hub, job):
            pass
        failing = 3
        assert [each.seq for each in await hub.entries(project.id, 0) or ()] == [1, 2]


async def test_states_are_ordered_by_what_is_durable_and_an_end_is_never_held_back(
    hub: Hub, resources: Resources, project: Project, viewer: Viewer
) -> None:
    [job] = await _jobs(resources, project, 1)
    feed = (await hub.job(job.id, viewer)).feed

    def at(version: int, attempt: int, beat: int, state: JobState = JobState.PROCESSING) -> Any:
        class Row:
            stamp = (version, attempt, beat)

        Row.version, Row.state = version, state
        return Row

    assert feed.is_newer(at(3, 1, 0), at(2, 1, 9))
    assert feed.is_newer(at(2, 1, 3), at(2, 1, 2))
    assert not feed.is_newer(at(2, 1, 2), at(2, 1, 2))
    assert not feed.is_newer(at(2, 1, 1), at(2, 1, 2))
    assert feed.is_newer(at(3, 1, 0, JobState.FAILED), at(3, 1, 7))
    assert not feed.is_newer(at(2, 1, 7, JobState.FAILED), at(3, 0, 0, JobState.QUEUED))


async def test_who_watches_a_job_is_admitted_as_members_are_and_shown_it_as_it_is(
    hub: Hub, resources: Resources, project: Project, viewer: Viewer
) -> None:
    [job] = await _jobs(resources, project, 1)
    admin = Viewer(user_id="admin", scopes=frozenset(), is_admin=True)
    with queries(resources.database) as seen:
        assert [(await hub.job(job.id, each)).present.stamp for each in (viewer, admin)] == [job.stamp] * 2
    assert len(seen) == 2
    for stranger, job_id in ((Viewer(user_id="somebody", scopes=frozenset()), job.id), (viewer, "no such job")):
        with pytest.raises(NotFound, match="no job"):
            await hub.job(job_id, stranger)


async def test_an_administrators_sight_rests_on_no_membership(hub: Hub, resources: Resources, project: Project) -> None:
    [job] = await _jobs(resources, project, 1)
    admin = Viewer(user_id="admin", scopes=frozenset(), is_admin=True)
    stops = [
        hub.log(project.id, admin, after=0, end=0).hold(lambda _refusal: None),
        (await hub.job(job.id, admin)).hold(lambda _refusal: None),
    ]
    assert len(hub._members) == 0
    for stop in stops:
        stop()


async def test_who_loses_a_membership_is_told_within_two_seconds_and_nobody_else(
    hub: Hub, resources: Resources, project: Project, viewer: Viewer
) -> None:
    [job] = await _jobs(resources, project, 1)
    async with resources.work() as work:
        user = User(email="b@example.org", name="B")
        work.add(user)
        await work.session.flush()
        membership = Membership(project_id=project.id, user_id=user.id, role=Role.VIEWER)
        work.add(membership)
    lost: list[tuple[str, str]] = []
    told = asyncio.Event()

    def lose(name: str, refusal: Exception) -> None:
        lost.append((name, str(refusal)))
        told.set()

    stops = [
        (await hub.job(job.id, watcher)).hold(partial(lose, name))
        for name, watcher in (("owner", viewer), ("member", Viewer(user_id=user.id, scopes=frozenset())))
    ]
    async with resources.work() as work:
        await work.delete(membership)
    async with asyncio.timeout(2):
        await told.wait()
    assert [name for name, _ in lost] == ["member"]
    for stop in stops:
        stop()
