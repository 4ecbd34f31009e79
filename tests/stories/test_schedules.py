"""Jobs that start by themselves, seen by those who schedule them."""

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.schedule import MOST_SCHEDULES, Schedule
from domain.viewer import Scope
from tasks.schedules import due_schedules
from tests.story import EVERY_SCOPE, Person, Stage, project_of, until

SCHEDULE = """id name cron timeZone priority paused pauseReason nextAt lastAt version
  start { __typename ... on ScheduledPause { seconds } ... on ScheduledRender {
    preset custom { codec width height crf } } }
  lastJob { id kind state } lastRefusal { code message } user { id } project { id }"""
ONE = f"query($id: ID!) {{ schedule(id: $id) {{ {SCHEDULE} }} }}"
LISTED = "query($id: ID!) { project(id: $id) { schedules(first: 2) { totalCount nodes { id name } } } }"
JOBS = "query($id: ID!) { jobs(projectId: $id) { nodes { id kind state user { id } } } }"
EVENTS = 'subscription($id: ID!) { projectEvents(projectId: $id, after: "0") { kind subjectId } }'
WATCH = "subscription($id: ID!) { job(id: $id) { state } }"
CANVAS = {"width": 640, "height": 360, "frameRate": "25"}
TITLE = {"content": {"text": {"text": "Hello", "length": 5, "size": 40}}}


async def made(person: Person, project: str, **more: Any) -> dict[str, Any]:
    """What createSchedule answers; hourly pauses if nothing else is said."""
    usual = {"name": "Each hour", "cron": "0 * * * *", "start": {"pause": {"seconds": 0.01}}}
    return await person.do("createSchedule", f"... on Schedule {{ {SCHEDULE} }}", projectId=project, **usual | more)


async def seen(person: Person, schedule: dict[str, Any]) -> dict[str, Any]:
    return await person.ask(ONE, id=schedule["id"])


async def let_be_due(stage: Stage, *schedules: dict[str, Any]) -> None:
    """Put their next time a minute into the past, as if no worker had been there since."""
    async with stage.resources.work() as work:
        for each in schedules:
            row = await work.locked(Schedule, each["id"])
            assert row
            row.next_at = await work.now() - timedelta(minutes=1)


async def jobs(person: Person, project: str) -> list[dict[str, Any]]:
    return (await person.ask(JOBS, id=project))["nodes"]


async def with_timeline(person: Person) -> str:
    """The id of a project that can be rendered."""
    project = await project_of(person)
    timeline = {"canvas": CANVAS, "tracks": [{"clips": [TITLE]}]}
    answer = await person.do("setTimeline", "", projectId=project, timeline=timeline)
    assert answer["__typename"] == "Project"
    return project


async def test_a_schedule_is_made_found_listed_and_deleted(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project, cron=" 30  6 * * MON-FRI", timeZone="Europe/Berlin", priority="HIGH")
    assert schedule == {
        "__typename": "Schedule",
        "id": schedule["id"],
        "name": "Each hour",
        "cron": "30 6 * * MON-FRI",
        "timeZone": "Europe/Berlin",
        "priority": "HIGH",
        "paused": False,
        "pauseReason": None,
        "nextAt": schedule["nextAt"],
        "lastAt": None,
        "version": 1,
        "start": {"__typename": "ScheduledPause", "seconds": 0.01},
        "lastJob": None,
        "lastRefusal": None,
        "user": {"id": person.id},
        "project": {"id": project},
    }
    assert await seen(person, schedule) == {key: each for key, each in schedule.items() if key != "__typename"}
    node = await person.ask(
        "query($id: ID!) { node(id: $id) { __typename ... on Schedule { name } } }", id=schedule["id"]
    )
    assert node == {"__typename": "Schedule", "name": "Each hour"}
    assert await person.ask(LISTED, id=project) == {
        "schedules": {"totalCount": 1, "nodes": [{"id": schedule["id"], "name": "Each hour"}]}
    }
    assert await person.do("deleteSchedule", "... on Deleted { id }", id=schedule["id"]) == {
        "__typename": "Deleted",
        "id": schedule["id"],
    }
    assert await person.error(ONE, id=schedule["id"]) == "NOT_FOUND"
    assert (await person.ask(LISTED, id=project))["schedules"] == {"totalCount": 0, "nodes": []}


