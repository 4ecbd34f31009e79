"""Looking at a timeline without rendering it."""

import asyncio
import io
from pathlib import Path
from typing import Any

import av
import pytest
from sqlalchemy import func, select

from domain.asset import Asset
from domain.job import Job, JobState
from domain.kinds import JobKind
from graph import previews
from graph.previews import TRIED_AGAIN_AFTER
from tests import media
from tests.story import WATCH_JOB, Person, Stage, project_of, ready

CANVAS = {"width": 320, "height": 180, "frameRate": "25"}
FRAME = """query($id: ID!, $frame: Int!, $width: Int!, $values: [VariableValueInput!]) {
  previewFrame(projectId: $id, frame: $frame, width: $width, values: $values) {
    frame width height url expiresAt job { id kind state } } }"""
CLIP = """query($id: ID!, $first: Int!, $count: Int!) {
  previewClip(projectId: $id, first: $first, count: $count, width: 160) { first count width height url job { id } } }"""


GROUND = {"name": "b", "kind": "COLOR", "default": "#000000"}


async def timeline(person: Person, project: str, *tracks: list[dict[str, Any]], **more: Any) -> None:
    edit = {"canvas": CANVAS, "tracks": [{"clips": clips} for clips in tracks], **more}
    answer = await person.do(
        "setTimeline", "... on TimelineInvalid { problems { path message } }", projectId=project, timeline=edit
    )
    assert answer == {"__typename": "Project"}


def title(text: str = "Hello", length: int = 50, **more: Any) -> list[dict[str, Any]]:
    return [{"content": {"text": {"text": text, "length": length, "size": 40, **more}}}]


async def frame(person: Person, project: str, number: int = 0, width: int = 160, **more: Any) -> Any:
    return await person.ask(FRAME, id=project, frame=number, width=width, **more)


async def pixel(person: Person, shown: dict[str, Any], x: float = 0.5, y: float = 0.5) -> tuple[int, ...]:
    """The red, green and blue of a place in a preview."""
    with av.open(io.BytesIO((await person.stage.web.get(shown["url"])).content)) as file:
        picture = next(file.decode(video=0)).reformat(format="rgb24")
    assert (picture.width, picture.height) == (shown["width"], shown["height"])
    plane = picture.planes[0]
    start = int(y * picture.height) * plane.line_size + 3 * int(x * picture.width)
    return tuple(bytes(plane)[start : start + 3])


async def jobs(stage: Stage) -> int:
    async with stage.resources.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Job).where(Job.kind == JobKind.PREVIEW))


async def test_a_frame_is_shown_at_once_and_the_second_time_without_a_job(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        red = await ready(person, project, media.plain(tmp_path / "r.mp4", "red", frames=25), "video/mp4")
        blue = await ready(person, project, media.plain(tmp_path / "b.mp4", "blue", frames=25), "video/mp4")
        await timeline(person, project, [{"content": {"video": {"assetId": each}}} for each in (red, blue)])
        await prepared(person, project)
        shown = await frame(person, project, 30)
        assert (shown["frame"], shown["width"], shown["height"], shown["job"]) == (30, 160, 90, None)
        red_, green_, blue_ = await pixel(person, shown)
        assert blue_ > 200
        assert max(red_, green_) < 60
        assert (await frame(person, project, 30))["url"] == shown["url"]
        assert await jobs(stage) == 1
        red_, green_, blue_ = await pixel(person, await frame(person, project, 24))
        assert red_ > 200
        assert max(green_, blue_) < 60
    assert await jobs(stage) == 2
    told = await person.ask("query($id: ID!) { jobs(projectId: $id) { nodes { kind } } }", id=project)
    assert "PREVIEW" not in {each["kind"] for each in told["nodes"]}
    told = await person.ask("query($id: ID!) { jobs(projectId: $id, kind: PREVIEW) { totalCount } }", id=project)
    assert told == {"totalCount": 2}
    active = await person.ask("query($id: ID!) { project(id: $id) { activeRender { id } } }", id=project)
    assert active == {"activeRender": None}


async def test_equal_requests_are_one_job_and_who_waits_too_long_is_told_of_it(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    await timeline(person, project, title())
    answers = await asyncio.gather(*(frame(person, project, 3) for _ in range(5)))
    (job_id,) = {each["job"]["id"] for each in answers}
    assert answers[0]["job"] == {"id": job_id, "kind": "PREVIEW", "state": "QUEUED"}
    assert {(each["url"], each["expiresAt"]) for each in answers} == {(None, None)}
    async with stage.worker():
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job_id)]
    assert last["state"] == "COMPLETED"
    shown = await frame(person, project, 3)
    assert (shown["job"], shown["url"] is not None) == (None, True)
    assert await jobs(stage) == 1


