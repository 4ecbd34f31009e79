"""The pieces that renders keep: found by the thousand, kept once, removed when there are too many."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update

from domain.asset import Asset
from domain.job import Job, JobState, Terms
from domain.kinds import PrepareSpec, RenderPartSpec
from domain.order import Order
from domain.piece import TOUCH_AFTER, Pace, Piece, piece_place
from domain.project import Project
from domain.stored import StoredObject
from persistence import pieces
from persistence.resources import Resources

SHA256 = "0" * 64
DAY = timedelta(days=1)
_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
_MANY_OBJECTS = text(
    """
    INSERT INTO stored_objects (id, project_id, key, content_type, expires_at, size, sha256, stored_at)
    SELECT 'o' || n, :project, 'k' || n, 'video/mp4', now(), 100, '', now() FROM generate_series(0, 9999) AS n
    """
)
_MANY_PIECES = text(
    """
    INSERT INTO pieces (project_id, key, object_id, size, frames, cpu_seconds, used_at)
    SELECT :project, lpad(n::text, 64, '0'), 'o' || n, 100, 50, 1, now() - interval '1 hour'
    FROM generate_series(0, 9999) AS n
    """
)


async def _project(resources: Resources) -> str:
    async with resources.work() as work:
        project = Project(name="A project")
        work.add(project)
    return project.id


async def _stored(resources: Resources, project: str) -> StoredObject:
    """An object as it is announced before it is stored."""
    async with resources.work() as work:
        stored = StoredObject(
            project_id=project, key=piece_place(project), content_type="video/mp4", expires_at=await work.now() + DAY
        )
        work.add(stored)
    return stored


async def _asset(resources: Resources, project: str) -> str:
    stored = await _stored(resources, project)
    async with resources.work() as work:
        asset = Asset(
            project_id=project, object_id=stored.id, name="a.mp4", content_type="video/mp4", size=1, sha256=SHA256
        )
        work.add(asset)
    return asset.id


def _made(project: str, key: str, stored: StoredObject, **given: Any) -> Piece:
    values = {"size": 100, "frames": 50, "cpu_seconds": 2.0, "signature": "x264"} | given
    return Piece(project_id=project, key=key, object_id=stored.id, **values)


async def _kept(resources: Resources, project: str, key: str, *, used: timedelta = timedelta(), **given: Any) -> Piece:
    """A piece that was last used so long ago."""
    made = _made(project, key, await _stored(resources, project), **given)
    async with resources.work() as work:
        kept = await pieces.keep(work, made, sha256=SHA256)
    assert kept is not None
    async with resources.database.sessions() as session, session.begin():
        await session.execute(update(Piece).where(Piece.key == key).values(used_at=func.now() - used))
    return kept


async def _keys(resources: Resources) -> set[str]:
    async with resources.database.sessions() as session:
        return set(await session.scalars(select(Piece.key)))


async def _doomed(resources: Resources) -> set[str]:
    async with resources.database.sessions() as session:
        return set(await session.scalars(select(StoredObject.id).where(StoredObject.doomed_at.is_not(None))))


async def _make_room(resources: Resources, project: str, cap_bytes: int) -> int:
    async with resources.work() as work:
        return await pieces.make_room(work, project, cap_bytes)


async def test_a_piece_is_found_by_its_key_with_all_that_is_needed_to_fetch_it(resources: Resources) -> None:
    project, other = await _project(resources), await _project(resources)
    await _kept(resources, project, "a", facts={"samples": 48_000})
    await _kept(resources, other, "b")
    found = await pieces.cached(resources.database, project, ["a", "b", "a", "c"])
    assert set(found) == {"a"}
    piece = found["a"]
    assert (piece.size, piece.frames, piece.cpu_seconds, piece.facts) == (100, 50, 2.0, {"samples": 48_000})
    assert (piece.stored.size, piece.stored.sha256) == (100, SHA256)
    assert piece.stored.key.startswith(f"projects/{project}/pieces/")
    assert await pieces.cached(resources.database, project, []) == {}


async def test_keeping_a_piece_rings_nothing_but_the_object_it_stored(resources: Resources) -> None:
    project = await _project(resources)
    stored = await _stored(resources, project)
    async with resources.work() as work:
        await pieces.keep(work, _made(project, "a", stored), sha256=SHA256)
    assert work.rings == {stored.id}


async def test_of_two_that_made_the_same_piece_the_first_stays_and_the_others_object_goes(resources: Resources) -> None:
    project = await _project(resources)

    async def made() -> tuple[str, Piece | None]:
        stored = await _stored(resources, project)
        async with resources.work() as work:
            return stored.id, await pieces.keep(work, _made(project, "a", stored), sha256=SHA256)

    answers = await asyncio.gather(*(made() for _ in range(5)))
    (stays,) = {piece.object_id for _, piece in answers if piece}
    assert await _doomed(resources) == {object_id for object_id, _ in answers} - {stays}
    assert (await pieces.cached(resources.database, project, ["a"]))["a"].object_id == stays


async def test_a_piece_of_an_asset_stays_one_and_a_loose_one_becomes_one(resources: Resources) -> None:
    project = await _project(resources)
    asset = await _asset(resources, project)
    loose = await _kept(resources, project, "a")
    assert (await _kept(resources, project, "a", asset_id=asset)).object_id == loose.object_id
    assert (await _kept(resources, project, "a")).asset_id == asset


@pytest.mark.parametrize("gone", ["project", "asset", "object", "given up"])
async def test_a_piece_whose_project_or_asset_or_object_is_gone_is_not_kept(resources: Resources, gone: str) -> None:
    project = await _project(resources)
    asset, stored = await _asset(resources, project), await _stored(resources, project)
    made = _made(project, "a", stored, asset_id=asset)
    async with resources.work() as work:
        if gone == "project":
            await work.delete_project(await work.session.get_one(Project, project))
        elif gone == "asset":
            await work.delete_asset(await work.session.get_one(Asset, asset))
        elif gone == "object":
            await work.delete(await work.session.get_one(StoredObject, stored.id))
        else:
            await work.doom(stored.id)
    async with resources.work() as work:
        assert await pieces.keep(work, made, sha256=SHA256) is None
    assert await _keys(resources) == set()
    if gone != "object":
        assert stored.id in await _doomed(resources)


async def test_an_asset_of_another_project_owns_no_piece(resources: Resources) -> None:
    project, other = await _project(resources), await _project(resources)
    made = _made(project, "a", await _stored(resources, project), asset_id=await _asset(resources, other))
    async with resources.work() as work:
        assert await pieces.keep(work, made, sha256=SHA256) is None


async def test_use_is_noted_but_not_again_within_minutes(resources: Resources) -> None:
    project = await _project(resources)
    await _kept(resources, project, "fresh", used=TOUCH_AFTER / 2)
    await _kept(resources, project, "stale", used=TOUCH_AFTER * 2)
    await _kept(resources, project, "other", used=TOUCH_AFTER * 2)
    before = await pieces.cached(resources.database, project, ["fresh", "stale", "other"])
    found = await pieces.touched(resources.database, project, ["fresh", "stale", "gone"])
    assert set(found) == {"fresh", "stale"}
    after = await pieces.cached(resources.database, project, ["fresh", "stale", "other"])
    assert {key for key in after if after[key].used_at != before[key].used_at} == {"stale"}
    assert found["stale"].used_at == after["stale"].used_at


async def test_what_was_not_used_for_longest_goes_until_the_rest_is_under_the_cap(resources: Resources) -> None:
    project, other = await _project(resources), await _project(resources)
    asset = await _asset(resources, project)
    old = await _kept(resources, project, "old", used=3 * DAY)
    await _kept(resources, project, "asset's", used=4 * DAY, asset_id=asset)
    await _kept(resources, project, "newer", used=2 * DAY)
    await _kept(resources, project, "newest", used=DAY)
    await _kept(resources, other, "another's", used=9 * DAY)
    assert await _make_room(resources, project, 200) == 1
    assert await _keys(resources) == {"asset's", "newer", "newest", "another's"}
    assert await _doomed(resources) == {old.object_id}
    assert await _make_room(resources, project, 200) == 0
    assert await _make_room(resources, project, 0) == 2
    assert await _keys(resources) == {"asset's", "another's"}


async def test_what_was_used_just_now_or_since_a_render_began_stays(resources: Resources) -> None:
    project = await _project(resources)
    async with resources.work() as work:
        job = await work.place(Order(spec=RenderPartSpec(keys=[]), project_id=project, user_id=None))
        # It waits in line: it has looked at nothing yet.
    await _kept(resources, project, "before", used=3 * DAY)
    await _kept(resources, project, "since", used=DAY)
    await _kept(resources, project, "now")
    async with resources.work() as work:
        terms = Terms(lease=timedelta(seconds=10), attempt=DAY * 5, job=DAY * 5)
        found = await work.session.get_one(Job, job.id, with_for_update=True)
        found.claim("worker", await work.now() - 2 * DAY, terms)
    assert await _make_room(resources, project, 0) == 1
    assert await _keys(resources) == {"since", "now"}
    async with resources.work() as work:
        (await work.session.get_one(Job, job.id)).state = JobState.COMPLETED
    assert await _make_room(resources, project, 0) == 1
    assert await _keys(resources) == {"now"}


async def test_two_that_make_room_at_once_remove_no_more_than_one_would(resources: Resources) -> None:
    project = await _project(resources)
    for number in range(10):
        await _kept(resources, project, str(number), used=DAY * (number + 1))
    async with resources.work() as one, resources.work() as two:
        assert await pieces.make_room(one, project, 500) == 5
        assert await pieces.make_room(two, project, 500) == 0
    assert await _keys(resources) == {"0", "1", "2", "3", "4"}


async def test_making_room_waits_for_nobody_and_whoever_uses_a_piece_sees_it_go(resources: Resources) -> None:
    project = await _project(resources)
    await _kept(resources, project, "a", used=DAY)
    await _kept(resources, project, "b", used=2 * DAY)
    async with resources.database.sessions() as session, session.begin():
        await session.execute(select(Piece.key).where(Piece.key == "b").with_for_update())
        async with resources.work() as work:
            assert await pieces.make_room(work, project, 0) == 1  # and not "b", which somebody holds
            using = asyncio.ensure_future(pieces.touched(resources.database, project, ["a"]))
            async with resources.database.statements() as looking:
                while not await looking.scalar(_WAITING):
                    await asyncio.sleep(0)
    assert await using == {}


async def test_a_damaged_piece_is_forgotten_but_not_the_one_made_anew(resources: Resources) -> None:
    project = await _project(resources)
    damaged, other = await _kept(resources, project, "a"), await _kept(resources, project, "b")
    await pieces.forget(resources.database, [damaged])
    assert await _keys(resources) == {"b"}
    fresh = await _kept(resources, project, "a")
    await pieces.forget(resources.database, [damaged])
    assert await _keys(resources) == {"a", "b"}
    assert await _doomed(resources) == {damaged.object_id}
    assert damaged.object_id not in {fresh.object_id, other.object_id}
    await pieces.forget(resources.database, [])


async def test_pieces_go_with_their_asset_and_with_their_project(resources: Resources) -> None:
    project = await _project(resources)
    asset = await _asset(resources, project)
    pinned, loose = await _kept(resources, project, "a", asset_id=asset), await _kept(resources, project, "b")
    async with resources.work() as work:
        prepare = await work.place(
            Order(spec=PrepareSpec(asset_id=asset), project_id=project, user_id=None, asset_id=asset)
        )
    async with resources.work() as work:
        found = await work.locked(Asset, asset)
        assert found is not None
        assert await work.job_that_needs(found) is None
        await work.delete_asset(found)
    assert await _keys(resources) == {"b"}
    assert await _doomed(resources) == {pinned.object_id, found.object_id}
    (stopped,) = await resources.reads().by_ids(Job, [prepare.id])
    assert stopped is not None
    assert stopped.state == JobState.CANCELLED
    async with resources.work() as work:
        await work.delete_project(await work.session.get_one(Project, project))
    assert await _keys(resources) == set()
    assert await _doomed(resources) == {pinned.object_id, found.object_id, loose.object_id}


async def test_a_loose_piece_is_pinned_to_an_asset_that_is_there(resources: Resources) -> None:
    project, other = await _project(resources), await _project(resources)
    asset, foreign = await _asset(resources, project), await _asset(resources, other)
    loose, gone = await _kept(resources, project, "a"), await _kept(resources, project, "b")
    await pieces.forget(resources.database, [gone])
    for piece, to, pinned in ((loose, foreign, False), (gone, asset, False), (loose, asset, True)):
        async with resources.work() as work:
            assert await pieces.pin(work, piece, to) is pinned
    async with resources.work() as work:
        assert await pieces.pin(work, loose, await _asset(resources, project)) is True
    assert (await pieces.cached(resources.database, project, ["a"]))["a"].asset_id == asset  # whose it was it stays


async def test_pieces_pass_on_to_another_asset_of_the_same_bytes(resources: Resources) -> None:
    project, other = await _project(resources), await _project(resources)
    first, second = await _asset(resources, project), await _asset(resources, project)
    await _asset(resources, other)
    await _kept(resources, project, "a", asset_id=first)
    await _kept(resources, project, "b", asset_id=first)
    owners = {first: second, second: None}
    for asset, heir in owners.items():
        async with resources.work() as work:
            await work.delete_asset(await work.session.get_one(Asset, asset))
        there = await pieces.cached(resources.database, project, ["a", "b"])
        assert {key: piece.asset_id for key, piece in there.items()} == ({"a": heir, "b": heir} if heir else {})


async def test_two_assets_of_the_same_bytes_that_go_at_once_leave_no_piece(resources: Resources) -> None:
    project = await _project(resources)
    assets = [await _asset(resources, project) for _ in range(4)]
    for number, asset in enumerate(assets):
        await _kept(resources, project, str(number), asset_id=asset)

    async def delete(asset: str) -> None:
        async with resources.work() as work:
            found = await work.locked(Asset, asset)
            assert found is not None
            await work.delete_asset(found)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for asset in assets:
            group.create_task(delete(asset))
    assert await _keys(resources) == set()


@pytest.mark.parametrize("what", ["project", "asset"])
async def test_no_object_is_forgotten_when_pieces_arrive_while_their_owner_goes(
    resources: Resources, what: str
) -> None:
    project = await _project(resources)
    asset = await _asset(resources, project)

    async def keep(number: int) -> None:
        stored = await _stored(resources, project)
        made = _made(project, str(number), stored, asset_id=asset if what == "asset" or number % 2 else None)
        async with resources.work() as work:
            await pieces.keep(work, made, sha256=SHA256)

    async def delete() -> None:
        async with resources.work() as work:
            locked = await work.locked(Project, project)
            if what == "asset":
                await work.delete_asset(await work.session.get_one(Asset, asset))
            elif locked:
                await work.delete_project(locked)

    async with asyncio.TaskGroup() as group:
        for number in range(40):
            if number == 20:
                group.create_task(delete())
            group.create_task(keep(number))
    assert await _keys(resources) == set()
    async with resources.database.sessions() as session:
        left = select(func.count()).where(StoredObject.doomed_at.is_(None), StoredObject.stored_at.is_not(None))
        assert await session.scalar(left) == 0


async def test_everything_at_once_neither_fails_nor_waits_for_ever(resources: Resources) -> None:
    project = await _project(resources)
    keys = [str(number) for number in range(30)]

    async def worker(number: int) -> None:
        for turn in range(6):
            mine = keys[number::3] if turn % 2 else list(reversed(keys))
            for key in mine[:10]:
                await _kept(resources, project, key, used=DAY)
            there = await pieces.touched(resources.database, project, mine)
            await pieces.forget(resources.database, list(there.values())[::4])
            await _make_room(resources, project, 1000)

    await asyncio.wait_for(asyncio.gather(*(worker(number) for number in range(3))), 60)
    async with resources.database.sessions() as session:
        alive = await session.scalars(select(StoredObject.id).where(StoredObject.doomed_at.is_(None)))
        assert set(alive) == set(await session.scalars(select(Piece.object_id)))


async def test_the_pace_is_that_of_the_latest_pieces_of_the_same_signature(resources: Resources) -> None:
    project, other = await _project(resources), await _project(resources)
    await _kept(resources, project, "a", frames=100, cpu_seconds=3.0, size=5000)
    await _kept(resources, project, "b", frames=300, cpu_seconds=5.0, size=3000)
    await _kept(resources, project, "sound", frames=0, cpu_seconds=90.0, signature="x264")
    await _kept(resources, project, "else", frames=1, cpu_seconds=90.0, signature="x265")
    assert await pieces.pace(resources.database, project, "x264") == Pace(
        cpu_seconds_per_frame=0.02, bytes_per_frame=20.0
    )
    assert await pieces.pace(resources.database, project, "vp9") is None
    assert await pieces.pace(resources.database, other, "x264") is None


async def test_ten_thousand_pieces_are_one_query_and_are_removed_in_a_few_strokes(resources: Resources) -> None:
    project = await _project(resources)
    keys = [f"{number:064}" for number in range(10_000)]
    async with resources.database.sessions() as session, session.begin():
        await session.execute(_MANY_OBJECTS, {"project": project})
        await session.execute(_MANY_PIECES, {"project": project})
    statements: list[str] = []
    event.listen(resources.database.engine.sync_engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    started = time.process_time()
    assert len(await pieces.cached(resources.database, project, keys)) == 10_000
    assert len(statements) == 1
    assert len(await pieces.touched(resources.database, project, keys)) == 10_000
    assert len(statements) == 3
    assert await pieces.over_the_cap(resources.database, 999_999) == [project]
    assert await pieces.over_the_cap(resources.database, 1_000_000) == []
    async with resources.database.sessions() as session, session.begin():
        await session.execute(update(Piece).values(used_at=func.now() - DAY))
    assert [await _make_room(resources, project, 850_000) for _ in range(3)] == [1000, 500, 0]
    assert time.process_time() - started < 20
    assert len(await _doomed(resources)) == 1500
