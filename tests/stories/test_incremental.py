"""A render pays for what changed, and for nothing else."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from domain.job import Job
from domain.kinds import JobKind
from domain.piece import Piece
from domain.stored import StoredObject
from tests import media
from tests.story import WATCH_JOB, Person, Stage, project_of, ready

CANVAS = {"width": 320, "height": 180, "frameRate": "25"}
OUTPUT = {"custom": {"codec": "H264", "width": 320, "height": 180}}
RENDERED = """query($id: ID!) { job(id: $id) { state error { code message } children { totalCount }
  verification { spans encoded measured { frames samples } planned { frames samples } } } }"""


def film(asset: str, *texts: str) -> dict[str, Any]:
    """Half a minute: five shots of six seconds, and a caption in the middle of each."""
    shots = [
        {"content": {"video": {"assetId": asset, "in": 5 * number, "out": 5 * number + 150}}} for number in range(5)
    ]
    captions = [
        {"content": {"text": {"text": text, "length": 50, "size": 20}}, "start": 150 * number + 40}
        for number, text in enumerate(texts)
    ]
    return {"canvas": CANVAS, "tracks": [{"clips": shots}, {"clips": captions}]}


async def rendered(person: Person, project: str, timeline: dict[str, Any]) -> Any:
    invalid = "... on TimelineInvalid { problems { path message } }"
    answer = await person.do("setTimeline", invalid, projectId=project, timeline=timeline)
    assert answer == {"__typename": "Project"}
    job = await person.do("startRender", "... on Job { id }", projectId=project, output=OUTPUT)
    async for _ in person.watch(WATCH_JOB, id=job["id"]):
        pass
    done = await person.ask(RENDERED, id=job["id"])
    assert (done["state"], done["error"]) == ("COMPLETED", None)
    assert done["verification"]["measured"] == done["verification"]["planned"]
    assert done["verification"]["measured"]["frames"] == 750
    return done["verification"]


async def test_only_the_spans_are_made_again_in_which_something_changed(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker(), asyncio.timeout(120):
        asset = await ready(person, project, media.counter(tmp_path / "a.mp4", frames=200), "video/mp4")
        texts = ("One", "Two", "Three", "Four", "Five")
        first = await rendered(person, project, film(asset, *texts))
        assert first["encoded"] == first["spans"] == 5
        again = await rendered(person, project, film(asset, *texts))
        assert (again["encoded"], again["spans"]) == (0, 5)
        captioned = await rendered(person, project, film(asset, "One", "Two", "3", "Four", "Five"))
        assert (captioned["encoded"], captioned["spans"]) == (1, 5)
        back = await rendered(person, project, film(asset, *texts))
        assert back["encoded"] == 0


async def test_sound_that_changes_leaves_the_picture_alone(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker(), asyncio.timeout(120):
        asset = await ready(person, project, media.counter(tmp_path / "a.mp4", frames=200), "video/mp4")
        tone = await ready(person, project, media.tone(tmp_path / "tone.wav", seconds=30), "audio/wav")
        edit = film(asset, "A")
        sound = {"assetId": tone, "out": 750}
        edit["tracks"].append({"clips": [{"content": {"audio": sound}}]})
        loud = await rendered(person, project, edit)
        sound["volume"] = 0.5
        soft = await rendered(person, project, edit)
    assert loud["measured"]["samples"] == soft["measured"]["samples"] == 1_440_000
    assert (loud["encoded"], soft["encoded"]) == (5, 0)


async def test_pieces_that_are_gone_from_storage_are_made_again(stage: Stage, tmp_path: Path) -> None:
    """A bucket was emptied by hand, or a backup is older than the database."""
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker(), asyncio.timeout(120):
        asset = await ready(person, project, media.counter(tmp_path / "a.mp4", frames=200), "video/mp4")
        await rendered(person, project, film(asset, "A"))
        async with stage.resources.work() as work:
            lost = select(StoredObject.key).join(Piece, Piece.object_id == StoredObject.id)
            keys = list(await work.session.scalars(lost.where(Piece.frames > 0, Piece.asset_id.is_(None)).limit(2)))
        for key in keys:
            await stage.resources.storage.delete(key)
        job = await person.do("startRender", "... on Job { id }", projectId=project, output=OUTPUT)
        async for _ in person.watch(WATCH_JOB, id=job["id"]):
            pass
        done = await person.ask(RENDERED, id=job["id"])
    assert done["state"] == "COMPLETED"
    assert done["verification"]["measured"]["frames"] == 750


async def test_work_for_many_is_shared_out_and_each_piece_is_made_once(stage: Stage, tmp_path: Path) -> None:
    """As if encoding were slow: what the project's pieces have cost says how much a stretch is."""
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker(), asyncio.timeout(120):
        asset = await ready(person, project, media.counter(tmp_path / "a.mp4", frames=200), "video/mp4")
        await rendered(person, project, film(asset, "A"))
        async with stage.resources.work() as work:
            await work.session.execute(update(Piece).where(Piece.frames > 0).values(cpu_seconds=10.0))
        shared = await rendered(person, project, film(asset, "B", "C", "D", "E", "F"))
        assert shared["encoded"] == 5
        async with stage.resources.work() as work:
            parts = select(func.count()).select_from(Job).where(Job.kind == JobKind.RENDER_PART)
            assert await work.session.scalar(parts) == 3  # two spans each, and the last one


async def test_another_projects_pieces_are_of_no_use(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    encoded: list[int] = []
    async with stage.worker(), asyncio.timeout(120):
        for _ in range(2):
            project = await project_of(person)
            asset = await ready(person, project, media.counter(tmp_path / "a.mp4", frames=200), "video/mp4")
            encoded.append((await rendered(person, project, film(asset, "A")))["encoded"])
    assert encoded == [5, 5]
