"""From a file on somebody's disk to an asset that can be used, or to a clear no."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from domain.stored import StoredObject
from domain.upload import Upload
from tasks import sweep
from tests import media
from tests.s3 import on_every_storage
from tests.story import WATCH_JOB, Person, Stage, kept, project_of, uploaded

ASSET = """query($id: ID!) { asset(id: $id) { state rejection kind name size sha256 contentType downloadUrl facts {
  kind container videoCodec audioCodec width height rotation frameRate durationSeconds channels } } }"""
NEW = "... on Upload { id state expiresAt size partSize parts { number offset size url received } }"


async def _announced(person: Person, project: str, **changes: Any) -> dict[str, Any]:
    announced = {"projectId": project, "filename": "a.mp4", "size": 1000, "contentType": "video/mp4", **changes}
    return await person.do("createUpload", NEW, **announced)


async def _outcome(
    stage: Stage, person: Person, path: Path, content_type: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last state of the ingest job, and the asset."""
    asset = await uploaded(person, await project_of(person), path, content_type)
    async with stage.worker():
        *_, job = [each async for each in person.watch(WATCH_JOB, id=asset["job"]["id"])]
    return job, await person.ask(ASSET, id=asset["id"])


@on_every_storage
async def test_an_uploaded_video_becomes_an_asset_with_its_facts(stage: Stage, tmp_path: Path) -> None:
    clip = media.joined(
        tmp_path / "clip.mp4",
        media.plain(tmp_path / "silent.mp4", "red", frames=25),
        media.tone(tmp_path / "tone.wav", seconds=1),
        options=("-c:v", "copy", "-c:a", "aac"),
    )
    person = await stage.person()
    job, asset = await _outcome(stage, person, clip, "video/mp4")
    assert job["state"] == "COMPLETED"
    content = clip.read_bytes()
    duration = asset["facts"].pop("durationSeconds")
    assert 1.0 <= duration < 1.05
    url = asset.pop("downloadUrl")
    assert asset == {
        "state": "READY",
        "rejection": None,
        "kind": "VIDEO",
        "name": "clip.mp4",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "contentType": "video/mp4",
        "facts": {
            "kind": "VIDEO",
            "container": "mp4",
            "videoCodec": "h264",
            "audioCodec": "aac",
            "width": 320,
            "height": 180,
            "rotation": 0,
            "frameRate": "25",
            "channels": 2,
        },
    }
    part = await stage.web.get(url, headers={"Range": "bytes=10-19"})
    assert part.content == content[10:20]
    assert part.headers["content-disposition"].startswith('attachment; filename="clip.mp4"')


def _text(path: Path) -> Path:
    path.write_text("This is no film, whatever it is called.\n" * 20)
    return path


def _truncated(path: Path) -> Path:
    whole = media.plain(path.with_suffix(".whole.mp4"), "blue", frames=50)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def _picture(path: Path) -> Path:
    media.still(path.with_suffix(".png"), "green")
    path.with_suffix(".png").rename(path)
    return path


@pytest.mark.parametrize("make", [_text, _truncated, _picture], ids=["text", "truncated", "picture"])
async def test_a_file_that_is_not_the_video_it_claims_to_be_is_rejected_with_the_reason(
    stage: Stage, tmp_path: Path, make: Any
) -> None:
    job, asset = await _outcome(stage, await stage.person(), make(tmp_path / "film.mp4"), "video/mp4")
    assert (job["state"], job["error"]["code"]) == ("FAILED", "MEDIA_REJECTED")
    assert (asset["state"], asset["rejection"], asset["facts"]) == ("REJECTED", job["error"]["message"], None)


async def test_a_picture_with_too_many_pixels_is_rejected(stage: Stage, tmp_path: Path) -> None:
    large = media.still(tmp_path / "large.png", "white", size="8000x7000")
    job, asset = await _outcome(stage, await stage.person(), large, "image/png")
    assert (job["error"]["code"], asset["state"]) == ("MEDIA_REJECTED", "REJECTED")
    assert "pixels" in asset["rejection"]


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"size": 0}, "INVALID_INPUT", "size"),
        ({"size": -5}, "INVALID_INPUT", "size"),
        ({"size": 2**50}, "UPLOAD_TOO_LARGE", None),
        ({"filename": ""}, "INVALID_INPUT", "filename"),
        ({"filename": "../../etc/passwd"}, "INVALID_INPUT", "filename"),
        ({"filename": "x" * 10_000}, "INVALID_INPUT", "filename"),
        ({"contentType": "video"}, "INVALID_INPUT", "contentType"),
        ({"contentType": "text/html\r\nX: y"}, "INVALID_INPUT", "contentType"),
        ({"sha256": "abc"}, "INVALID_INPUT", "sha256"),
    ],
)
async def test_an_announcement_that_makes_no_sense_is_refused_and_nothing_is_kept(
    stage: Stage, changes: dict[str, Any], code: str, path: str | None
) -> None:
    person = await stage.person()
    announced = {"filename": "a.mp4", "size": 1000, "contentType": "video/mp4", **changes}
    answer = await person.do(
        "createUpload", "... on InvalidInput { path }", projectId=await project_of(person), **announced
    )
    assert (answer["code"], answer.get("path")) == (code, path)
    async with stage.resources.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(StoredObject)) == 0


