"""What the page on plans and previews shows is answered as it is said there."""

from tests.docs.pages import blocks
from tests.story import WATCH_JOB, Person, Stage, project_of

PAGE = "docs/previews.md"


async def titled(person: Person) -> str:
    """A project with a timeline of 25 frames that needs no assets."""
    project = await project_of(person)
    timeline = {
        "canvas": {"width": 1280, "height": 720, "frameRate": "25"},
        "tracks": [{"clips": [{"content": {"text": {"text": "Hello", "length": 25, "size": 40}}}]}],
    }
    assert await person.do("setTimeline", "", projectId=project, timeline=timeline) == {"__typename": "Project"}
    return project


async def test_the_examples_lead_to_a_plan_a_frame_and_a_clip(stage: Stage) -> None:
    person = await stage.person()
    project = await titled(person)
    plan, frame, clip = blocks(PAGE, "graphql")
    planned = await person.ask(plan, projectId=project)
    assert (planned["frames"], planned["framesToEncode"]) == (25, 25)
    assert planned["spans"] == [{"first": 0, "count": 25, "isCached": False}]
    async with stage.worker():
        for example in (frame, clip):
            shown = await person.ask(example, projectId=project)
            while shown["job"]:
                [each async for each in person.watch(WATCH_JOB, id=shown["job"]["id"])]
                shown = await person.ask(example, projectId=project)
            assert (await stage.web.get(shown["url"])).status_code == 200
