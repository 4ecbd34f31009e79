"""What is watched live: shared where it is the same for all, kept apart where it is not, ended where a right ends."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from tests.queries import queries
from tests.story import Person, Stage, project_of, until

STATE = "subscription($id: ID!) { job(id: $id) { state progress { fraction } project { name } } }"
ROLE = "subscription($id: ID!) { job(id: $id) { state project { name myRole } } }"
LOG = """subscription($id: ID!, $after: String) {
  projectEvents(projectId: $id, after: $after) { cursor kind subject { id ... on Job { state } } }
}"""


async def _pause(person: Person, project: str, seconds: float = 600) -> str:
    return (await person.do("startPause", "... on Job { id }", projectId=project, seconds=seconds))["id"]


async def _member(owner: Person, project: str, role: str = "VIEWER") -> Person:
    member = await owner.stage.person()
    await owner.do("addMember", "... on Membership { id }", projectId=project, email=member.email, role=role)
    return member


async def _ended(watching: AsyncGenerator[dict[str, Any]]) -> str:
    """The code of the error with which a subscription ends, within the two seconds that a lost right may take."""
    async with asyncio.timeout(2):
        async for response in watching:
            if "errors" in response:
                [error] = response["errors"]
                assert "data" not in response
                return error["extensions"]["code"]
    raise AssertionError("it completed")


async def test_those_who_watch_the_same_share_one_execution(stage: Stage) -> None:
    owner = await stage.person()
    project = await project_of(owner)
    job = await _pause(owner, project)
    people = [owner, *[await _member(owner, project) for _ in range(4)]]
    async with AsyncExitStack() as stack, asyncio.timeout(10):
        watching = [await stack.enter_async_context(aclosing(each.watch(STATE, id=job))) for each in people * 3]
        first = {"state": "QUEUED", "progress": {"fraction": 0.0}, "project": {"name": "A project"}}
        assert [await anext(each) for each in watching] == [first] * 15
        assert (len(stage.engine._states), len(stage.hub._jobs[job][0])) == (1, 1)
        await owner.do("cancelJob", "", id=job)
        assert [[each["state"] async for each in one] for one in watching] == [["CANCELLED"]] * 15
    assert (stage.engine._states, stage.hub._jobs, len(stage.hub._members)) == ({}, {}, 0)


async def test_a_role_is_shown_to_whose_it_is(stage: Stage) -> None:
    owner = await stage.person()
    project = await project_of(owner)
    job = await _pause(owner, project)
    people = {
        "OWNER": owner,
        "EDITOR": await _member(owner, project, "EDITOR"),
        "VIEWER": await _member(owner, project),
    }
    async with AsyncExitStack() as stack, asyncio.timeout(10):
        watching = {
            role: await stack.enter_async_context(aclosing(person.watch(ROLE, id=job)))
            for role, person in [*people.items()] * 2
        }
        for role, each in watching.items():
            assert (await anext(each))["project"] == {"name": "A project", "myRole": role}
        assert len(stage.engine._states) == 3
        await owner.do("cancelJob", "", id=job)
        for role, each in watching.items():
            assert [seen["project"]["myRole"] async for seen in each] == [role]


async def test_a_signed_url_is_never_made_once_for_two_viewers(stage: Stage) -> None:
    owner = await stage.person()
    project = await project_of(owner)
    job, member = await _pause(owner, project), await _member(owner, project)
    query = "subscription($id: ID!) { job(id: $id) { state asset { downloadUrl } } }"
    async with aclosing(owner.watch(query, id=job)) as one, aclosing(member.watch(query, id=job)) as other:
        assert await anext(one) == await anext(other) == {"state": "QUEUED", "asset": None}
        assert len(stage.engine._states) == 2


async def test_who_comes_late_sees_the_present_state_at_once_and_no_older_one(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await _pause(person, project, seconds=600)
    async with stage.worker(), asyncio.timeout(10), aclosing(person.watch(STATE, id=job)) as early:
        await until(early, state="PROCESSING")
        async with aclosing(person.watch(STATE, id=job)) as late:
            assert (await anext(late))["state"] == "PROCESSING"
        await person.do("cancelJob", "", id=job)
        assert [each["state"] async for each in early][-1] == "CANCELLED"
        assert [each["state"] async for each in person.watch(STATE, id=job)] == ["CANCELLED"]


async def test_who_is_no_member_is_not_let_in_by_others_who_watch(stage: Stage) -> None:
    owner, stranger = await stage.person(), await stage.person()
    job = await _pause(owner, await project_of(owner))
    async with aclosing(owner.watch(STATE, id=job)) as watching:
        await anext(watching)
        assert await stranger.error(STATE, id=job) == "NOT_FOUND"
        assert await stage.stranger.error(STATE, id=job) == "UNAUTHENTICATED"


async def test_a_lost_membership_ends_what_was_watched_for_that_member_alone(stage: Stage) -> None:
    owner, admin = await stage.person(), await stage.person(is_admin=True)
    project = await project_of(owner)
    job, member = await _pause(owner, project), await _member(owner, project)
    async with AsyncExitStack() as stack:
        states, log, role = [
            await stack.enter_async_context(aclosing(member._run(query, {"id": each})))
            for query, each in ((STATE, job), (LOG, project), (ROLE, job))
        ]
        theirs = [await stack.enter_async_context(aclosing(each.watch(STATE, id=job))) for each in (owner, admin)]
        waiting = asyncio.ensure_future(_ended(log))
        for each in (states, role, *theirs):
            await anext(each)
        await owner.do("removeMember", "", projectId=project, userId=member.id)
        assert await asyncio.gather(_ended(states), _ended(role), waiting) == ["NOT_FOUND"] * 3
        await owner.do("cancelJob", "", id=job)
        for each in theirs:
            assert [seen["state"] async for seen in each] == ["CANCELLED"]


async def test_an_interval_holds_back_all_states_but_the_first_and_the_last(stage: Stage) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person), seconds=1.5)
    query = "subscription($id: ID!, $ms: Int) { job(id: $id, minIntervalMs: $ms) { state progress { fraction } } }"
    async with asyncio.timeout(20), aclosing(person.watch(query, id=job, ms=60_000)) as seldom:
        assert (await anext(seldom))["state"] == "QUEUED"
        async with stage.worker(), aclosing(person.watch(query, id=job, ms=0)) as often:
            seen = [each["state"] async for each in often]
            assert seen.count("PROCESSING") > 1
            assert [each["state"] async for each in seldom] == ["COMPLETED"]


@pytest.mark.parametrize("interval", [-1, 60_001])
async def test_an_interval_is_at_most_a_minute(stage: Stage, interval: int) -> None:
    person = await stage.person()
    job = await _pause(person, await project_of(person))
    query = "subscription($id: ID!, $ms: Int!) { job(id: $id, minIntervalMs: $ms) { state } }"
    assert await person.error(query, id=job, ms=interval) == "INVALID_INPUT"


async def test_a_log_is_told_whole_to_those_who_keep_up_and_to_those_who_do_not(stage: Stage) -> None:
    owner = await stage.person()
    project = await project_of(owner)
    member = await _member(owner, project)
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        logs = [
            await stack.enter_async_context(aclosing(person.watch(LOG, id=project, after="2")))
            for person in (owner, member, owner)
        ]
        waiting = [asyncio.ensure_future(anext(log)) for log in logs]
        job = await _pause(owner, project)
        for each in await asyncio.gather(*waiting):
            assert each == {"cursor": "3", "kind": "JOB_QUEUED", "subject": {"id": job, "state": "QUEUED"}}
        assert len(stage.engine._logs) == 1
        for _ in range(60):
            await owner.do("cancelJob", "", id=job)
            await owner.do("retryJob", "", id=job)
        for log in logs[:2]:
            assert [int((await anext(log))["cursor"]) for _ in range(120)] == list(range(4, 124))
        await owner.do("cancelJob", "", id=job)
        for log in logs[:2]:
            assert (await anext(log))["cursor"] == "124"
        assert [int((await anext(logs[2]))["cursor"]) for _ in range(121)] == list(range(4, 125))


async def test_what_the_entries_of_a_log_are_about_is_looked_up_together(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    jobs = [await _pause(person, project) for _ in range(30)]
    async with aclosing(person.watch(LOG, id=project, after="1")) as log:
        with queries(stage.resources.database) as seen:
            assert [(await anext(log))["subject"]["id"] for _ in jobs] == jobs
    assert len([each for each in seen if "FROM jobs" in each]) == 1


async def test_a_log_shows_its_subjects_as_they_are_now(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await _pause(person, project)
    async with asyncio.timeout(10), aclosing(person.watch(LOG, id=project, after="1")) as log:
        assert (await anext(log))["subject"]["state"] == "QUEUED"
        for state, mutation in (("CANCELLED", "cancelJob"), ("QUEUED", "retryJob"), ("CANCELLED", "cancelJob")):
            await person.do(mutation, "", id=job)
            assert (await anext(log))["subject"] == {"id": job, "state": state}


async def test_a_deleted_project_completes_its_log(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with asyncio.timeout(10), aclosing(person.watch(LOG, id=project, after="0")) as log:
        await anext(log)
        await person.do("deleteProject", "", id=project)
        assert [each async for each in log] == []
    assert stage.engine._logs == {}
