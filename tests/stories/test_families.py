"""Flows: a job hands its work to children and goes on when they are done; they fail and are cancelled as a family."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from domain.attempt import Progress
from domain.job import Job, JobState, Terms
from domain.kinds import JobKind, PauseSpec
from domain.order import Child
from tasks import sweep
from tasks.lease import Done, Fork, JobFailed, Lease, sum_up
from tasks.registry import FUNCTIONS
from tests.story import Person, Stage, project_of, until

WATCH = "subscription($id: ID!) { job(id: $id) { state attempt progress { stage fraction } error { code message } } }"
FAMILY = """query($id: ID!) { job(id: $id) {
  state error { code } attempts { outcome } children { totalCount nodes { id state parent { id } attempt } }
} }"""


async def flow(person: Person, project: str, seconds: float = 0.3, parts: int = 3, **more: object) -> str:
    job = await person.do("startPause", "... on Job { id }", projectId=project, seconds=seconds, parts=parts, **more)
    return job["id"]


async def test_the_next_step_comes_when_all_children_are_completed_and_only_once(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person))
    async with stage.worker(), stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(20):
        seen = await until(watching, state="COMPLETED")
    states = [each["state"] for each in seen]
    assert list(dict.fromkeys(states)) == ["QUEUED", "PROCESSING", "COMPLETED"], "it is processing as long as they are"
    fractions = [each["progress"]["fraction"] for each in seen]
    assert fractions == sorted(fractions)
    family = await person.ask(FAMILY, id=job)
    assert [each["outcome"] for each in family["attempts"]] == ["COMPLETED", "FORKED"]
    assert family["children"]["totalCount"] == 3
    assert {(each["state"], each["parent"]["id"], each["attempt"]) for each in family["children"]["nodes"]} == {
        ("COMPLETED", job, 1)
    }


async def test_children_are_no_jobs_of_the_project_and_not_in_its_log(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await flow(person, project, seconds=0.03)
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(20):
        await until(watching, state="COMPLETED")
    query = "query($id: ID!) { jobs(projectId: $id) { nodes { id } } }"
    assert await person.ask(query, id=project) == {"nodes": [{"id": job}]}
    log = 'subscription($id: ID!) { projectEvents(projectId: $id, after: "0") { kind subjectId } }'
    async with aclosing(person.watch(log, id=project)) as watching:
        told = await until(watching, kind="JOB_COMPLETED")
    assert [(each["kind"], each["subjectId"]) for each in told if each["kind"].startswith("JOB_")] == [
        ("JOB_QUEUED", job),
        ("JOB_STARTED", job),
        ("JOB_COMPLETED", job),
    ]


async def test_many_children_that_end_at_once_let_their_parent_go_on_once(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), seconds=0.2, parts=20)
    async with (
        stage.worker(),
        stage.worker(),
        stage.worker(),
        aclosing(person.watch(WATCH, id=job)) as watching,
        asyncio.timeout(30),
    ):
        seen = await until(watching, state="COMPLETED")
    assert seen[-1]["attempt"] == 2


async def test_cancelling_a_waiting_family_cancels_all_of_it(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), seconds=600, parts=8)
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(10):
        await _running(stage, job, 4)
        answer = await person.do("cancelJob", "... on Job { state }", id=job)
        assert answer["state"] == "PROCESSING"
        seen = await until(watching, state="CANCELLED")
    assert seen[-1]["error"] is None
    family = await person.ask(FAMILY, id=job)
    assert [each["state"] for each in family["children"]["nodes"]] == ["CANCELLED"] * 8


async def test_cancelling_a_family_of_which_nothing_runs_is_seen_at_once(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), seconds=600, parts=3)
    await _forked(stage, job)
    answer = await person.do("cancelJob", "... on Job { state children { nodes { state } } }", id=job)
    assert answer["state"] == "CANCELLED"
    assert [each["state"] for each in answer["children"]["nodes"]] == ["CANCELLED"] * 3


async def test_cancelling_a_child_cancels_its_family(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), seconds=600, parts=3)
    [child, *_] = await _forked(stage, job)
    answer = await person.do("cancelJob", "... on Job { id state parent { state } }", id=child)
    assert (answer["id"], answer["state"], answer["parent"]["state"]) == (child, "CANCELLED", "CANCELLED")


async def test_a_child_that_fails_for_good_fails_its_parent_and_stops_its_siblings(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first child fails at once, the others would take for ever."""

    async def act(lease: Lease, spec: PauseSpec) -> Done | Fork:
        if spec.parts:
            return Fork(children=[Child(spec=part) for part in spec.split()], stage="pausing")
        first, *_ = await lease.resources.reads().children(lease.kin[1] or "")
        if lease.job_id == first.id:
            await _running(stage, lease.kin[1] or "", 3)
            raise JobFailed("BROKEN", "It cannot be done.", hopeless=True)
        await asyncio.Event().wait()
        return Done()

    monkeypatch.setitem(FUNCTIONS, JobKind.PAUSE, act)
    person = await stage.person()
    job = await flow(person, await project_of(person), parts=3)
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(20):
        seen = await until(watching, state="FAILED")
    assert seen[-1]["error"] == {"code": "BROKEN", "message": "It cannot be done."}
    family = await person.ask(FAMILY, id=job)
    assert sorted(each["state"] for each in family["children"]["nodes"]) == ["CANCELLED", "CANCELLED", "FAILED"]


