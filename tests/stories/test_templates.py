"""Templates: a timeline with variables, rendered with values for them, once or for many rows."""

from pathlib import Path
from typing import Any

from sqlalchemy import select

from domain.asset import Asset
from domain.job import Job, JobState
from domain.order import JobPayload
from domain.timeline import Timeline
from tests import media
from tests.story import WATCH_JOB, Person, Stage, project_of, ready

CANVAS = {"width": 320, "height": 180, "frameRate": "25"}
SMALL = {"custom": {"codec": "H264", "width": 160, "height": 90}}
ANSWER = """... on Job { id state kind } ... on TimelineInvalid { problems { path message } }
  ... on InvalidInput { path problem }"""
TITLE = {"text": "Hello {{name}}", "length": 5, "size": 40, "color": "{{ color }}"}
VARIABLES = [
    {"name": "name"},
    {"name": "color", "kind": "COLOR", "default": "#ffffff"},
    {"name": "film", "kind": "ASSET", "default": None},
]


def value(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": each} for name, each in values.items()]


async def start(person: Person, project: str, **more: Any) -> Any:
    return await person.do("startRender", ANSWER, projectId=project, output=SMALL, **more)


async def batch(person: Person, project: str, *rows: dict[str, Any], **more: Any) -> Any:
    return await person.do("renderTemplate", ANSWER, projectId=project, output=SMALL, rows=list(rows), **more)


async def template(person: Person, *, film: bool = False, length: int = 5) -> str:
    """A project whose timeline greets somebody; perhaps over a film that is yet to be named."""
    project = await project_of(person, "Cards/2026")
    tracks = [{"clips": [{"content": {"text": {**TITLE, "length": length}}}]}]
    if film:
        tracks.insert(0, {"clips": [{"content": {"video": {"assetId": "{{film}}", "out": 5}}}]})
    variables = VARIABLES if film else VARIABLES[:2]
    answer = await person.do(
        "setTimeline",
        "... on TimelineInvalid { problems { path message } }",
        projectId=project,
        timeline={"canvas": CANVAS, "tracks": tracks, "variables": variables},
    )
    assert answer == {"__typename": "Project"}
    return project


async def kept(stage: Stage, job_id: str) -> dict[str, Any]:
    """What a job is asked, as it is stored."""
    async with stage.resources.work() as work:
        payload = await work.session.get_one(JobPayload, job_id)
        return payload.spec


# One render


async def test_a_render_is_of_the_timeline_with_the_values_that_were_given(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person)
    job = await start(person, project, values=value(name="Ada"))
    assert job["__typename"] == "Job"
    timeline = Timeline.from_json((await kept(stage, job["id"]))["timeline"])
    (clip,) = timeline.tracks[0].clips
    assert (clip.content.text, clip.content.color, timeline.variables) == ("Hello Ada", "#ffffff", ())


async def test_every_value_that_will_not_do_is_told_at_once(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person, film=True)
    given = [*value(color="red", title="x"), *value(title="y")]
    refused = await start(person, project, values=given)
    assert [each["path"] for each in refused["problems"]] == ["values.title"]
    refused = await start(person, project, values=given[:2])
    assert [each["path"] for each in refused["problems"]] == [
        "values.color",
        "values.title",
        "values.name",
        "values.film",
    ]
    refused = await start(person, project, values=value(name="{{color}}", film="gone"))
    assert [each["path"] for each in refused["problems"]] == ["values.name"]
    refused = await start(person, project, values=value(name="Ada", film="gone"))
    assert refused["problems"] == [
        {
            "path": "tracks.0.clips.0.content.video.assetId",
            "message": "there is no asset 'gone' in this project",
        }
    ]
    jobs = "query($id: ID!) { project(id: $id) { jobs { totalCount } } }"
    assert await person.ask(jobs, id=project) == {"jobs": {"totalCount": 0}}


async def test_a_key_is_for_the_values_too(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person)
    job = await start(person, project, values=value(name="Ada"), idempotencyKey="k")
    assert (await start(person, project, values=value(name="Ada"), idempotencyKey="k"))["id"] == job["id"]
    other = await start(person, project, values=value(name="Bob"), idempotencyKey="k")
    assert other["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_template_takes_an_asset_by_name_and_by_default(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await template(person, film=True)
    async with stage.worker():
        film = await ready(person, project, media.plain(tmp_path / "a.mp4", "red", frames=10), "video/mp4")
        job = await start(person, project, values=value(name="Ada", film=film))
        states = [each["state"] async for each in person.watch(WATCH_JOB, id=job["id"])]
    assert states[-1] == "COMPLETED"
    timeline = await person.ask(
        "query($id: ID!) { project(id: $id) { timeline { variables { name kind default } } } }", id=project
    )
    assert timeline["timeline"]["variables"][0] == {"name": "name", "kind": "TEXT", "default": None}
    answer = await person.do(
        "setTimeline",
        "... on TimelineInvalid { problems { path message } }",
        projectId=project,
        timeline={
            "canvas": CANVAS,
            "tracks": [{"clips": [{"content": {"video": {"assetId": "{{film}}", "out": 11}}}]}],
            "variables": [{"name": "film", "kind": "ASSET", "default": film}],
        },
    )
    assert [each["path"] for each in answer["problems"]] == ["tracks.0.clips.0.content.video.out"]


# Many


async def test_a_template_is_rendered_for_every_row(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person)
    rows = [{"values": value(name="Ada"), "name": "For Ada"}, {"values": value(name="Bob", color="#ff0000")}]
    async with stage.worker():
        job = await batch(person, project, *rows)
        assert (job["__typename"], job["kind"]) == ("Job", "RENDER_BATCH")
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
    assert (last["state"], last["error"], last["progress"]["fraction"]) == ("COMPLETED", None, 1.0)
    family = await person.ask(
        "query($id: ID!) { job(id: $id) { children { nodes { kind state asset { name state } } } } }", id=job["id"]
    )
    made = sorted(each["asset"]["name"] for each in family["children"]["nodes"])
    assert made == ["Cards-2026 2.mp4", "For Ada.mp4"]
    assert {each["state"] for each in family["children"]["nodes"]} == {"COMPLETED"}


async def test_every_problem_of_every_row_is_told_before_anything_is_started(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person)
    good = {"values": value(name="Ada")}
    refused = await batch(person, project, good, {}, {"values": value(name="Bob", color="blue", age="7")})
    assert [each["path"] for each in refused["problems"]] == [
        "rows.1.values.name",
        "rows.2.values.color",
        "rows.2.values.age",
    ]
    for rows, paths in (
        ([{**good, "name": "a"}, {**good, "name": "a"}], ["rows.1.name"]),
        ([{**good, "name": "Cards-2026 2"}, good], ["rows.0.name"]),
        ([{**good, "name": "a/b"}, {**good, "name": ""}], ["rows.0.name", "rows.1.name"]),
        ([], ["rows"]),
        ([good] * 501, ["rows"]),
        (
            [{"values": value(name="Ada") * 2}, {"values": value(name="") * 2}],
            ["rows.0.values.name", "rows.1.values.name"],
        ),
    ):
        refused = await batch(person, project, *rows)
        assert [each["path"] for each in refused["problems"]] == paths
    jobs = "query($id: ID!) { project(id: $id) { jobs { totalCount } } }"
    assert await person.ask(jobs, id=project) == {"jobs": {"totalCount": 0}}


async def test_a_batch_has_its_key_and_is_beside_the_projects_render(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person)
    row = {"values": value(name="Ada")}
    job = await batch(person, project, row, idempotencyKey="k")
    assert (await batch(person, project, row, idempotencyKey="k"))["id"] == job["id"]
    assert (await batch(person, project, row, row, idempotencyKey="k"))["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert (await batch(person, project, row))["__typename"] == "Job"
    assert (await start(person, project, values=value(name="Ada")))["__typename"] == "Job"
    active = await person.ask("query($id: ID!) { project(id: $id) { activeRender { kind } } }", id=project)
    assert active == {"activeRender": {"kind": "RENDER"}}


async def test_one_row_that_fails_leaves_the_others_and_a_retry_makes_what_is_missing(
    stage: Stage, tmp_path: Path
) -> None:
    person = await stage.person()
    project = await template(person, film=True)
    async with stage.worker():
        films = [
            await ready(person, project, media.plain(tmp_path / f"{color}.mp4", color, frames=10), "video/mp4")
            for color in ("red", "blue")
        ]
    job = await batch(person, project, *({"values": value(name="Ada", film=each), "name": each} for each in films))
    media_facts = await _examined(stage, films[1], None)
    async with stage.worker():
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
        assert (last["state"], last["error"]["code"]) == ("FAILED", "ROWS_FAILED")
        assert f"1 of 2 files could not be made: {films[1]}.mp4" in last["error"]["message"]
        first = await _children(stage, job["id"])
        assert [(each.place, each.state) for each in first] == [(0, JobState.COMPLETED), (1, JobState.FAILED)]
        await _examined(stage, films[1], media_facts)
        assert (await person.do("retryJob", "... on Job { state }", id=job["id"]))["__typename"] == "Job"
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
    assert (last["state"], last["error"]) == ("COMPLETED", None)
    second = await _children(stage, job["id"])
    assert [(each.place, each.state) for each in second] == [(0, JobState.COMPLETED), (1, JobState.COMPLETED)]
    assert second[0].id == first[0].id
    assert second[0].asset_id == first[0].asset_id


async def test_an_asset_of_a_waiting_batch_cannot_be_deleted(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await template(person, film=True)
    async with stage.worker():
        film = await ready(person, project, media.plain(tmp_path / "a.mp4", "red", frames=10), "video/mp4")
    job = await batch(person, project, {"values": value(name="Ada", film=film)})
    refused = await person.do("deleteAsset", "... on AssetInUse { jobId }", id=film)
    assert (refused["code"], refused["jobId"]) == ("ASSET_IN_USE", job["id"])


async def test_cancelling_a_batch_stops_its_renders_and_keeps_what_is_made(stage: Stage) -> None:
    person = await stage.person()
    project = await template(person)
    job = await batch(person, project, *({"values": value(name=f"{n}")} for n in range(3)))
    await person.do("cancelJob", "", id=job["id"])
    async with stage.worker():
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
    assert last["state"] == "CANCELLED"


async def test_only_who_may_edit_a_project_renders_its_template(stage: Stage) -> None:
    person, stranger = await stage.person(), await stage.person()
    project = await template(person)
    assert (await batch(stranger, project, {"values": value(name="Ada")}))["code"] == "NOT_FOUND"


async def _children(stage: Stage, job_id: str) -> list[Job]:
    async with stage.resources.work() as work:
        found = await work.session.scalars(select(Job).where(Job.parent_id == job_id).order_by(Job.place))
        return list(found.all())


async def _examined(stage: Stage, asset_id: str, found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Let this be what was found in an asset, None for one that cannot be used; returns what it was."""
    async with stage.resources.work() as work:
        asset = await work.session.get_one(Asset, asset_id)
        before, asset.media = asset.media, found
    return before
