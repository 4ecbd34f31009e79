"""Who is next: priority, turns between users, caps, pools, times."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from domain.job import Job, JobState, Terms
from domain.kinds import JobKind, Pool
from persistence.line import Caps
from persistence.resources import Resources
from persistence.settings import Settings
from tasks import sweep, worker
from tests.story import Person, Stage, project_of, staged, until

TERMS = Terms(lease=timedelta(seconds=10), attempt=timedelta(hours=1), job=timedelta(hours=2))
NO_CAPS = Caps()
WATCH = "subscription($id: ID!) { job(id: $id) { state notBefore } }"


async def pause(person: Person, project: str, seconds: float = 0.01, **more: object) -> str:
    return (await person.do("startPause", "... on Job { id }", projectId=project, seconds=seconds, **more))["id"]


async def claimed(
    stage: Stage, most: int = 1, pool: Pool = Pool.LIGHT, *, caps: Caps = NO_CAPS, suspects: bool = True
) -> list[str]:
    """The jobs that a worker is given that asks for so many."""
    async with stage.resources.work() as work:
        taken = await work.claim(
            pool, list(JobKind), worker="test", terms=TERMS, caps=caps, suspects=suspects, most=most
        )
    return [job.id for job, _ in taken]


async def test_the_higher_priority_comes_first_and_within_one_the_older(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    low = await pause(person, project, priority="LOW")
    first, second = await pause(person, project), await pause(person, project)
    high = await pause(person, project, priority="HIGH")
    assert await claimed(stage, 4) == [high, first, second, low]


async def test_five_hundred_jobs_of_one_user_let_anothers_first_job_by_after_the_one_being_taken(stage: Stage) -> None:
    many, one = await stage.person(), await stage.person()
    project = await project_of(many)
    backlog = [await pause(many, project) for _ in range(20)]
    await _multiplied(stage.resources, many.id, 500)
    assert await claimed(stage, 3) == backlog[:3]
    single = await pause(one, await project_of(one))
    # It stands beside the last that was taken: nobody who waited longer is passed by more than one.
    assert single in await claimed(stage, 1)


async def test_two_users_with_long_backlogs_take_turns(stage: Stage) -> None:
    ada, bob = await stage.person(), await stage.person()
    places = {person: await project_of(person) for person in (ada, bob)}
    of_ada = [await pause(ada, places[ada]) for _ in range(6)]
    assert await claimed(stage, 2) == of_ada[:2]
    of_bob = [await pause(bob, places[bob]) for _ in range(4)]
    assert await claimed(stage, 8) == [each for pair in zip(of_bob, of_ada[2:], strict=True) for each in pair], (
        "one of each in turn"
    )


async def test_who_has_taken_a_lot_while_nobody_else_waited_owes_nothing_for_it(stage: Stage) -> None:
    ada, bob = await stage.person(), await stage.person()
    at_ada, at_bob = await project_of(ada), await project_of(bob)
    for _ in range(5):
        await pause(ada, at_ada)
    assert len(await claimed(stage, 5)) == 5
    mine = [await pause(ada, at_ada) for _ in range(2)]
    yours = [await pause(bob, at_bob) for _ in range(3)]
    assert await claimed(stage, 5) == [yours[0], mine[0], yours[1], mine[1], yours[2]]


async def test_a_low_backlog_does_not_push_back_its_users_normal_jobs(stage: Stage) -> None:
    ada, bob = await stage.person(), await stage.person()
    at_ada, at_bob = await project_of(ada), await project_of(bob)
    for _ in range(5):
        await pause(ada, at_ada, priority="LOW")
    yours = [await pause(bob, at_bob) for _ in range(3)]
    mine = await pause(ada, at_ada)
    assert await claimed(stage, 2) == [yours[0], mine]


async def test_a_retried_job_goes_to_the_end_of_the_line(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    first, second = await pause(person, project), await pause(person, project)
    await person.do("cancelJob", "", id=first)
    await person.do("retryJob", "", id=first)
    third = await pause(person, project)
    assert await claimed(stage, 3) == [second, first, third]


async def test_what_was_cancelled_before_anybody_took_it_is_not_held_against_its_user(stage: Stage) -> None:
    ada, bob = await stage.person(), await stage.person()
    at_ada, at_bob = await project_of(ada), await project_of(bob)
    for each in [await pause(ada, at_ada) for _ in range(5)]:
        await ada.do("cancelJob", "", id=each)
    yours = [await pause(bob, at_bob) for _ in range(3)]
    mine = await pause(ada, at_ada)
    assert await claimed(stage, 4) == [yours[0], mine, *yours[1:]]


async def test_what_a_worker_of_the_version_before_leaves_is_neither_lost_nor_done_twice(stage: Stage) -> None:
    """It knows states and tokens, and nothing of lines."""
    person = await stage.person()
    project = await project_of(person)
    handed_back, completed, running, new = [await pause(person, project) for _ in range(4)]
    await _set(stage.resources, handed_back, in_line=False, not_before=None)
    await _set(stage.resources, completed, state=JobState.COMPLETED, in_line=True)
    await _set(stage.resources, running, state=JobState.PROCESSING, token="theirs", in_line=True)
    assert await sweep.due_jobs(stage.resources) == 1
    assert set(await claimed(stage, 9)) == {handed_back, new}


@pytest.mark.parametrize("cap", ["user", "project"])
async def test_a_cap_holds_back_what_is_over_it_and_lets_others_by(stage: Stage, cap: str) -> None:
    ada, bob = await stage.person(), await stage.person()
    at_ada, at_bob = await project_of(ada), await project_of(bob)
    caps = replace(Caps(), **{cap: 2})
    mine = [await pause(ada, at_ada) for _ in range(4)]
    yours = await pause(bob, at_bob)
    assert set(await claimed(stage, 5, caps=caps)) == {mine[0], mine[1], yours}
    assert await claimed(stage, 5, caps=caps) == []
    await _ended(stage.resources, mine[0])
    assert await claimed(stage, 5, caps=caps) == [mine[2]]


async def test_a_cap_holds_when_many_claim_at_once(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    for _ in range(12):
        await pause(person, project)
    caps = Caps(user=3)
    found = await asyncio.gather(*(claimed(stage, 1, caps=caps) for _ in range(5)))
    found += [await claimed(stage, 5, caps=caps) for _ in range(3)]
    assert len([job for jobs in found for job in jobs]) == 3


async def test_the_settings_cap_what_runs(settings: Settings, resources: Resources) -> None:
    capped = replace(resources, settings=replace(settings, user_running_jobs=1))
    async with staged(capped) as stage:
        person = await stage.person()
        project = await project_of(person)
        jobs = [await pause(person, project, 0.3) for _ in range(3)]
        async with stage.worker():
            for job in jobs:
                async with aclosing(person.watch(WATCH, id=job)) as watching, asyncio.timeout(20):
                    await until(watching, state="COMPLETED")
    started = await _column(resources, Job.claimed_at, jobs)
    ended = await _column(resources, Job.ended_at, jobs)
    assert all(after >= before for before, after in zip(ended, started[1:], strict=False))


async def test_heavy_work_does_not_hold_up_the_light(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    heavy = [await pause(person, project, 600, pool=pool) for pool in ("RENDER", "SPEECH") for _ in range(3)]
    light = await pause(person, project)
    async with stage.worker(), aclosing(person.watch(WATCH, id=light)) as watching, asyncio.timeout(10):
        await until(watching, state="COMPLETED")
        running = [state for state in await _column(stage.resources, Job.state, heavy) if state == JobState.PROCESSING]
        assert len(running) == 2, "one slot of each heavy pool"
        for each in heavy:
            await person.do("cancelJob", "", id=each)


async def test_a_job_for_later_waits_for_its_time_and_then_runs(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    at = datetime.now(UTC) + timedelta(hours=1)
    job = await pause(person, project, notBefore=at.isoformat())
    async with aclosing(person.watch(WATCH, id=job)) as watching, stage.worker(), asyncio.timeout(10):
        [first] = await until(watching, state="QUEUED")
        assert datetime.fromisoformat(first["notBefore"]) == at
        assert await claimed(stage, 5) == []
        async with stage.resources.work() as work:
            found = await work.locked(Job, job)
            assert found
            found.not_before = await work.now()
        await until(watching, state="COMPLETED")
        assert (await _column(stage.resources, Job.claimed_at, [job]))[0] is not None


@pytest.mark.parametrize("when", ["2999-01-01T00:00:00Z", "2026-01-01T00:00:00"])
async def test_a_time_that_cannot_be_meant_is_refused_and_nothing_is_kept(stage: Stage, when: str) -> None:
    person = await stage.person()
    project = await project_of(person)
    answer = await person.do("startPause", "... on InvalidInput { path }", projectId=project, seconds=1, notBefore=when)
    assert (answer["code"], answer["path"]) == ("INVALID_INPUT", "notBefore")
    query = "query($id: ID!) { jobs(projectId: $id) { totalCount } }"
    assert await person.ask(query, id=project) == {"totalCount": 0}


async def test_a_job_on_its_last_try_has_a_worker_for_itself(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    suspect, *others = [await pause(person, project) for _ in range(3)]
    await _set(stage.resources, suspect, losses=2)
    assert await claimed(stage, 3, suspects=False) == others, "a worker with company leaves it alone"
    third = await pause(person, project)
    assert await claimed(stage, 3) == [suspect], "an idle one takes it, and nothing beside it"
    assert await claimed(stage, 3) == [third]


async def test_what_kills_its_worker_is_given_up_and_bystanders_complete(stage: Stage) -> None:
    """Two workers' worth of deaths for everybody; then each has a last try by itself, and one of them kills again."""
    person = await stage.person()
    project = await project_of(person)
    killer, *bystanders = [await pause(person, project) for _ in range(4)]
    for _ in range(2):
        assert len(await claimed(stage, 4, suspects=False)) == 4
        await _silenced(stage)
    for _ in range(4):
        [job] = await claimed(stage, 4)
        if job == killer:
            await _silenced(stage)
        else:
            await _ended(stage.resources, job)
    states = await _column(stage.resources, Job.state, [killer, *bystanders])
    assert states == [JobState.FAILED, *[JobState.COMPLETED] * 3]
    query = "query($id: ID!) { job(id: $id) { error { code message } attempts { number outcome worker } } }"
    told = await person.ask(query, id=killer)
    assert told["error"]["code"] == "WORKER_LOST"
    assert [(each["number"], each["outcome"]) for each in told["attempts"]] == [(3, "LOST"), (2, "LOST"), (1, "LOST")]