@on_every_storage
async def test_a_wrong_checksum_is_refused_with_both_and_the_right_bytes_can_be_sent_again(stage: Stage) -> None:
    person = await stage.person()
    right, wrong = b"r" * 1000, b"w" * 1000
    expected, actual = (hashlib.sha256(each).hexdigest() for each in (right, wrong))
    project = await project_of(person)
    upload = await _announced(person, project, sha256=expected.upper())
    assert (await stage.web.put(upload["parts"][0]["url"], content=wrong)).status_code == 200
    refused = await person.do("completeUpload", "... on ChecksumMismatch { expected actual }", id=upload["id"])
    assert (refused["code"], refused["expected"], refused["actual"]) == ("CHECKSUM_MISMATCH", expected, actual)
    again = await person.ask(
        "query($id: ID!) { upload(id: $id) { state expiresAt parts { url received } } }", id=upload["id"]
    )
    assert (again["state"], again["expiresAt"]) == ("OPEN", upload["expiresAt"])
    (part,) = again["parts"]
    assert not part["received"]
    assert (await stage.web.put(part["url"], content=right)).status_code == 200
    asset = await person.do("completeUpload", "... on Asset { state sha256 downloadUrl }", id=upload["id"])
    assert (asset["state"], asset["sha256"]) == ("PROCESSING", expected)
    assert (await stage.web.get(asset["downloadUrl"])).content == right
    await sweep.heal(stage.resources)
    assert len(await kept(stage)) == 1


@on_every_storage
async def test_missing_parts_are_named_and_an_upload_is_resumed_from_what_has_arrived(
    environment: dict[str, str], stage: Stage
) -> None:
    del environment
    person = await stage.person()
    size = 2 * stage.resources.settings.upload_part_bytes + 5
    upload = await _announced(person, await project_of(person), size=size)
    assert [part["size"] for part in upload["parts"]] == [upload["partSize"], upload["partSize"], 5]
    assert (await stage.web.put(upload["parts"][2]["url"], content=b"12345")).status_code == 200
    refused = await person.do("completeUpload", "... on UploadIncomplete { missingParts }", id=upload["id"])
    assert (refused["code"], refused["missingParts"]) == ("UPLOAD_INCOMPLETE", [1, 2])
    resumed = await person.ask("query($id: ID!) { upload(id: $id) { state parts { received } } }", id=upload["id"])
    assert resumed == {"state": "OPEN", "parts": [{"received": False}, {"received": False}, {"received": True}]}


