"""The life of a job, seen by those who wait for it."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from domain.kinds import JobKind, PauseSpec
from persistence.resources import Resources
from persistence.settings import Settings
from tasks.lease import Done, JobFailed, Lease
from tasks.registry import FUNCTIONS
from tests.story import Person, Stage, project_of, staged, until

WATCH = "subscription($id: ID!) { job(id: $id) { state attempt progress { stage fraction } error { code } } }"


async def _pause(person: Person, project: str, seconds: float = 0.2, **more: object) -> dict[str, str]:
    return await person.do("startPause", "... on Job { id state }", projectId=project, seconds=seconds, **more)


async def test_a_job_is_seen_from_queued_to_completed_and_then_the_subscription_ends(stage: Stage) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    assert job["state"] == "QUEUED"
    seen = []
    async with aclosing(person.watch(WATCH, id=job["id"])) as watching:
        seen += await until(watching, state="QUEUED")
        async with stage.worker():
            seen += [each async for each in watching]
    states = [each["state"] for each in seen]
    assert list(dict.fromkeys(states)) == ["QUEUED", "PROCESSING", "COMPLETED"]
    assert seen[-1] == {
        "state": "COMPLETED",
        "attempt": 1,
        "progress": {"stage": "done", "fraction": 1.0},
        "error": None,
    }
    fractions = [each["progress"]["fraction"] for each in seen]
    assert fractions == sorted(fractions)


async def test_a_subscription_to_an_ended_job_shows_its_end_and_completes(stage: Stage) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    await person.do("cancelJob", "", id=job["id"])
    seen = [each["state"] async for each in person.watch(WATCH, id=job["id"])]
    assert seen == ["CANCELLED"]


async def test_cancelling_a_running_job_is_seen_and_stops_it(stage: Stage) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person), seconds=600)
    async with stage.worker(), aclosing(person.watch(WATCH, id=job["id"])) as watching, asyncio.timeout(5):
        await until(watching, state="PROCESSING")
        answer = await person.do("cancelJob", "... on Job { state }", id=job["id"])
        assert answer["state"] == "PROCESSING"
        rest = [each async for each in watching]
    assert rest[-1]["state"] == "CANCELLED"


async def test_an_ended_job_cannot_be_cancelled_but_cancelling_twice_is_harmless(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await _pause(person, project)
    assert (await person.do("cancelJob", "... on Job { state }", id=job["id"]))["state"] == "CANCELLED"
    assert (await person.do("cancelJob", "... on Job { state }", id=job["id"]))["state"] == "CANCELLED"
    done = await _pause(person, project, seconds=0.01)
    async with stage.worker():
        assert [each["state"] async for each in person.watch(WATCH, id=done["id"])][-1] == "COMPLETED"
    answer = await person.do("cancelJob", "... on JobAlreadyEnded { state }", id=done["id"])
    assert (answer["__typename"], answer["state"]) == ("JobAlreadyEnded", "COMPLETED")


async def test_a_cancelled_job_can_be_retried_a_queued_one_cannot(stage: Stage) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    refused = await person.do("retryJob", "... on JobNotRetryable { state }", id=job["id"])
    assert (refused["code"], refused["state"]) == ("JOB_NOT_RETRYABLE", "QUEUED")
    await person.do("cancelJob", "", id=job["id"])
    assert (await person.do("retryJob", "... on Job { state }", id=job["id"]))["state"] == "QUEUED"
    async with stage.worker():
        assert [each["state"] async for each in person.watch(WATCH, id=job["id"])][-1] == "COMPLETED"


async def test_the_same_key_makes_one_job_and_is_refused_for_another_input(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    first = await _pause(person, project, idempotencyKey="a")
    assert await _pause(person, project, idempotencyKey="a") == first
    other = await person.do(
        "startPause", "... on IdempotencyKeyReused { jobId }", projectId=project, seconds=9, idempotencyKey="a"
    )
    assert (other["code"], other["jobId"]) == ("IDEMPOTENCY_KEY_REUSED", first["id"])


@pytest.mark.parametrize("more", [{"priority": "HIGH"}, {"notBefore": "2027-01-01T00:00:00Z"}, {"parts": 2}])
async def test_a_key_is_refused_for_another_priority_time_or_number_of_parts(stage: Stage, more: dict) -> None:
    person = await stage.person()
    project = await project_of(person)
    first = await _pause(person, project, idempotencyKey="a", **more)
    assert await _pause(person, project, idempotencyKey="a", **more) == first
    other = await person.do("startPause", "", projectId=project, seconds=0.2, idempotencyKey="a")
    assert other["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_two_simultaneous_requests_with_one_key_make_one_job(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    both = await asyncio.gather(*(_pause(person, project, idempotencyKey="a") for _ in range(2)))
    assert both[0]["id"] == both[1]["id"]


@pytest.mark.parametrize("seconds", [0, -1, 3601])
async def test_a_pause_has_a_sensible_length(stage: Stage, seconds: float) -> None:
    person = await stage.person()
    answer = await person.do(
        "startPause", "... on InvalidInput { path }", projectId=await project_of(person), seconds=seconds
    )
    assert (answer["code"], answer["path"]) == ("INVALID_INPUT", "seconds")


async def test_a_draining_worker_hands_its_job_back_and_spends_nothing(stage: Stage) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person), seconds=600)
    async with aclosing(person.watch(WATCH, id=job["id"])) as watching, asyncio.timeout(10):
        async with stage.worker():
            await until(watching, state="PROCESSING")
        seen = await until(watching, state="QUEUED")
    assert seen[-1]["error"] is None
    state = await person.ask("query($id: ID!) { job(id: $id) { failures attempt } }", id=job["id"])
    assert state == {"failures": 0, "attempt": 1}


async def test_a_job_that_cannot_be_read_fails_by_itself_and_holds_up_nobody(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    odd, good = await _pause(person, project, seconds=0.01), await _pause(person, project, seconds=0.01)
    async with stage.resources.work() as work:
        (await work.payload(odd["id"])).spec = {"secondsOfTheFuture": 0.01}
    async with stage.worker():
        *_, failed = [each async for each in person.watch(WATCH, id=odd["id"])]
        assert (failed["state"], failed["error"]) == ("FAILED", {"code": "SPEC_UNREADABLE"})
        assert [each["state"] async for each in person.watch(WATCH, id=good["id"])][-1] == "COMPLETED"


async def test_a_reason_that_no_database_keeps_is_kept_without_what_it_cannot_hold(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_lease: Lease, _spec: PauseSpec) -> Done:
        raise JobFailed("BROKEN", "a\0b", hopeless=True)

    monkeypatch.setitem(FUNCTIONS, JobKind.PAUSE, fails)
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    async with stage.worker():
        *_, failed = [each async for each in person.watch(WATCH, id=job["id"])]
    assert (failed["state"], failed["error"]) == ("FAILED", {"code": "BROKEN"})


async def test_an_end_that_cannot_be_written_is_a_failure_and_not_an_endless_try(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unwritable(_lease: Lease, _spec: PauseSpec) -> Done:
        return Done(result={"text": "a\0b"})

    monkeypatch.setitem(FUNCTIONS, JobKind.PAUSE, unwritable)
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    async with stage.worker(), aclosing(person.watch(WATCH, id=job["id"])) as watching:
        (*_, again) = await until(watching, error={"code": "INTERNAL"})
        assert again["state"] == "QUEUED"
        await person.do("cancelJob", "", id=job["id"])


async def test_a_job_that_takes_too_long_is_stopped_and_given_up_when_all_its_time_is_over(
    settings: Settings, resources: Resources
) -> None:
    short = replace(settings, attempt_hours=1 / 3600, job_hours=1 / 3600)
    async with staged(replace(resources, settings=short)) as stage:
        person = await stage.person()
        job = await _pause(person, await project_of(person), seconds=600)
        async with stage.worker(), aclosing(person.watch(WATCH, id=job["id"])) as watching, asyncio.timeout(15):
            seen = await until(watching, state="FAILED")
    assert (seen[-1]["attempt"], seen[-1]["error"]) == (1, {"code": "OVERDUE"})


async def test_an_attempt_that_takes_too_long_is_tried_again(settings: Settings, resources: Resources) -> None:
    async with staged(replace(resources, settings=replace(settings, attempt_hours=0.5 / 3600))) as stage:
        person = await stage.person()
        job = await _pause(person, await project_of(person), seconds=600)
        async with stage.worker(), aclosing(person.watch(WATCH, id=job["id"])) as watching, asyncio.timeout(15):
            await until(watching, state="PROCESSING", attempt=1)
            seen = await until(watching, state="QUEUED")
    assert seen[-1]["error"] == {"code": "OVERDUE"}


async def test_what_failed_with_a_program_is_told_with_its_exit_code_and_last_lines(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(_lease: Lease, _spec: PauseSpec) -> Done:
        raise JobFailed("BROKEN", "It broke.", hopeless=True, exit_code=-11, tail=["one", "two"])

    monkeypatch.setitem(FUNCTIONS, JobKind.PAUSE, act)
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    async with stage.worker() as worker, aclosing(person.watch(WATCH, id=job["id"])) as watching:
        await until(watching, state="FAILED")
    query = "query($id: ID!) { job(id: $id) { attempts { number worker outcome error { code } exitCode lastLines } } }"
    assert await person.ask(query, id=job["id"]) == {
        "attempts": [
            {
                "number": 1,
                "worker": worker.name.rpartition(":")[2],
                "outcome": "FAILED",
                "error": {"code": "BROKEN"},
                "exitCode": -11,
                "lastLines": ["one", "two"],
            }
        ]
    }