async def test_the_next_times_are_shown_before_they_come(stage: Stage) -> None:
    person = await stage.person()
    schedule = await made(person, await project_of(person), cron="0 0 1 1 *", timeZone="Asia/Tokyo")
    query = "query($id: ID!, $first: Int! = 5) { schedule(id: $id) { nextAt nextTimes(first: $first) } }"
    answer = await person.ask(query, id=schedule["id"])
    times = [datetime.fromisoformat(each) for each in answer["nextTimes"]]
    assert answer["nextTimes"][0] == answer["nextAt"]
    assert [(each.month, each.day, each.hour) for each in times] == [(12, 31, 15)] * 5
    assert [each.year for each in times] == list(range(times[0].year, times[0].year + 5))
    assert len((await person.ask(query, id=schedule["id"], first=25))["nextTimes"]) == 25
    assert await person.error(query, id=schedule["id"], first=26) == "INVALID_INPUT"


async def test_a_due_schedule_starts_its_job_and_a_worker_does_it(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project)
    assert await due_schedules(stage.resources) == 0
    await let_be_due(stage, schedule)
    assert await due_schedules(stage.resources) == 1
    assert await due_schedules(stage.resources) == 0
    (job,) = await jobs(person, project)
    assert (job["kind"], job["state"], job["user"]) == ("PAUSE", "QUEUED", {"id": person.id})
    async with stage.worker():
        assert [each["state"] async for each in person.watch(WATCH, id=job["id"])][-1] == "COMPLETED"
    after = await seen(person, schedule)
    assert after["lastJob"] == {"id": job["id"], "kind": "PAUSE", "state": "COMPLETED"}
    assert (after["nextAt"], after["version"]) == (schedule["nextAt"], 1)
    assert after["lastAt"] is not None


async def test_workers_find_a_due_schedule_by_themselves(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project)
    async with aclosing(person.watch(EVENTS, id=project)) as events, asyncio.timeout(20):
        await let_be_due(stage, schedule)
        async with stage.worker(), stage.worker():
            seen_events = await until(events, kind="JOB_COMPLETED")
    assert [each["kind"] for each in seen_events] == ["MEMBER_ADDED", "JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"]
    assert {each["subjectId"] for each in seen_events[1:]} == {(await seen(person, schedule))["lastJob"]["id"]}


async def test_a_scheduled_render_takes_the_timeline_as_it_stands_by_then(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project, start={"render": {"output": {"preset": "H264_480P"}}})
    assert schedule["start"] == {"__typename": "ScheduledRender", "preset": "H264_480P", "custom": None}
    await let_be_due(stage, schedule)
    assert await due_schedules(stage.resources) == 1
    after = await seen(person, schedule)
    assert after["lastRefusal"] == {
        "code": "TIMELINE_EMPTY",
        "message": "The project has no timeline to render yet: set one first.",
    }
    assert (after["lastJob"], await jobs(person, project)) == (None, [])
    timeline = {"canvas": CANVAS, "tracks": [{"clips": [TITLE]}]}
    await person.do("setTimeline", "", projectId=project, timeline=timeline)
    await let_be_due(stage, schedule)
    assert await due_schedules(stage.resources) == 1
    after = await seen(person, schedule)
    assert after["lastRefusal"] is None
    assert (after["lastJob"]["kind"], after["lastJob"]["state"]) == ("RENDER", "QUEUED")


async def test_a_render_that_is_at_work_is_left_alone_and_the_next_time_comes(stage: Stage) -> None:
    person = await stage.person()
    project = await with_timeline(person)
    custom = {"codec": "H264", "width": 64, "height": 36}
    schedule = await made(person, project, start={"render": {"output": {"custom": custom}}})
    assert schedule["start"]["custom"] == {"codec": "H264", "width": 64, "height": 36, "crf": 20}
    job = await person.do("startRender", "... on Job { id }", projectId=project, output={"preset": "H264_480P"})
    await let_be_due(stage, schedule)
    assert await due_schedules(stage.resources) == 1
    after = await seen(person, schedule)
    assert (after["lastRefusal"]["code"], after["lastJob"]) == ("RENDER_ALREADY_ACTIVE", None)
    assert job["id"] in after["lastRefusal"]["message"]
    assert after["nextAt"] == schedule["nextAt"]
    assert [each["id"] for each in await jobs(person, project)] == [job["id"]]