@on_every_storage
async def test_completing_twice_at_once_makes_one_asset_and_one_job(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    upload = await _announced(person, project)
    await stage.web.put(upload["parts"][0]["url"], content=b"x" * 1000)
    answers = await asyncio.gather(
        *(person.do("completeUpload", "... on Asset { id }", id=upload["id"]) for _ in range(3))
    )
    assert len({answer["id"] for answer in answers}) == 1
    assert (await person.ask("query($id: ID!) { jobs(projectId: $id) { totalCount } }", id=project))["totalCount"] == 1


@on_every_storage
async def test_an_aborted_upload_takes_nothing_more_and_leaves_nothing(stage: Stage) -> None:
    person = await stage.person()
    upload = await _announced(person, await project_of(person))
    url = upload["parts"][0]["url"]
    await stage.web.put(url, content=b"x" * 1000)
    assert (await person.do("abortUpload", "... on Upload { state }", id=upload["id"]))["state"] == "ABORTED"
    assert (await person.do("abortUpload", "... on Upload { state }", id=upload["id"]))["state"] == "ABORTED"
    refused = await person.do("completeUpload", "... on UploadClosed { state }", id=upload["id"])
    assert (refused["code"], refused["state"]) == ("UPLOAD_CLOSED", "ABORTED")
    await sweep.heal(stage.resources)
    assert (await stage.web.put(url, content=b"x" * 1000)).is_error
    assert await kept(stage) == []


@on_every_storage
async def test_an_upload_that_nobody_completes_expires_and_leaves_nothing(stage: Stage) -> None:
    person = await stage.person()
    upload = await _announced(person, await project_of(person))
    await stage.web.put(upload["parts"][0]["url"], content=b"x" * 1000)
    async with stage.resources.work() as work:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await work.session.execute(update(Upload).values(expires_at=past))
        await work.session.execute(update(StoredObject).values(expires_at=past))
    refused = await person.do("completeUpload", "... on UploadClosed { state }", id=upload["id"])
    assert (refused["code"], refused["state"]) == ("UPLOAD_CLOSED", "EXPIRED")
    await sweep.heal(stage.resources)
    assert (await person.ask("query($id: ID!) { upload(id: $id) { state } }", id=upload["id"]))["state"] == "EXPIRED"
    assert await kept(stage) == []


@on_every_storage
async def test_a_deleted_asset_takes_its_file_along_and_its_url_finds_nothing(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    _, asset = await _outcome(stage, person, media.still(tmp_path / "a.png", "red"), "image/png")
    project = (await person.ask("{ projects { nodes { assets { nodes { id } } } } }"))["nodes"][0]
    id = project["assets"]["nodes"][0]["id"]
    assert (await stage.web.get(asset["downloadUrl"])).status_code == 200
    assert (await person.do("deleteAsset", "", id=id))["__typename"] == "Deleted"
    await sweep.heal(stage.resources)
    assert (await stage.web.get(asset["downloadUrl"])).is_error
    assert await kept(stage) == []
    assert (await person.do("deleteAsset", "", id=id))["code"] == "NOT_FOUND"


async def test_an_asset_that_is_being_examined_cannot_be_deleted(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    asset = await uploaded(person, await project_of(person), media.still(tmp_path / "a.png", "red"), "image/png")
    refused = await person.do("deleteAsset", "... on AssetInUse { jobId }", id=asset["id"])
    assert (refused["code"], refused["jobId"]) == ("ASSET_IN_USE", asset["job"]["id"])


async def test_an_asset_shares_the_fate_of_its_cancelled_and_retried_examination(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    asset = await uploaded(person, await project_of(person), media.still(tmp_path / "a.png", "red"), "image/png")
    await person.do("cancelJob", "", id=asset["job"]["id"])
    assert (await person.ask(ASSET, id=asset["id"]))["state"] == "REJECTED"
    await person.do("retryJob", "", id=asset["job"]["id"])
    assert (await person.ask(ASSET, id=asset["id"]))["state"] == "PROCESSING"
    async with stage.worker():
        *_, job = [each async for each in person.watch(WATCH_JOB, id=asset["job"]["id"])]
    assert job["state"] == "COMPLETED"
    assert (await person.ask(ASSET, id=asset["id"]))["state"] == "READY"


@on_every_storage
async def test_deleting_a_project_removes_its_files_and_open_uploads(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    await uploaded(person, project, media.still(tmp_path / "a.png", "red"), "image/png")
    upload = await _announced(person, project)
    await stage.web.put(upload["parts"][0]["url"], content=b"x" * 1000)
    assert len(await kept(stage)) == 2
    assert (await person.do("deleteProject", "", id=project))["__typename"] == "Deleted"
    await sweep.heal(stage.resources)
    assert await kept(stage) == []
    async with stage.resources.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(StoredObject)) == 0


async def test_whoever_may_only_look_is_not_told_where_to_send_parts(stage: Stage) -> None:
    owner, viewer, reader = await stage.person(), await stage.person(), await stage.person(scopes=frozenset())
    project = await project_of(owner)
    await owner.do("addMember", "", projectId=project, email=viewer.email, role="VIEWER")
    await owner.do("addMember", "", projectId=project, email=reader.email, role="EDITOR")
    upload = await _announced(owner, project)
    for person in (viewer, reader):
        seen = await person.ask("query($id: ID!) { upload(id: $id) { parts { size url } } }", id=upload["id"])
        assert seen == {"parts": [{"size": 1000, "url": None}]}


async def test_an_object_that_will_not_go_keeps_no_other_from_going(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await stage.person()
    project = await project_of(person)
    stubborn, willing = [await _announced(person, project) for _ in range(2)]
    delete, tried = stage.resources.storage.delete, list[str]()

    async def stuck(key: str) -> None:
        tried.append(key)
        if len(tried) == 1:
            raise OSError("it is held")
        await delete(key)

    monkeypatch.setattr(stage.resources.storage, "delete", stuck)
    for upload in (stubborn, willing):
        await person.do("abortUpload", "", id=upload["id"])
    assert await sweep.doomed_objects(stage.resources) == 1
    assert await sweep.doomed_objects(stage.resources) == 1
    assert tried == [tried[0], tried[1], tried[0]]


async def test_an_upload_that_the_sweeper_gave_up_a_moment_ago_becomes_no_asset(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    upload = await _announced(person, project)
    await stage.web.put(upload["parts"][0]["url"], content=b"x" * 1000)
    async with stage.resources.work() as work:
        await work.session.execute(update(StoredObject).values(doomed_at=func.now()))
    refused = await person.do("completeUpload", "... on UploadClosed { state }", id=upload["id"])
    assert (refused["code"], refused["state"]) == ("UPLOAD_CLOSED", "EXPIRED")
    assert (await person.ask("query($id: ID!) { assets(projectId: $id) { totalCount } }", id=project))[
        "totalCount"
    ] == 0
