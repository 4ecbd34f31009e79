"""What a client does, from registration to a checked video, over the wire only."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import httpx

from reelgraph.demo import edit, footage, verify
from reelgraph.demo.client import Client, Json
from reelgraph.demo.display import Display, Stage
from reelgraph.demo.documents import CREATE_PROJECT, JOB, PROJECT_EVENTS, SET_TIMELINE, START_RENDER, VIEWER
from reelgraph.demo.failure import DemoFailed
from reelgraph.demo.footage import FOOTAGE, Footage
from reelgraph.demo.live import Live
from reelgraph.demo.sign_in import Person, register, sign_in
from reelgraph.demo.transfer import Uploads, download

PROJECT = "Demo reel"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A video that is right."""

    path: Path
    url: str
    """Where the server has it."""


async def tell(url: str, folder: Path, display: Display, person: Person) -> Finished:
    """Go through all of it against the server at this URL. Raises DemoFailed, and what the network and ffmpeg raise."""
    with display.stage("Register") as stage:
        await register(url, person)
        stage.tell(person.email)
    with display.stage("Sign in (OAuth, PKCE)") as stage:
        token = await sign_in(url, person)
        stage.tell("code exchanged for a token")
    # Straight to the server, whatever proxy the environment names: it runs on this machine.
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http,
        Live.connected(url, token) as live,
    ):
        client = Client(http, token)
        with display.stage("Create a project") as stage:
            name = (await client.ask(VIEWER))["viewer"]["name"]
            project_id: str = (await client.do(CREATE_PROJECT, name=PROJECT))["id"]
            stage.tell(f"“{PROJECT}” of {name}")
        sources = folder / "sources"
        with display.stage("Make clips, still, sound") as stage:
            await asyncio.to_thread(sources.mkdir, parents=True, exist_ok=True)
            await footage.make(sources, stage.tell)
            stage.tell(f"{len(FOOTAGE)} files")
        with display.stage("Upload (signed URLs)") as stage:
            assets = await _upload(client, http, project_id, sources, stage)
        with display.stage("Wait for examination") as stage:
            await _examined(live, project_id, assets, stage)
        with display.stage("Set the timeline") as stage:
            await client.do(SET_TIMELINE, projectId=project_id, timeline=edit.timeline(assets))
            stage.tell("cut, fades, titles, music")
        with display.stage("Render, watched live") as stage:
            video = (await _rendered(client, live, project_id, stage))["asset"]
        path = folder / "reelgraph-demo.mp4"
        with display.stage("Download (Range, ETag)") as stage:
            await download(http, video, path, stage.tell)
        with display.stage("Render again, changed") as stage:
            changed = edit.timeline(assets, edit.OTHER_WORDS)
            await client.do(SET_TIMELINE, projectId=project_id, timeline=changed)
            made = (await _rendered(client, live, project_id, stage))["verification"]
            stage.tell(f"{made['encoded']} of {made['spans']} spans encoded")
    with display.stage("Verify every frame") as stage:
        await asyncio.to_thread(verify.check, path, edit.EXPECTED)
        stage.tell(f"{edit.EXPECTED.frames} frames, {float(edit.EXPECTED.seconds):g} s, H.264, AAC")
    return Finished(path=path, url=video["downloadUrl"])


async def _upload(
    client: Client, http: httpx.AsyncClient, project_id: str, folder: Path, stage: Stage
) -> dict[Footage, str]:
    """All of it at once; return the asset each became."""
    size = sum((folder / each.name).stat().st_size for each in FOOTAGE)
    gone = 0

    def sent(count: int) -> None:
        nonlocal gone
        gone += count
        stage.tell(f"{gone / 1e6:.1f} of {size / 1e6:.1f} MB", gone / size)

    uploads = Uploads(client, http, project_id, sent)
    async with asyncio.TaskGroup() as sending:
        tasks = {each: sending.create_task(uploads.send(folder / each.name, each.content_type)) for each in FOOTAGE}
    stage.tell(f"{size / 1e6:.1f} MB in {uploads.parts} parts")
    return {each: task.result() for each, task in tasks.items()}


async def _examined(live: Live, project_id: str, assets: Mapping[Footage, str], stage: Stage) -> None:
    """Read the project's log from its first entry, so that nothing can be missed, until every asset is ready."""
    waiting = set(assets.values())
    async with aclosing(live.watch(PROJECT_EVENTS, projectId=project_id, after="0")) as events:
        async for event in events:
            match event["kind"]:
                case "ASSET_READY":
                    waiting.discard(event["subjectId"])
                    stage.tell(f"{len(assets) - len(waiting)} of {len(assets)} ready", 1 - len(waiting) / len(assets))
                case "ASSET_REJECTED":
                    raise DemoFailed(f"{event['subject']['name']} was rejected: {event['subject']['rejection']}")
                case "JOB_FAILED":
                    raise DemoFailed(f"the examination failed: {event['subject']['error']['message']}")
                case _:
                    pass
            if not waiting:
                return
    raise DemoFailed("the project's log ended before all assets were ready")


async def _rendered(client: Client, live: Live, project_id: str, stage: Stage) -> Json:
    """Start a render and follow the job to its end."""
    started = await client.do(START_RENDER, projectId=project_id, output={"preset": edit.PRESET})
    job: Json = {}
    frames, pace = 0, 0.0
    async with aclosing(live.watch(JOB, id=started["id"])) as states:
        async for job in states:
            progress: Json = job["progress"]
            frames, pace = progress["totalFrames"] or frames, progress["fps"] or pace
            stage.tell(_said(progress), progress["fraction"])
    if job.get("state") != "COMPLETED":
        error: Json = job.get("error") or {"message": "no reason given"}
        raise DemoFailed(f"the render ended as {job.get('state')}: {error['message']}")
    stage.tell(f"{frames} frames, {pace:.0f} fps")
    return job


def _said(progress: Json) -> str:
    """Stage, frames, pace and time to go, as far as they are known."""
    known = {
        "{frames}/{totalFrames} frames": progress["totalFrames"] is not None,
        "{fps:.0f} fps": bool(progress["fps"]),
        "{speed:.1f}x": bool(progress["speed"]),
        "{etaSeconds:.0f} s left": bool(progress["etaSeconds"]),
    }
    return ", ".join(["{stage}", *(words for words, is_known in known.items() if is_known)]).format(**progress)