@pytest.mark.parametrize("pool", ["LIGHT", "RENDER"])
async def test_a_worker_that_is_never_idle_makes_room_for_a_job_on_its_last_try(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    monkeypatch.setattr(worker, "ROOM_AFTER", timedelta(seconds=1))
    person = await stage.person()
    project = await project_of(person)

    async def one_after_the_other() -> None:
        while True:
            job = await pause(person, project, 0.7)
            async with aclosing(person.watch(WATCH, id=job)) as watching:
                await until(watching, state="COMPLETED")

    async with stage.worker(), asyncio.TaskGroup() as others:
        crowd = [others.create_task(one_after_the_other()) for _ in range(3)]
        await _busy(stage, 3)
        later = datetime.now(UTC) + timedelta(hours=1)
        suspect = await pause(person, project, 0.1, notBefore=later.isoformat(), pool=pool)
        await _set(stage.resources, suspect, losses=2, not_before=datetime.now(UTC))
        async with aclosing(person.watch(WATCH, id=suspect)) as watching, asyncio.timeout(30):
            await until(watching, state="COMPLETED")
        for each in crowd:
            each.cancel()
    [began] = await _column(stage.resources, Job.claimed_at, [suspect])
    [ended] = await _column(stage.resources, Job.ended_at, [suspect])
    beside = select(Job.id).where(Job.id != suspect, Job.claimed_at < ended, Job.ended_at > began)
    async with stage.resources.database.sessions() as session:
        assert (await session.scalars(beside)).all() == []


async def _busy(stage: Stage, running: int) -> None:
    """Wait until so many jobs are being processed."""
    query = select(func.count()).where(Job.state == JobState.PROCESSING)
    while True:
        async with stage.resources.database.sessions() as session:
            if await session.scalar(query) == running:
                return
        await asyncio.sleep(0.02)


async def _silenced(stage: Stage) -> None:
    """Let every lease run out, and what backs off be due."""
    async with stage.resources.database.sessions() as session, session.begin():
        await session.execute(
            update(Job)
            .where(Job.state == JobState.PROCESSING)
            .values(lease_expires_at=datetime.now(UTC) - timedelta(1))
        )
    await sweep.expired_leases(stage.resources)
    async with stage.resources.database.sessions() as session, session.begin():
        await session.execute(update(Job).where(Job.not_before.is_not(None)).values(not_before=datetime.now(UTC)))
    await sweep.due_jobs(stage.resources)


async def _ended(resources: Resources, job_id: str) -> None:
    async with resources.work() as work:
        job = await work.locked(Job, job_id)
        assert job
        assert job.token
        job.complete(job.token, await work.now())


async def _set(resources: Resources, job_id: str, **values: object) -> None:
    async with resources.database.sessions() as session, session.begin():
        await session.execute(update(Job).where(Job.id == job_id).values(**values))


async def _column(resources: Resources, column, jobs: list[str]) -> list:
    async with resources.database.sessions() as session:
        found = dict((await session.execute(select(Job.id, column).where(Job.id.in_(jobs)))).all())
    return [found[each] for each in jobs]


async def _multiplied(resources: Resources, user_id: str, rows: int) -> None:
    """Give a user so many more queued jobs, each a turn behind the last."""
    from sqlalchemy import text

    async with resources.database.sessions() as session, session.begin():
        last = await session.scalar(select(Job).where(Job.user_id == user_id).order_by(Job.turn.desc()).limit(1))
        assert last
        names = [column.name for column in Job.__table__.columns if column.name not in {"id", "turn"}]
        columns = ", ".join(names)
        await session.execute(
            text(
                f"INSERT INTO jobs (id, turn, {columns}) SELECT id || n, turn + n, {columns} "
                "FROM jobs, generate_series(1, :rows) AS n WHERE id = :last"
            ),
            {"rows": rows, "last": last.id},
        )
        await session.execute(
            text(
                "INSERT INTO job_payloads (job_id, spec) SELECT id, '{\"seconds\": 0.01}' FROM jobs "
                "WHERE id NOT IN (SELECT job_id FROM job_payloads)"
            )
        )
