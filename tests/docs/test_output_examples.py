"""What the page on outputs shows is accepted as it stands, and its tables are whole."""

import json
import re

from domain.render.output import OutputPreset, VideoCodec
from tests.docs.pages import blocks, page
from tests.story import Person, Stage, project_of

PAGE = "docs/outputs.md"


async def titled(person: Person) -> str:
    """A project with a timeline of 25 frames that needs no assets."""
    project = await project_of(person)
    timeline = {
        "canvas": {"width": 1920, "height": 1080, "frameRate": "25"},
        "tracks": [{"clips": [{"content": {"text": {"text": "Hello", "length": 25, "size": 40}}}]}],
    }
    assert await person.do("setTimeline", "", projectId=project, timeline=timeline) == {"__typename": "Project"}
    return project


async def test_every_output_on_the_page_can_be_ordered_but_the_one_that_is_refused(stage: Stage) -> None:
    person = await stage.person()
    *ordered, refused, _ = blocks(PAGE, "graphql")
    for example in ordered:
        job = await person.ask(example, projectId=await titled(person))
        assert job["__typename"] == "Job", example
    (refusal,) = blocks(PAGE, "json")
    assert await person.ask(refused, projectId=await titled(person)) == json.loads(refusal)


def test_every_preset_and_the_usual_qualities_are_told() -> None:
    text = page(PAGE)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    told = {word for line in rows for word in re.findall(r"`([A-Z0-9_]+)`", line.split("|")[1])}
    assert told == set(OutputPreset)
    usual = re.search(r"If nothing is said: (\d+) for H.264, (\d+) for H.265, (\d+) for AV1, (\d+) for VP9", text)
    assert usual
    assert [int(each) for each in usual.groups()] == [each.usual_crf for each in VideoCodec]