async def test_a_family_that_failed_starts_over_without_its_old_children(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), seconds=0.03, parts=3)
    old = await _forked(stage, job)
    await person.do("cancelJob", "", id=job)
    answer = await person.do("retryJob", "... on Job { id state children { totalCount } }", id=old[0])
    assert (answer["id"], answer["state"], answer["children"]) == (job, "QUEUED", {"totalCount": 0})
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(20):
        await until(watching, state="COMPLETED")
    family = await person.ask(FAMILY, id=job)
    assert {each["id"] for each in family["children"]["nodes"]}.isdisjoint(old)


async def test_the_progress_of_a_parent_is_that_of_its_children_by_weight(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), parts=2)
    first, second = await _forked(stage, job)
    async with stage.resources.database.sessions() as session, session.begin():
        await session.execute(update(Job).where(Job.id == first).values(weight=3, fraction=0.5, frames=10))
        await session.execute(update(Job).where(Job.id == second).values(weight=1, fraction=0.1, frames=5))
        await session.execute(update(Job).where(Job.id == job).values(floor=0.2, share=0.5, beat_at=None))
        assert await sum_up(session, job, timedelta(seconds=0.5)) == [job]
        assert await sum_up(session, job, timedelta(seconds=0.5)) == [], "not again so soon"
        found = await session.get_one(Job, job)
        assert found.fraction == pytest.approx(0.2 + 0.5 * (3 * 0.5 + 1 * 0.1) / 4)
        assert found.frames == 15


async def test_a_forgotten_parent_is_found_by_the_sweeper(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), parts=2)
    await _forked(stage, job)
    async with stage.resources.database.sessions() as session, session.begin():
        await session.execute(update(Job).where(Job.parent_id == job).values(state=JobState.COMPLETED, in_line=False))
    assert await sweep.childless_jobs(stage.resources) == 1
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(10):
        await until(watching, state="COMPLETED")
    assert await sweep.childless_jobs(stage.resources) == 0


async def test_the_step_of_a_family_goes_on_from_its_children_after_a_drain(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the children made is there for the next step, with its share of the progress."""
    results: list[dict[str, object] | None] = []

    async def act(lease: Lease, spec: PauseSpec) -> Done | Fork:
        if spec.parts == 0:
            return Done(result={"of": lease.job_id})
        if lease.step == 0:
            lease.report(Progress(stage="planning", fraction=0.1))
            return Fork(children=[Child(spec=part) for part in spec.split()], stage="pausing", share=0.8)
        results.extend(result for _, result in await lease.children())
        return Done()

    monkeypatch.setitem(FUNCTIONS, JobKind.PAUSE, act)
    person = await stage.person()
    job = await flow(person, await project_of(person), parts=2)
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(10):
        await until(watching, state="COMPLETED")
    family = await person.ask(FAMILY, id=job)
    assert sorted(str(each["of"]) for each in results if each) == sorted(
        each["id"] for each in family["children"]["nodes"]
    )


async def test_children_are_told_in_the_order_in_which_they_were_made(stage: Stage) -> None:
    person = await stage.person()
    job = await flow(person, await project_of(person), parts=9)
    await _forked(stage, job)
    children = await stage.resources.reads().children(job)
    assert [child.place for child in children] == list(range(9))


async def test_a_hundred_parents_that_take_too_long_are_told_once(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    jobs = [await flow(person, project, parts=2) for _ in range(3)]
    for job in jobs:
        await _forked(stage, job)
    async with stage.resources.database.sessions() as session, session.begin():
        late = datetime.now(UTC) - timedelta(hours=1)
        await session.execute(update(Job).where(Job.id.in_(jobs)).values(attempt_ends_at=late))
        running = update(Job).where(Job.parent_id.in_(jobs)).values(state=JobState.PROCESSING, in_line=False, token="t")
        await session.execute(running)
    assert await sweep.overdue_jobs(stage.resources) == 3
    assert await sweep.overdue_jobs(stage.resources) == 0, "they wait for their children to stop"


@pytest.mark.parametrize("parts", [-1, 101])
async def test_a_pause_has_a_sensible_number_of_parts(stage: Stage, parts: int) -> None:
    person = await stage.person()
    answer = await person.do(
        "startPause", "... on InvalidInput { path }", projectId=await project_of(person), seconds=1, parts=parts
    )
    assert (answer["code"], answer["path"]) == ("INVALID_INPUT", "parts")


async def test_deleting_a_project_ends_its_families(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await flow(person, project, seconds=600, parts=8)
    async with stage.worker(), aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(10):
        await until(watching, state="PROCESSING")
        await _running(stage, job, 4)
        await person.do("deleteProject", "", id=project)
        await until(watching, state="CANCELLED")


async def _forked(stage: Stage, job_id: str) -> list[str]:
    """Let a parent fork, and leave its children in line: their ids in order."""
    async with stage.resources.work() as work:
        job = await work.locked(Job, job_id)
        assert job
        spec = PauseSpec.from_json((await work.payload(job.id)).spec)
        job.claim("test", await work.now(), Terms(lease=timedelta(1), attempt=timedelta(1), job=timedelta(1)))
        await work.session.flush()
        assert job.token
        children = [Child(spec=part) for part in spec.split()]
        await work.fork(job, job.token, children, stage="pausing", share=1.0)
    return [each.id for each in await stage.resources.reads().children(job_id)]


async def _running(stage: Stage, parent_id: str, count: int) -> None:
    """Wait until so many children of a job are being processed."""
    query = select(func.count()).where(Job.parent_id == parent_id, Job.state == JobState.PROCESSING)
    while True:
        async with stage.resources.database.sessions() as session:
            if await session.scalar(query) == count:
                return
        await asyncio.sleep(0.02)
