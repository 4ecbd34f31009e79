"""What happens on one API process is seen by those who watch on another."""

import asyncio
from contextlib import aclosing

from tests.installation import Installation
from tests.journeys.acts import WATCH_JOB, WATCH_PROJECT, pause
from tests.story import project_of, until
from tests.wire import Caller

OF_A_JOB = ["JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"]


async def test_a_job_of_one_process_is_watched_to_its_end_on_another(site: Installation, ada: Caller) -> None:
    there = ada.at(site.urls[1])
    job = await pause(ada, await project_of(ada), 1.2)
    async with asyncio.timeout(10):
        over_socket, over_events = await asyncio.gather(
            _all(there.watch(WATCH_JOB, id=job)), _all(there.events(WATCH_JOB, id=job))
        )
    for seen in (over_socket, over_events):
        assert (seen[-1]["state"], seen[-1]["attempt"]) == ("COMPLETED", 1)
        fractions = [each["progress"]["fraction"] for each in seen]
        assert fractions == sorted(fractions)
        assert any(0 < each < 1 for each in fractions)


async def test_what_happens_in_a_project_is_told_on_another_process(site: Installation, ada: Caller) -> None:
    there, project = ada.at(site.urls[1]), await project_of(ada)
    seen: dict[str, list[dict[str, str]]] = {}
    async with (
        asyncio.timeout(10),
        aclosing(there.watch(WATCH_PROJECT, id=project, after="0")) as over_socket,
        aclosing(there.events(WATCH_PROJECT, id=project, after="0")) as over_events,
    ):
        # The log's first entry says that the subscription is there.
        for watching in (over_socket, over_events):
            assert (await anext(watching))["kind"] == "MEMBER_ADDED"
        job = await pause(ada, project, 0.1)
        for name, watching in (("socket", over_socket), ("events", over_events)):
            seen[name] = await until(watching, kind="JOB_COMPLETED")
    for events in seen.values():
        assert [each["kind"] for each in events] == OF_A_JOB
        assert {each["subjectId"] for each in events} == {job}


async def _all(watching):
    return [each async for each in watching]
