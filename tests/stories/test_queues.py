"""What an administrator sees of the queues, and does to them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, update

from domain.job import Job
from domain.kinds import Pool
from domain.pool import SILENT_SECONDS, STUCK_SECONDS, WorkerPresence
from domain.user import User
from domain.viewer import Scope
from persistence import queues as kept
from persistence.resources import opened
from persistence.settings import Settings
from tests.docs.pages import blocks
from tests.story import EVERY_SCOPE, Person, Stage, project_of, staged, until

NUMBERS = "depth scheduled waiting oldestSeconds running completedPerMinute failures stuck"
QUEUES = f"""{{ queues {{
  pool pausedAt pausedBy {{ id }} slots {NUMBERS}
  kinds {{ kind {NUMBERS} }}
  workers {{ name slots running draining silent startedAt seenAt }}
}} }}"""
NOTHING = {
    "depth": 0,
    "scheduled": 0,
    "waiting": 0,
    "oldestSeconds": None,
    "running": 0,
    "completedPerMinute": 0.0,
    "failures": 0,
    "stuck": 0,
}
WATCH = "subscription { queues { pool depth pausedAt } }"
ADMINS_ONLY = [QUEUES, "{ allJobs { totalCount } }"]


@pytest.fixture
async def admin(stage: Stage) -> Person:
    return await stage.person(scopes=EVERY_SCOPE | {Scope.ADMIN}, is_admin=True)


async def _pause(person: Person, project: str, seconds: float = 0.2, **more: object) -> str:
    job = await person.do("startPause", "... on Job { id state }", projectId=project, seconds=seconds, **more)
    return job["id"]


async def _queue(admin: Person, pool: str) -> dict[str, Any]:
    (queue,) = [each for each in await admin.ask(QUEUES) if each["pool"] == pool]
    return queue


async def _ended(person: Person, job: str) -> str:
    seen = [each["state"] async for each in person.watch("subscription($id: ID!) { job(id: $id) { state } }", id=job)]
    return seen[-1]


def _from_now(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def _ago(stage: Stage, job: str, column: str, seconds: float) -> None:
    """As if this had been so long ago."""
    moment = func.clock_timestamp() - timedelta(seconds=seconds)
    async with stage.resources.database.sessions() as session, session.begin():
        await session.execute(update(Job).where(Job.id == job).values({column: moment}))


async def test_every_pool_has_a_queue_even_where_nothing_has_happened(admin: Person) -> None:
    queues = await admin.ask(QUEUES)
    empty = {"pausedAt": None, "pausedBy": None, "slots": 0, **NOTHING, "kinds": [], "workers": []}
    assert queues == [{"pool": pool.name, **empty} for pool in Pool]


async def test_a_queue_tells_what_waits_what_is_put_off_and_for_how_long(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    first, _ = await _pause(admin, project), await _pause(admin, project)
    await _pause(admin, project, notBefore=_from_now(3600))
    await _ago(stage, first, "queued_at", 90)
    queue = await _queue(admin, "LIGHT")
    assert 90 <= queue["oldestSeconds"] < 120
    numbers = NOTHING | {"depth": 2, "scheduled": 1, "oldestSeconds": queue["oldestSeconds"]}
    assert {key: queue[key] for key in NOTHING} == numbers
    assert queue["kinds"] == [{"kind": "PAUSE", **numbers}]
    assert (await _queue(admin, "RENDER"))["depth"] == 0


async def test_a_job_that_was_put_off_is_as_old_as_its_place_in_line(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    await admin.do("pausePool", "", pool="LIGHT")
    job = await _pause(admin, project, notBefore=_from_now(0.5))
    assert (await _queue(admin, "LIGHT"))["scheduled"] == 1
    await _ago(stage, job, "queued_at", 3600)
    async with stage.worker(), asyncio.timeout(10):
        while not (queue := await _queue(admin, "LIGHT"))["depth"]:
            await asyncio.sleep(0.05)
    assert queue["scheduled"] == 0
    assert queue["oldestSeconds"] < 60


async def test_a_queue_tells_what_runs_and_who_runs_it_until_the_worker_leaves(stage: Stage, admin: Person) -> None:
    job = await _pause(admin, await project_of(admin), seconds=600)
    async with stage.worker() as worker:
        async with asyncio.timeout(10):
            while not (queue := await _queue(admin, "LIGHT"))["running"] or not queue["workers"]:
                await asyncio.sleep(0.02)
        assert (queue["depth"], queue["running"], queue["slots"]) == (0, 1, 4)
        (shown,) = queue["workers"]
        assert shown.pop("startedAt") <= shown.pop("seenAt")
        assert shown == {"name": worker.name, "slots": 4, "running": 1, "draining": False, "silent": False}
        (elsewhere,) = (await _queue(admin, "RENDER"))["workers"]
        assert (elsewhere["name"], elsewhere["slots"], elsewhere["running"]) == (worker.name, 1, 0)
        await admin.do("cancelJob", "", id=job)
        assert await _ended(admin, job) == "CANCELLED"
    queue = await _queue(admin, "LIGHT")
    assert (queue["running"], queue["slots"], queue["workers"]) == (0, 0, [])


async def test_a_worker_that_is_told_to_stop_is_seen_draining_while_it_finishes(settings: Settings) -> None:
    async with opened(replace(settings, drain_seconds=600)) as resources, staged(resources) as stage:
        admin = await stage.person(scopes=EVERY_SCOPE | {Scope.ADMIN}, is_admin=True)
        job = await _pause(admin, await project_of(admin), seconds=600)
        async with stage.worker() as worker, asyncio.timeout(20):
            while not (await _queue(admin, "LIGHT"))["running"]:
                await asyncio.sleep(0.02)
            worker.draining.set()
            while not (queue := await _queue(admin, "LIGHT"))["workers"] or not queue["workers"][0]["draining"]:
                await asyncio.sleep(0.02)
            assert (queue["running"], queue["slots"]) == (1, 0)
            await admin.do("cancelJob", "", id=job)


async def test_a_parent_that_waits_for_its_children_holds_no_slot(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    job = await _pause(admin, project, seconds=600, parts=2)
    async with stage.worker():
        async with asyncio.timeout(10):
            while (queue := await _queue(admin, "LIGHT"))["running"] < 2 or not queue["waiting"]:
                await asyncio.sleep(0.02)
        assert (queue["waiting"], queue["running"], queue["depth"]) == (1, 2, 0)
        await admin.do("cancelJob", "", id=job)
        assert await _ended(admin, job) == "CANCELLED"


async def test_a_queue_tells_how_many_were_completed_and_failed_lately(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    jobs = [await _pause(admin, project, seconds=0.01) for _ in range(3)]
    async with stage.worker():
        assert [await _ended(admin, job) for job in jobs] == ["COMPLETED"] * 3
    assert (await _queue(admin, "LIGHT"))["completedPerMinute"] == 0.6
    for job, column in ((jobs[0], "COMPLETED"), (jobs[1], "FAILED"), (jobs[2], "FAILED")):
        async with stage.resources.database.sessions() as session, session.begin():
            await session.execute(update(Job).where(Job.id == job).values(state=column))
    await _ago(stage, jobs[0], "ended_at", 301)
    await _ago(stage, jobs[1], "ended_at", 3601)
    queue = await _queue(admin, "LIGHT")
    assert (queue["completedPerMinute"], queue["failures"]) == (0.0, 1)


async def test_jobs_are_stuck_when_their_worker_is_silent_or_idle_slots_leave_them_in_line(
    stage: Stage, admin: Person
) -> None:
    project = await project_of(admin)
    jobs = [await _pause(admin, project) for _ in range(4)]
    for job in jobs[:3]:
        await _ago(stage, job, "queued_at", STUCK_SECONDS + 1)
    assert (await _queue(admin, "LIGHT"))["stuck"] == 0, "nobody is there to take them: that is not stuck but unserved"
    await kept.present(stage.resources.database, "a worker", {Pool.LIGHT: 2})
    queue = await _queue(admin, "LIGHT")
    assert (queue["stuck"], queue["kinds"][0]["stuck"]) == (2, 2), "as many as there are slots for them"
    await kept.present(stage.resources.database, "another", {Pool.LIGHT: 8})
    assert (await _queue(admin, "LIGHT"))["stuck"] == 3, "the fourth came just now"
    await admin.do("pausePool", "", pool="LIGHT")
    assert (await _queue(admin, "LIGHT"))["stuck"] == 0, "they wait because they were told to"
    async with stage.resources.database.sessions() as session, session.begin():
        lost = {"state": "PROCESSING", "in_line": False, "token": "t", "worker": "a third"}
        await session.execute(update(Job).where(Job.id == jobs[3]).values(lost))
    await _ago(stage, jobs[3], "lease_expires_at", 1)
    queue = await _queue(admin, "LIGHT")
    assert (queue["stuck"], queue["running"]) == (1, 1)


async def test_nothing_is_stuck_beside_a_job_that_may_have_no_company(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    waiting, suspect = await _pause(admin, project), await _pause(admin, project, pool="RENDER")
    await _ago(stage, waiting, "queued_at", STUCK_SECONDS + 1)
    await kept.present(stage.resources.database, "a worker", {Pool.LIGHT: 4, Pool.RENDER: 1})
    assert (await _queue(admin, "LIGHT"))["stuck"] == 1
    async with stage.resources.database.sessions() as session, session.begin():
        last_try = {"state": "PROCESSING", "in_line": False, "token": "t", "worker": "a worker", "losses": 2}
        await session.execute(update(Job).where(Job.id == suspect).values(last_try))
    queue = await _queue(admin, "LIGHT")
    assert (queue["stuck"], queue["depth"], queue["slots"]) == (0, 1, 4)
    assert (await _queue(admin, "RENDER"))["workers"][0]["running"] == 1


async def test_slots_of_draining_and_silent_workers_do_not_count(stage: Stage, admin: Person) -> None:
    database = stage.resources.database
    await kept.present(database, "one", {Pool.LIGHT: 4})
    await kept.present(database, "two", {Pool.LIGHT: 4})
    await kept.present(database, "two", {Pool.LIGHT: 4}, draining=True)
    await kept.present(database, "three", {Pool.LIGHT: 4, Pool.SPEECH: 1})
    async with database.sessions() as session, session.begin():
        late = func.clock_timestamp() - timedelta(seconds=SILENT_SECONDS)
        await session.execute(update(WorkerPresence).where(WorkerPresence.name == "three").values(seen_at=late))
    queue = await _queue(admin, "LIGHT")
    assert queue["slots"] == 4
    shown = {each["name"]: (each["draining"], each["silent"]) for each in queue["workers"]}
    assert shown == {"one": (False, False), "two": (True, False), "three": (False, True)}
    await kept.present(database, "three", {Pool.LIGHT: 4})
    assert (await _queue(admin, "LIGHT"))["slots"] == 8, "one that was only slow is back"
    assert (await _queue(admin, "SPEECH"))["workers"] == []
    await kept.absent(database, "one")
    assert [each["name"] for each in (await _queue(admin, "LIGHT"))["workers"]] == ["three", "two"]


async def test_a_worker_is_forgotten_a_day_after_it_fell_silent(stage: Stage, admin: Person) -> None:
    database = stage.resources.database
    for name, hours in (("yesterday", 25), ("today", 23)):
        await kept.present(database, name, {Pool.LIGHT: 1})
        async with database.sessions() as session, session.begin():
            seen = func.clock_timestamp() - timedelta(hours=hours)
            await session.execute(update(WorkerPresence).where(WorkerPresence.name == name).values(seen_at=seen))
    await kept.forget_silent_workers(database)
    assert [each["name"] for each in (await _queue(admin, "LIGHT"))["workers"]] == ["today"]


async def test_nothing_is_taken_from_a_paused_pool_until_it_is_resumed(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    paused = await admin.do("pausePool", "... on Queue { pool pausedAt pausedBy { id } }", pool="LIGHT")
    assert (paused["__typename"], paused["pool"], paused["pausedBy"]) == ("Queue", "LIGHT", {"id": admin.id})
    async with stage.worker():
        held = await _pause(admin, project, seconds=0.01)
        free = await _pause(admin, project, seconds=0.01, pool="RENDER")
        assert await _ended(admin, free) == "COMPLETED"
        queue = await _queue(admin, "LIGHT")
        assert (queue["depth"], queue["pausedAt"]) == (1, paused["pausedAt"])
        resumed = await admin.do("resumePool", "... on Queue { pausedAt pausedBy { id } }", pool="LIGHT")
        assert (resumed["pausedAt"], resumed["pausedBy"]) == (None, None)
        assert await _ended(admin, held) == "COMPLETED"


async def test_what_runs_in_a_pool_goes_on_when_it_is_paused(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    async with stage.worker():
        job = await _pause(admin, project, seconds=0.5)
        watching = admin.watch("subscription($id: ID!) { job(id: $id) { state } }", id=job)
        async with aclosing(watching), asyncio.timeout(10):
            await until(watching, state="PROCESSING")
            await admin.do("pausePool", "", pool="LIGHT")
            await until(watching, state="COMPLETED")


async def test_pausing_and_resuming_again_are_harmless_and_the_first_to_pause_has_done_so(
    stage: Stage, admin: Person
) -> None:
    other = await stage.person(scopes=frozenset({Scope.ADMIN}), is_admin=True)
    assert (await admin.do("resumePool", "... on Queue { pausedAt }", pool="SPEECH"))["pausedAt"] is None
    selection = "... on Queue { pausedAt pausedBy { id } }"
    first, second = await asyncio.gather(
        *(admin.do("pausePool", selection, pool="SPEECH"), other.do("pausePool", selection, pool="SPEECH"))
    )
    again = await other.do("pausePool", selection, pool="SPEECH")
    assert first == second == again
    assert [each["pool"] for each in await admin.ask("{ queues { pool pausedAt } }") if each["pausedAt"]] == ["SPEECH"]


@pytest.mark.parametrize("query", ADMINS_ONLY)
async def test_queues_are_for_administrators_with_the_scope_only(stage: Stage, query: str) -> None:
    assert await stage.stranger.error(query) == "UNAUTHENTICATED"
    assert await (await stage.person()).error(query) == "FORBIDDEN"
    # An administrator's token without the scope, and the scope of one who was an administrator once.
    assert await (await stage.person(is_admin=True)).error(query) == "FORBIDDEN"
    assert await (await stage.person(scopes=frozenset({Scope.ADMIN}))).error(query) == "FORBIDDEN"


async def test_only_administrators_pause_resume_and_watch(stage: Stage, admin: Person) -> None:
    person = await stage.person(scopes=EVERY_SCOPE)
    for mutation in ("pausePool", "resumePool"):
        refused = await person.do(mutation, "", pool="LIGHT")
        assert (refused["__typename"], refused["code"]) == ("Forbidden", "FORBIDDEN")
    assert {each["pausedAt"] for each in await admin.ask(QUEUES)} == {None}
    assert await person.error(WATCH) == "FORBIDDEN"
    assert await stage.stranger.error(WATCH) == "UNAUTHENTICATED"


def _light(event: list[dict[str, Any]]) -> dict[str, Any]:
    (light,) = [each for each in event if each["pool"] == "LIGHT"]
    return light


async def _sees(watching: AsyncGenerator[Any], **wanted: Any) -> None:
    async with asyncio.timeout(10):
        async for event in watching:
            if all(_light(event)[key] == each for key, each in wanted.items()):
                return
    raise AssertionError("the subscription completed")


async def test_the_queues_are_seen_at_once_and_then_whenever_they_change(stage: Stage, admin: Person) -> None:
    project = await project_of(admin)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(aclosing(admin.watch(WATCH)))
        await _sees(first, depth=0)
        job = await _pause(admin, project)
        await _sees(first, depth=1)
        # A second one is shown what is known, and both go on together.
        second = await stack.enter_async_context(aclosing(admin.watch(WATCH)))
        assert _light(await anext(second))["depth"] == 1
        await admin.do("cancelJob", "", id=job)
        await asyncio.gather(_sees(first, depth=0), _sees(second, depth=0))


async def test_an_unchanged_queue_is_not_shown_again(stage: Stage, admin: Person) -> None:
    async with aclosing(admin.watch(WATCH)) as watching:
        seen = [await anext(watching)]
        waiting = asyncio.ensure_future(anext(watching))
        await kept.present(stage.resources.database, "a worker", {Pool.LIGHT: 1})
        seen.append(await waiting)
        waiting = asyncio.ensure_future(anext(watching))
        await kept.present(stage.resources.database, "a worker", {Pool.LIGHT: 1})
        await asyncio.sleep(2)
        assert not waiting.done(), "that the worker is still there is no news"
        await admin.do("pausePool", "", pool="LIGHT")
        assert _light(await waiting)["pausedAt"] is not None
    assert len(seen) == 2


async def test_who_is_no_longer_an_administrator_sees_no_more(stage: Stage, admin: Person) -> None:
    async with aclosing(admin.watch(WATCH)) as watching:
        await anext(watching)
        async with stage.resources.work() as work:
            (await work.locked(User, admin.id)).is_admin = False
        async with asyncio.timeout(2):
            assert [event async for event in watching] == []


async def test_an_interval_that_cannot_be_is_refused(admin: Person) -> None:
    for wrong in (-1, 60_001):
        assert await admin.error(f"subscription {{ queues(minIntervalMs: {wrong}) {{ pool }} }}") == "INVALID_INPUT"


async def test_administrators_list_the_jobs_of_all_projects(stage: Stage, admin: Person) -> None:
    person = await stage.person()
    here, there = await project_of(person), await project_of(admin)
    first = await _pause(person, here)
    second = await _pause(admin, there, pool="RENDER")
    third = await _pause(person, here)
    await person.do("cancelJob", "", id=first)

    async def listed(arguments: str) -> list[str]:
        return [each["id"] for each in (await admin.ask(f"{{ allJobs({arguments}) {{ nodes {{ id }} }} }}"))["nodes"]]

    assert await listed("first: 10") == [third, second, first]
    assert await listed("state: CANCELLED") == [first]
    assert await listed("pool: RENDER") == [second]
    assert await listed("kind: INGEST") == []
    page = await admin.ask("{ allJobs(first: 2) { totalCount pageInfo { endCursor hasNextPage } nodes { id } } }")
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    assert await listed(f'first: 2, after: "{page["pageInfo"]["endCursor"]}"') == [first]


async def test_the_queries_of_the_page_on_administration_answer_what_it_says(stage: Stage, admin: Person) -> None:
    look, failed, pause, resume, live = blocks("docs/admin.md", "graphql")
    assert [each["pool"] for each in await admin.ask(look)] == [pool.name for pool in Pool]
    assert await admin.ask(failed) == {"totalCount": 0, "nodes": []}
    paused = await admin.ask(pause)
    assert (paused["__typename"], paused["pool"], paused["pausedBy"]) == ("Queue", "RENDER", {"name": "A. User"})
    assert await admin.ask(pause) == paused
    async with aclosing(admin.watch(live)) as watching:
        shown = {each["pool"]: each["pausedAt"] for each in await anext(watching)}
        assert shown["RENDER"] == paused["pausedAt"]
        resumed = await admin.ask(resume)
        assert resumed == {"__typename": "Queue", "pool": "RENDER", "pausedAt": None, "depth": 0}
        shown = {each["pool"]: each["pausedAt"] for each in await anext(watching)}
        assert set(shown.values()) == {None}
