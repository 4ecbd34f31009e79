"""What a client program does in several steps."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from tests.wire import Caller, http

WATCH_JOB = """subscription($id: ID!) {
  job(id: $id) {
    state attempt failures error { code message } asset { id } progress { stage fraction frames totalFrames }
  }
}"""
WATCH_PROJECT = """subscription($id: ID!, $after: String) {
  projectEvents(projectId: $id, after: $after) { kind subjectId cursor }
}"""
UPLOAD = "... on Upload { id parts { number offset size url received } }"
ASSET = "query($id: ID!) { asset(id: $id) { state rejection size sha256 downloadUrl facts { frameCount } } }"


async def announce(person: Caller, project: str, path: Path, content_type: str, **more: Any) -> dict[str, Any]:
    """An upload that waits for its parts."""
    size = path.stat().st_size
    return await person.do(
        "createUpload", UPLOAD, projectId=project, filename=path.name, size=size, contentType=content_type, **more
    )


async def send(client: httpx.AsyncClient, part: dict[str, Any], file: bytes) -> httpx.Response:
    """PUT one part of the file."""
    return await client.put(part["url"], content=file[part["offset"] : part["offset"] + part["size"]])


async def upload(person: Caller, project: str, path: Path, content_type: str) -> str:
    """The id of an asset of this file, examined and ready."""
    announced = await announce(person, project, path, content_type)
    async with http() as client:
        for part in announced["parts"]:
            assert (await send(client, part, path.read_bytes())).status_code == httpx.codes.OK
    asset = await person.do("completeUpload", "... on Asset { id job { id } }", id=announced["id"])
    assert (await ended(person, asset["job"]["id"]))["state"] == "COMPLETED"
    return asset["id"]


async def ended(person: Caller, job: str) -> dict[str, Any]:
    """The job as it is when it has ended."""
    return [each async for each in person.watch(WATCH_JOB, id=job)][-1]


async def pause(person: Caller, project: str, seconds: float) -> str:
    """The id of a new job that only takes time."""
    return (await person.do("startPause", "... on Job { id }", projectId=project, seconds=seconds))["id"]


async def set_video(person: Caller, project: str, asset: str, *, frames: int, times: int) -> None:
    """A timeline of 1280 x 720 that shows the video's first frames, again and again: work for some seconds.

    Each time a trace brighter, or it would be the same piece, made once and shown again and again.
    """
    shot = {"video": {"assetId": asset, "out": frames}}
    clips = [{"content": shot, "effects": [{"color": {"brightness": each / 10_000}}]} for each in range(times)]
    canvas = {"width": 1280, "height": 720, "frameRate": "25"}
    answer = await person.do(
        "setTimeline",
        "... on Project { timelineVersion }",
        projectId=project,
        timeline={"canvas": canvas, "tracks": [{"clips": clips}]},
    )
    assert answer["timelineVersion"] == 1, answer


async def start_render(person: Caller, project: str) -> str:
    """The id of a new render."""
    answer = await person.do("startRender", "... on Job { id }", projectId=project, output={"preset": "H264_720P"})
    return answer["id"]


async def download(person: Caller, asset: str, path: Path) -> Path:
    """The asset's file."""
    found = await person.ask(ASSET, id=asset)
    async with http() as client:
        answer = await client.get(found["downloadUrl"])
    assert answer.status_code == httpx.codes.OK
    path.write_bytes(answer.content)
    return path


async def encoding(person: Caller, job: str) -> dict[str, Any]:
    """The render as it is once its ffmpeg has made some frames and has many to go."""
    async with aclosing(person.watch(WATCH_JOB, id=job)) as watching:
        async for seen in watching:
            done, total = seen["progress"]["frames"], seen["progress"]["totalFrames"]
            if done:
                assert done < total / 2, "the render is too short for this story"
                return seen
    raise AssertionError("the render ended")