async def test_what_is_wrong_with_a_schedule_is_said_and_nothing_is_kept(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "* * * * * *"}, "cron"),
        ({"timeZone": "Europe/Berlyn"}, "timeZone"),
        ({"name": " "}, "name"),
        ({"start": {"pause": {"seconds": 0}}}, "start.pause.seconds"),
        (
            {"start": {"render": {"output": {"custom": {"codec": "H264", "width": 63, "height": 36}}}}},
            "start.render.output.custom.width",
        ),
    ]
    schedule = await made(person, project)
    for more, path in wrong:
        usual = {"name": "N", "cron": "0 * * * *", "start": {"pause": {"seconds": 1}}}
        refused = await person.do("createSchedule", "... on InvalidInput { path }", projectId=project, **usual | more)
        assert (refused["code"], refused["path"]) == ("INVALID_INPUT", path)
        refused = await person.do("updateSchedule", "... on InvalidInput { path }", id=schedule["id"], **more)
        assert (refused["code"], refused["path"]) == ("INVALID_INPUT", path)
    assert (await person.ask(LISTED, id=project))["schedules"]["totalCount"] == 1
    assert (await seen(person, schedule))["version"] == 1


async def test_a_schedule_is_changed_paused_and_resumed(stage: Stage) -> None:
    person = await stage.person()
    schedule = await made(person, await project_of(person))
    change = f"... on Schedule {{ {SCHEDULE} }}"
    changed = await person.do(
        "updateSchedule",
        change,
        id=schedule["id"],
        name="Nightly",
        cron="0 3 * * *",
        timeZone="Europe/Berlin",
        start={"render": {"output": {"preset": "H265_720P"}}},
        priority="LOW",
        expectedVersion=1,
    )
    assert (changed["name"], changed["cron"], changed["timeZone"]) == ("Nightly", "0 3 * * *", "Europe/Berlin")
    assert (changed["start"]["preset"], changed["priority"], changed["version"]) == ("H265_720P", "LOW", 2)
    assert changed["nextAt"] != schedule["nextAt"]
    paused = await person.do("updateSchedule", change, id=schedule["id"], paused=True)
    assert (paused["paused"], paused["pauseReason"], paused["nextAt"]) == (True, "ASKED", None)
    resumed = await person.do("updateSchedule", change, id=schedule["id"], paused=False, expectedVersion=3)
    assert (resumed["paused"], resumed["pauseReason"]) == (False, None)
    assert (resumed["nextAt"], resumed["version"]) == (changed["nextAt"], 4)
    stale = await person.do("updateSchedule", "", id=schedule["id"], name="Other", expectedVersion=3)
    assert stale["code"] == "STALE_VERSION"
    assert (await seen(person, schedule))["name"] == "Nightly"


async def test_a_paused_schedule_lets_its_times_pass(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project)
    await let_be_due(stage, schedule)
    await person.do("updateSchedule", "", id=schedule["id"], paused=True)
    assert await due_schedules(stage.resources) == 0
    assert await jobs(person, project) == []


async def test_a_stranger_sees_none_of_it_and_a_viewer_changes_none_of_it(stage: Stage) -> None:
    owner, viewer, stranger = await stage.person(), await stage.person(), await stage.person()
    project = await project_of(owner)
    await owner.do("addMember", "", projectId=project, email=viewer.email, role="VIEWER")
    schedule = await made(owner, project)
    assert (await seen(viewer, schedule))["name"] == "Each hour"
    assert await stranger.error(ONE, id=schedule["id"]) == "NOT_FOUND"
    node = "query($id: ID!) { node(id: $id) { id } }"
    assert (await viewer.ask(node, id=schedule["id"]), await stranger.error(node, id=schedule["id"])) == (
        {"id": schedule["id"]},
        "NOT_FOUND",
    )
    for person, code in ((viewer, "FORBIDDEN"), (stranger, "NOT_FOUND")):
        assert (await made(person, project))["code"] == code
        assert (await person.do("updateSchedule", "", id=schedule["id"], paused=True))["code"] == code
        assert (await person.do("deleteSchedule", "", id=schedule["id"]))["code"] == code
    assert (await seen(owner, schedule))["version"] == 1
    assert await stage.stranger.error(ONE, id=schedule["id"]) == "UNAUTHENTICATED"
    unscoped = await stage.person(scopes=EVERY_SCOPE - {Scope.RENDERS_WRITE})
    assert (await made(unscoped, await project_of(unscoped)))["code"] == "FORBIDDEN"