async def test_a_clip_has_its_frames(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    await timeline(person, project, title())
    async with stage.worker():
        shown = await person.ask(CLIP, id=project, first=10, count=20)
        while shown["job"]:
            [each async for each in person.watch(WATCH_JOB, id=shown["job"]["id"])]
            shown = await person.ask(CLIP, id=project, first=10, count=20)
    assert (shown["first"], shown["count"], shown["width"], shown["height"]) == (10, 20, 160, 90)
    file = tmp_path / "clip.mp4"
    file.write_bytes((await stage.web.get(shown["url"])).content)
    with av.open(str(file)) as clip:
        assert len(list(clip.decode(video=0))) == 20


async def test_a_frame_that_is_none_and_other_nonsense_is_refused(stage: Stage) -> None:
    person, stranger = await stage.person(), await stage.person()
    project = await project_of(person)
    assert await person.error(FRAME, id=project, frame=0, width=160) == "TIMELINE_EMPTY"
    await timeline(person, project, title(length=10))
    for number, width in ((-1, 160), (10, 160), (2**31 - 1, 160), (0, 15), (0, 1921)):
        assert await person.error(FRAME, id=project, frame=number, width=width) == "INVALID_INPUT"
    for first, count in ((0, 0), (0, 11), (9, 2), (10, 1), (0, -1)):
        assert await person.error(CLIP, id=project, first=first, count=count) == "INVALID_INPUT"
    assert await stranger.error(FRAME, id=project, frame=0, width=160) == "NOT_FOUND"
    assert await stage.stranger.error(FRAME, id=project, frame=0, width=160) == "UNAUTHENTICATED"
    assert await jobs(stage) == 0


async def test_who_may_only_look_may_look_at_a_preview(stage: Stage) -> None:
    person, viewer = await stage.person(), await stage.person(scopes=frozenset())
    project = await project_of(person)
    await timeline(person, project, title())
    await person.do("addMember", "", projectId=project, email=viewer.email, role="VIEWER")
    assert (await frame(viewer, project))["job"]["kind"] == "PREVIEW"


async def test_a_template_is_shown_with_values_and_with_what_is_usual(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    await timeline(person, project, title(), background="{{ground}}", variables=[{"name": "ground", "kind": "COLOR"}])
    async with stage.worker():
        green = await settled(person, project, values=[{"name": "ground", "value": "#00ff00"}])
        black = await settled(person, project)
    assert (await pixel(person, green, 0, 0))[1] > 200
    assert max(await pixel(person, black, 0, 0)) < 30
    variables = [{"name": "name"}, {"name": "film", "kind": "ASSET"}]
    video = {"content": {"video": {"assetId": "{{film}}", "out": 5}}}
    await timeline(person, project, title("Hello {{name}}"), [video], variables=variables)
    one = [{"name": "name", "value": "Ada"}]
    assert await person.error(FRAME, id=project, frame=0, width=160, values=one) == "INVALID_INPUT"
    await timeline(person, project, title("Hello {{name}}"), background="{{b}}", variables=[*variables[:1], GROUND])
    assert (await frame(person, project, values=[{"name": "b", "value": "#00ff00"}]))["width"] == 160
    wrong = [{"name": "b", "value": "green"}]
    assert await person.error(FRAME, id=project, frame=0, width=160, values=wrong) == "INVALID_INPUT"


async def test_a_preview_that_failed_is_refused_with_its_reason_and_tried_again_later(
    stage: Stage, tmp_path: Path
) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        image = await ready(person, project, media.still(tmp_path / "i.png", "red"), "image/png")
        await timeline(person, project, [{"content": {"image": {"assetId": image, "length": 25}}}])
        await settled(person, project, width=100)
    job = (await frame(person, project))["job"]
    async with stage.resources.work() as work:
        asset = await work.session.get_one(Asset, image)
        found, asset.media = asset.media, None
    assert await person.error(FRAME, id=project, frame=0, width=160) == "INVALID_INPUT"
    async with stage.worker():
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
        assert (last["state"], last["error"]["code"]) == ("FAILED", "ASSET_NOT_READY")
        async with stage.resources.work() as work:
            (await work.session.get_one(Asset, image)).media = found
        assert await person.error(FRAME, id=project, frame=0, width=160) == "PREVIEW_FAILED"
        async with stage.resources.work() as work:
            (await work.session.get_one(Job, job["id"])).ended_at -= TRIED_AGAIN_AFTER
        assert (await pixel(person, await settled(person, project)))[0] > 200
    assert await states(stage) == [JobState.COMPLETED, JobState.FAILED, JobState.COMPLETED]


async def test_one_user_has_only_so_many_previews_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "PATIENCE", 0.01)
    monkeypatch.setattr(previews, "MOST_WAITING", 3)
    person = await stage.person()
    project = await project_of(person)
    await timeline(person, project, title())
    for width in (100, 102, 104):
        assert (await frame(person, project, 0, width))["job"]
    assert await person.error(FRAME, id=project, frame=0, width=160) == "TOO_MANY_PREVIEWS"
    assert (await frame(person, project, 0, 104))["job"]
    many = " ".join(f"f{n}: previewFrame(projectId: $id, frame: 0) {{ url }}" for n in range(51))
    assert await person.error(f"query($id: ID!) {{ {many} }}", id=project) == "OPERATION_TOO_LARGE"


async def prepared(person: Person, project: str) -> None:
    """Return when the small copies are there: from then on it is them that are looked at."""
    query = "query($id: ID!) { jobs(projectId: $id, kind: PREPARE) { nodes { id } } }"
    for job in (await person.ask(query, id=project))["nodes"]:
        assert [each async for each in person.watch(WATCH_JOB, id=job["id"])][-1]["state"] == "COMPLETED"


async def settled(person: Person, project: str, number: int = 0, **more: Any) -> Any:
    """A preview when it is there, however long that takes."""
    shown = await frame(person, project, number, **more)
    while shown["job"]:
        [each async for each in person.watch(WATCH_JOB, id=shown["job"]["id"])]
        shown = await frame(person, project, number, **more)
    return shown


async def states(stage: Stage) -> list[JobState]:
    async with stage.resources.work() as work:
        query = select(Job.state).where(Job.kind == JobKind.PREVIEW).order_by(Job.created_at)
        return list((await work.session.scalars(query)).all())
