"""What the sweeper removes of what nobody needs, and what it leaves alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Float, cast, func, select, update

from domain.asset import Asset
from domain.event import ProjectEvent
from domain.job import Job, JobState
from domain.kinds import PauseSpec, Pool, PreviewSpec
from domain.order import Order
from domain.piece import Piece, piece_place
from domain.project import Project
from domain.stored import StoredObject
from domain.upload import Upload
from persistence import pieces
from persistence.resources import Resources
from persistence.tables import owners_of_objects
from tasks import sweep

DAY = timedelta(days=1)
PREVIEW = PreviewSpec(timeline={}, first=0, count=1, width=320, format="JPEG")


async def _project(resources: Resources) -> str:
    async with resources.work() as work:
        project = Project(name="A project")
        work.add(project)
    return project.id


async def _stored(resources: Resources, project: str, *, ago: timedelta = 2 * DAY) -> str:
    """An object that was stored so long ago."""
    async with resources.work() as work:
        now = await work.now()
        stored = StoredObject(
            project_id=project, key=piece_place(project), content_type="video/mp4", expires_at=now + DAY
        )
        stored.keep(size=100, sha256="0" * 64, now=now - ago)
        work.add(stored)
    return stored.id


async def _piece(resources: Resources, project: str, key: str, *, used: timedelta = DAY) -> Piece:
    object_id = await _stored(resources, project)
    made = Piece(project_id=project, key=key, object_id=object_id, size=100, frames=1, cpu_seconds=1.0)
    async with resources.work() as work:
        kept = await pieces.keep(work, made, sha256="0" * 64)
        await work.session.execute(update(Piece).where(Piece.key == key).values(used_at=func.now() - used))
    assert kept is not None
    return kept


async def _doomed(resources: Resources) -> set[str]:
    async with resources.database.sessions() as session:
        return set(await session.scalars(select(StoredObject.id).where(StoredObject.doomed_at.is_not(None))))


async def test_projects_over_the_cap_lose_what_they_used_least_and_the_files_go_too(resources: Resources) -> None:
    full, small = await _project(resources), await _project(resources)
    old = await _piece(resources, full, "old", used=3 * DAY)
    await _piece(resources, full, "new", used=DAY)
    await _piece(resources, small, "older than all", used=9 * DAY)
    file = resources.settings.scratch_path.parent / "piece"
    file.write_bytes(b"x" * 100)
    await resources.storage.put(file, old.stored.key, content_type="video/mp4")
    capped = replace(resources, settings=replace(resources.settings, render_cache_bytes=100))
    await sweep.full_caches(capped)
    assert set(await pieces.cached(resources.database, full, ["old", "new"])) == {"new"}
    assert len(await pieces.cached(resources.database, small, ["older than all"])) == 1
    assert await sweep.doomed_objects(resources) == 1
    assert await resources.storage.size(old.stored.key) is None
    (gone,) = await resources.reads().by_ids(StoredObject, [old.object_id])
    assert gone is None


async def test_a_cap_of_nothing_still_leaves_what_was_just_made(resources: Resources) -> None:
    project = await _project(resources)
    await _piece(resources, project, "used", used=DAY)
    await _piece(resources, project, "fresh", used=timedelta())
    capped = replace(resources, settings=replace(resources.settings, render_cache_bytes=0))
    await sweep.full_caches(capped)
    assert set(await pieces.cached(resources.database, project, ["used", "fresh"])) == {"fresh"}


async def test_an_object_that_is_nobodys_goes_after_a_day_and_no_other_does(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    project = await _project(resources)
    orphan, fresh, of_asset, of_upload = [
        await _stored(resources, project, ago=ago) for ago in (2 * DAY, DAY / 2, 2 * DAY, 2 * DAY)
    ]
    await _piece(resources, project, "a")
    async with resources.work() as work:
        asset = Asset(project_id=project, object_id=of_asset, name="a", content_type="a/b", size=1, sha256="")
        upload = Upload(
            project_id=project,
            object_id=of_upload,
            filename="a",
            content_type="a/b",
            size=1,
            part_size=1,
            expires_at=await work.now(),
        )
        work.add(asset, upload)
    assert await sweep.orphaned_objects(resources) == 1
    assert await _doomed(resources) == {orphan}
    assert fresh not in await _doomed(resources)
    assert "nothing refers to it" in caplog.text


def test_every_table_that_may_own_an_object_is_known() -> None:
    assert {str(column) for column in owners_of_objects()} == {
        "assets.object_id",
        "assets.poster_id",
        "pieces.object_id",
        "uploads.object_id",
    }


async def test_previews_are_forgotten_when_they_have_ended_a_while_ago_but_their_turns_count_on(
    resources: Resources,
) -> None:
    project = await _project(resources)
    spec = PauseSpec(seconds=1, slots=Pool.RENDER.value)
    jobs: dict[str, str] = {}
    async with resources.work() as work:
        for name, asked in {"old": PREVIEW, "fresh": PREVIEW, "last": PREVIEW, "waits": PREVIEW, "pause": spec}.items():
            jobs[name] = (await work.place(Order(spec=asked, project_id=project, user_id=None))).id
    async with resources.database.sessions() as session, session.begin():
        for turn, (name, hours) in enumerate({"old": 2, "fresh": 0.5, "last": 2, "pause": 2}.items(), 1):
            ended = {"state": JobState.COMPLETED, "in_line": False, "attempt": 1, "turn": turn}
            past = {"ended_at": func.now() - cast(hours, Float) * timedelta(hours=1)}
            await session.execute(update(Job).where(Job.id == jobs[name]).values(ended | past))
    assert await sweep.old_previews(resources) == 1
    async with resources.database.sessions() as session:
        left = set(await session.scalars(select(Job.id)))
    assert left == {jobs[name] for name in ("fresh", "last", "waits", "pause")}


async def test_previews_are_not_told_of_in_the_projects_log(resources: Resources) -> None:
    project = await _project(resources)
    async with resources.work() as work:
        job = await work.place(Order(spec=PREVIEW, project_id=project, user_id=None))
    async with resources.work() as work:
        (await work.session.get_one(Job, job.id, with_for_update=True)).cancel(await work.now())
    assert job.id in work.rings
    async with resources.database.sessions() as session:
        assert (await session.scalars(select(ProjectEvent.kind))).all() == []
