"""What a render would do, told before it is started."""

from typing import Any

from tests.story import WATCH_JOB, Person, Stage, project_of

CANVAS = {"width": 160, "height": 90, "frameRate": "25"}
SMALL = {"custom": {"codec": "H264", "width": 160, "height": 90, "speed": "FASTER"}}
PLAN = """query($id: ID!, $output: OutputInput!, $values: [VariableValueInput!]) {
  renderPlan(projectId: $id, output: $output, values: $values) {
    frames spans { first count isCached } cachedSpans framesToEncode hasSound soundIsCached processorSeconds size } }"""


async def set_timeline(person: Person, project: str, *texts: str, **more: Any) -> None:
    clips = [{"content": {"shape": {"width": 160, "height": 90, "fill": "#ff0000", "length": 150}}} for _ in texts]
    titles = [{"content": {"text": {"text": each, "length": 150, "size": 20}}} for each in texts]
    timeline = {"canvas": CANVAS, "tracks": [{"clips": clips}, {"clips": titles}], **more}
    answer = await person.do(
        "setTimeline", "... on TimelineInvalid { problems { path message } }", projectId=project, timeline=timeline
    )
    assert answer == {"__typename": "Project"}


async def plan(person: Person, project: str, output: dict[str, Any] = SMALL, **more: Any) -> Any:
    return await person.ask(PLAN, id=project, output=output, **more)


async def test_after_a_render_only_what_changed_is_to_be_made(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    await set_timeline(person, project, "one", "two", "three")
    before = await plan(person, project)
    assert (before["frames"], before["cachedSpans"], before["framesToEncode"]) == (450, 0, 450)
    assert sum(each["count"] for each in before["spans"]) == 450
    assert [each["first"] for each in before["spans"]] == sorted({each["first"] for each in before["spans"]})
    assert before["processorSeconds"] > 0
    assert before["size"] > 0
    async with stage.worker():
        job = await person.do("startRender", "... on Job { id }", projectId=project, output=SMALL)
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
        assert last["state"] == "COMPLETED"
        after = await plan(person, project)
        await set_timeline(person, project, "one", "other", "three")
        changed = await plan(person, project)
    assert after["spans"] == [{**each, "isCached": True} for each in before["spans"]]
    assert (after["framesToEncode"], after["processorSeconds"]) == (0, 0.0)
    assert 0 < changed["framesToEncode"] < 450
    assert changed["processorSeconds"] > 0
    assert (await plan(person, project, {"preset": "GIF_240P"}))["spans"] == []


async def test_a_plan_refuses_what_a_render_would(stage: Stage) -> None:
    person, stranger = await stage.person(), await stage.person()
    project = await project_of(person)
    assert await person.error(PLAN, id=project, output=SMALL) == "TIMELINE_EMPTY"
    await set_timeline(person, project, "Hello {{name}}", variables=[{"name": "name"}])
    assert await person.error(PLAN, id=project, output=SMALL) == "INVALID_INPUT"
    assert (await plan(person, project, values=[{"name": "name", "value": "Ada"}]))["frames"] == 150
    odd = {"custom": {"codec": "H264", "width": 161, "height": 90}}
    assert await person.error(PLAN, id=project, output=odd, values=[{"name": "name", "value": "A"}]) == "INVALID_INPUT"
    assert await person.error(PLAN, id=project, output={"preset": "MP3"}) == "INVALID_INPUT"
    assert await stranger.error(PLAN, id=project, output=SMALL) == "NOT_FOUND"