@pytest.mark.parametrize("act", ["removed", "made a viewer", "gone"])
async def test_a_schedule_whose_user_may_not_start_jobs_any_more_pauses_itself_until_somebody_takes_it_over(
    stage: Stage, act: str
) -> None:
    owner, editor = await stage.person(), await stage.person()
    project = await project_of(owner)
    await owner.do("addMember", "", projectId=project, email=editor.email, role="EDITOR")
    schedule = await made(editor, project)
    if act == "gone":
        await editor.do("deleteUser", "", id=editor.id)
    else:
        await owner.do("removeMember", "", projectId=project, userId=editor.id)
    if act == "made a viewer":
        await owner.do("addMember", "", projectId=project, email=editor.email, role="VIEWER")
    await let_be_due(stage, schedule)
    assert await due_schedules(stage.resources) == 0
    after = await seen(owner, schedule)
    assert (after["paused"], after["nextAt"], after["lastAt"]) == (True, None, None)
    assert after["pauseReason"] == ("USER_GONE" if act == "gone" else "USER_MAY_NOT")
    assert after["user"] == (None if act == "gone" else {"id": editor.id})
    assert await jobs(owner, project) == []
    await owner.do("updateSchedule", "", id=schedule["id"], paused=False)
    await let_be_due(stage, schedule)
    assert await due_schedules(stage.resources) == 1
    (job,) = await jobs(owner, project)
    assert job["user"] == {"id": owner.id}


async def test_a_project_takes_its_schedules_with_it(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project)
    await let_be_due(stage, schedule)
    assert (await person.do("deleteProject", "", id=project))["__typename"] == "Deleted"
    assert await due_schedules(stage.resources) == 0
    assert await stage.resources.reads().by_ids(Schedule, [schedule["id"]]) == [None]


async def test_a_schedule_outlives_the_job_that_it_started(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    schedule = await made(person, project)
    await let_be_due(stage, schedule)
    await due_schedules(stage.resources)
    (job,) = await jobs(person, project)
    assert (await person.do("cancelJob", "... on Job { state }", id=job["id"]))["state"] == "CANCELLED"
    assert (await seen(person, schedule))["lastJob"]["state"] == "CANCELLED"
    assert await person.do("deleteSchedule", "", id=schedule["id"]) == {"__typename": "Deleted"}
    assert [each["id"] for each in await jobs(person, project)] == [job["id"]]


async def test_a_project_has_a_hundred_schedules_at_most(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    first = await made(person, project)
    async with stage.resources.work() as work:
        row = await work.locked(Schedule, first["id"])
        assert row
        for _ in range(MOST_SCHEDULES - 1):
            work.add(
                Schedule(
                    project_id=project,
                    user_id=person.id,
                    name="One of many",
                    cron=row.cron,
                    time_zone=row.time_zone,
                    start_json=row.start_json,
                )
            )
    refused = await person.do(
        "createSchedule",
        "... on TooManySchedules { limit }",
        projectId=project,
        name="One more",
        cron="0 * * * *",
        start={"pause": {"seconds": 1}},
    )
    assert (refused["code"], refused["limit"]) == ("TOO_MANY_SCHEDULES", 100)
    assert (await person.ask(LISTED, id=project))["schedules"]["totalCount"] == 100
    await person.do("deleteSchedule", "", id=first["id"])
    assert (await made(person, project))["__typename"] == "Schedule"


async def test_asking_for_the_times_of_everything_is_an_operation_too_large(stage: Stage) -> None:
    person = await stage.person()
    schedule = await made(person, await project_of(person))
    many = " ".join(f"t{index}: nextTimes" for index in range(251))
    assert await person.error(f"query($id: ID!) {{ schedule(id: $id) {{ {many} }} }}", id=schedule["id"]) == (
        "OPERATION_TOO_LARGE"
    )
