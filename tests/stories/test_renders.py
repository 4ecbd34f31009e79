"""From a timeline to a video that is right to the frame."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import av
import pytest
from sqlalchemy import func, select

from domain.piece import Piece
from domain.stored import StoredObject
from tasks import sweep
from tests import media
from tests.s3 import on_every_storage
from tests.story import WATCH_JOB, Person, Stage, project_of, ready, until

CANVAS = {"width": 320, "height": 180, "frameRate": "25"}
SMALL = {"custom": {"codec": "H264", "width": 320, "height": 180}}


async def _start(person: Person, project: str, output: dict[str, Any] = SMALL, **more: Any) -> Any:
    selection = """... on Job { id state kind } ... on RenderAlreadyActive { job { id } } ... on InvalidInput { path }
      ... on TimelineInvalid { problems { path } }"""
    return await person.do("startRender", selection, projectId=project, output=output, **more)


async def _timeline(person: Person, project: str, *tracks: list[dict[str, Any]]) -> None:
    timeline = {"canvas": CANVAS, "tracks": [{"clips": clips} for clips in tracks]}
    answer = await person.do(
        "setTimeline", "... on TimelineInvalid { problems { path message } }", projectId=project, timeline=timeline
    )
    assert answer == {"__typename": "Project"}


async def _titled(person: Person, length: int = 25) -> str:
    """A project whose timeline needs no assets."""
    project = await project_of(person)
    await _timeline(person, project, [{"content": {"text": {"text": "Hello", "length": length, "size": 40}}}])
    return project


@on_every_storage
async def test_a_timeline_becomes_an_asset_that_is_as_planned(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person, "My/film")
    async with stage.worker():
        first = await ready(person, project, media.plain(tmp_path / "a.mp4", "red", frames=50), "video/mp4")
        second = await ready(person, project, media.plain(tmp_path / "b.mp4", "blue", frames=50), "video/mp4")
        image = await ready(person, project, media.still(tmp_path / "i.png", "green"), "image/png")
        sound = await ready(person, project, media.tone(tmp_path / "s.wav", seconds=5), "audio/wav")
        await _timeline(
            person,
            project,
            [
                {"content": {"video": {"assetId": first, "in": 10, "out": 40}}},
                {"content": {"video": {"assetId": second}}, "transition": {"frames": 10}},
                {"content": {"image": {"assetId": image, "length": 25}}},
            ],
            [{"content": {"text": {"text": "A title: 100% 'real'", "length": 20, "size": 24}}, "start": 5}],
            [{"content": {"audio": {"assetId": sound, "out": 95, "fadeIn": 10, "fadeOut": 20}}}],
        )
        job = await _start(person, project)
        assert (job["__typename"], job["kind"], job["state"]) == ("Job", "RENDER", "QUEUED")
        seen = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
    last = seen[-1]
    assert (last["state"], last["error"]) == ("COMPLETED", None)
    assert last["progress"]["fraction"] == 1.0
    fractions = [each["progress"]["fraction"] for each in seen]
    assert fractions == sorted(fractions)
    asset = await person.ask(
        """query($id: ID!) { asset(id: $id) { name state contentType downloadUrl
          facts { videoCodec audioCodec width height frameRate frameCount } } }""",
        id=last["asset"]["id"],
    )
    url = asset.pop("downloadUrl")
    assert asset == {
        "name": "My-film.mp4",
        "state": "READY",
        "contentType": "video/mp4",
        "facts": {
            "videoCodec": "h264",
            "audioCodec": "aac",
            "width": 320,
            "height": 180,
            "frameRate": "25",
            "frameCount": 95,
        },
    }
    result = tmp_path / "result.mp4"
    result.write_bytes((await stage.web.get(url)).content)
    with av.open(str(result)) as video:
        assert len(list(video.decode(video=0))) == 95
    assert list((stage.resources.settings.scratch_path / "jobs").iterdir()) == []


@pytest.mark.parametrize("codec", ["H264", "H265"])
async def test_an_output_has_the_codec_and_the_size_that_were_asked_for(stage: Stage, codec: str) -> None:
    person = await stage.person()
    project = await _titled(person)
    async with stage.worker():
        job = await _start(person, project, {"custom": {"codec": codec, "width": 160, "height": 90, "crf": 35}})
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
    facts = await person.ask(
        "query($id: ID!) { asset(id: $id) { facts { videoCodec width height } } }", id=last["asset"]["id"]
    )
    assert facts == {"facts": {"videoCodec": {"H264": "h264", "H265": "hevc"}[codec], "width": 160, "height": 90}}


async def test_a_video_renders_once_at_a_time(stage: Stage) -> None:
    person = await stage.person()
    project = await _titled(person)
    answers = await asyncio.gather(*(_start(person, project) for _ in range(4)))
    (job,) = [each for each in answers if each["__typename"] == "Job"]
    refused = [each for each in answers if each["__typename"] == "RenderAlreadyActive"]
    assert [each["job"]["id"] for each in refused] == [job["id"]] * 3
    active = await person.ask("query($id: ID!) { project(id: $id) { activeRender { id } } }", id=project)
    assert active == {"activeRender": {"id": job["id"]}}
    await person.do("cancelJob", "", id=job["id"])
    second = await _start(person, project)
    assert second["__typename"] == "Job"
    retried = await person.do("retryJob", "... on RenderAlreadyActive { job { id } }", id=job["id"])
    assert (retried["code"], retried["job"]["id"]) == ("RENDER_ALREADY_ACTIVE", second["id"])


async def test_the_same_key_starts_one_render_even_if_the_timeline_changed_since(stage: Stage) -> None:
    person = await stage.person()
    project = await _titled(person)
    job = await _start(person, project, idempotencyKey="k")
    await _timeline(person, project, [{"content": {"text": {"text": "Other", "length": 10, "size": 40}}}])
    assert (await _start(person, project, idempotencyKey="k"))["id"] == job["id"]
    other = await _start(person, project, {"preset": "H264_480P"}, idempotencyKey="k")
    assert other["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_project_without_a_timeline_is_not_rendered(stage: Stage) -> None:
    person = await stage.person()
    assert (await _start(person, await project_of(person)))["code"] == "TIMELINE_EMPTY"


@pytest.mark.parametrize(
    ("custom", "path"),
    [({"width": 321}, "width"), ({"height": 0}, "height"), ({"width": 100_000}, "width"), ({"crf": 52}, "crf")],
)
async def test_an_output_that_cannot_be_made_is_refused(stage: Stage, custom: dict[str, int], path: str) -> None:
    person = await stage.person()
    answer = await _start(
        person, await _titled(person), {"custom": {"codec": "H264", "width": 320, "height": 180, **custom}}
    )
    assert (answer["code"], answer["path"]) == ("INVALID_INPUT", f"output.custom.{path}")


async def test_a_timeline_whose_asset_was_deleted_is_refused_with_its_place(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        image = await ready(person, project, media.still(tmp_path / "i.png", "red"), "image/png")
    await _timeline(person, project, [{"content": {"image": {"assetId": image, "length": 25}}}])
    await person.do("deleteAsset", "", id=image)
    refused = await _start(person, project)
    assert refused["problems"] == [{"path": "tracks.0.clips.0.content.image.assetId"}]


async def test_an_asset_that_a_waiting_render_needs_cannot_be_deleted(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        image = await ready(person, project, media.still(tmp_path / "i.png", "red"), "image/png")
    await _timeline(person, project, [{"content": {"image": {"assetId": image, "length": 25}}}])
    job = await _start(person, project)
    refused = await person.do("deleteAsset", "... on AssetInUse { jobId }", id=image)
    assert (refused["code"], refused["jobId"]) == ("ASSET_IN_USE", job["id"])


async def test_cancelling_a_render_leaves_no_file_and_is_seen(stage: Stage) -> None:
    person = await stage.person()
    project = await _titled(person, length=25 * 3600)
    async with stage.worker(), asyncio.timeout(30):
        job = await _start(person, project)
        async with aclosing(person.watch(WATCH_JOB, id=job["id"])) as watching:
            async for seen in watching:
                if seen["progress"]["frames"]:
                    break
            await person.do("cancelJob", "", id=job["id"])
            assert (await until(watching, state="CANCELLED"))[-1]["asset"] is None
        await _cleared(stage)
    await sweep.heal(stage.resources)
    async with stage.resources.work() as work:  # pieces that were finished are kept for another try, and nothing else
        objects = await work.session.scalar(select(func.count()).select_from(StoredObject))
        assert objects == await work.session.scalar(select(func.count()).select_from(Piece))


async def test_deleting_a_project_stops_its_running_render(stage: Stage) -> None:
    person = await stage.person()
    project = await _titled(person, length=25 * 3600)
    async with stage.worker(), asyncio.timeout(30):
        job = await _start(person, project)
        async with aclosing(person.watch(WATCH_JOB, id=job["id"])) as watching:
            await until(watching, state="PROCESSING")
            await person.do("deleteProject", "", id=project)
            assert [each["state"] async for each in watching][-1] == "CANCELLED"
        await _cleared(stage)


async def _cleared(stage: Stage) -> None:
    """Wait until no attempt has a folder."""
    folder = stage.resources.settings.scratch_path / "jobs"
    while folder.is_dir() and any(folder.iterdir()):
        await asyncio.sleep(0.05)


async def test_what_a_killed_worker_left_on_disk_is_swept_and_what_is_at_work_is_not(stage: Stage) -> None:
    person = await stage.person()
    job = await _start(person, await _titled(person, length=25 * 3600))
    jobs = stage.resources.settings.scratch_path / "jobs"
    for name in (f"{job['id']}-7", "unknown-1"):
        (jobs / name / "output").mkdir(parents=True)
    async with stage.worker(), aclosing(person.watch(WATCH_JOB, id=job["id"])) as watching:
        async for seen in watching:
            if seen["progress"]["frames"] is not None:
                break
        await sweep.heal(stage.resources)
        assert [path.name for path in jobs.iterdir()] == [f"{job['id']}-1"]
        await person.do("cancelJob", "", id=job["id"])
        await until(watching, state="CANCELLED")


async def test_a_movie_brings_the_poster_that_was_asked_for_and_takes_it_along_when_it_goes(
    stage: Stage, tmp_path: Path
) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        source = await ready(person, project, media.counter(tmp_path / "a.mp4", frames=50), "video/mp4")
        await _timeline(person, project, [{"content": {"video": {"assetId": source, "in": 10}}}])
        output = {"custom": {**SMALL["custom"], "posterFrame": 7}}
        job = await _start(person, project, output)
        last = [each async for each in person.watch(WATCH_JOB, id=job["id"])][-1]
    assert (last["state"], last["error"]) == ("COMPLETED", None)
    asset = await person.ask("query($id: ID!) { asset(id: $id) { id posterUrl } }", id=last["asset"]["id"])
    answer = await stage.web.get(asset["posterUrl"])
    assert answer.headers["content-type"] == "image/jpeg"
    poster = tmp_path / "poster.jpg"
    poster.write_bytes(answer.content)
    assert media.numbers(poster) == [18]
    await person.do("deleteAsset", "", id=asset["id"])
    async with stage.resources.work() as work:
        there = StoredObject.key.contains(f"/assets/{asset['id']}/") & StoredObject.doomed_at.is_(None)
        assert await work.session.scalar(select(func.count()).select_from(StoredObject).where(there)) == 0
