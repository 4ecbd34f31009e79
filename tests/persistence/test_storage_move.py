"""A deployment's media go from disk to S3, and back."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from domain.asset import Asset
from domain.stored import StoredObject
from persistence.resources import Resources, opened, storage_opened
from persistence.settings import Settings
from persistence.storage import Storage, StorageUnavailableError, StoredFile
from persistence.storage.move import Move, Outcome, journal_of
from tests.s3 import S3Server


class Media:
    """A deployment whose media are on disk, and the bucket they are to go to."""

    def __init__(self, resources: Resources, bucket: Storage, settings: Settings, folder: Path) -> None:
        self.resources, self.disk, self.bucket = resources, resources.storage, bucket
        self.settings, self.folder = settings, folder
        self.told: list[tuple[int, int]] = []

    async def keep(self, name: str, content: bytes) -> StoredObject:
        """An object in the ledger and on the disk."""
        path = self.folder / name
        path.write_bytes(content)
        now = datetime.now(UTC)
        row = StoredObject(project_id="p", key=f"projects/p/{name}", content_type="video/mp4", expires_at=now)
        file = await self.disk.put(path, row.key, content_type="video/mp4")
        row.keep(size=file.size, sha256=file.sha256, now=now)
        async with self.resources.work() as work:
            work.add(row)
        return row

    async def move(self, to: str = "s3", **changes: Any) -> Outcome:
        source, target = (self.disk, self.bucket) if to == "s3" else (self.bucket, self.disk)
        stores = {"source": source, "target": target, **changes}
        return await Move(
            self.resources.database,
            journal=journal_of(self.settings, to),
            scratch=self.settings.scratch_path,
            tell=lambda done, total: self.told.append((done, total)),
            **stores,
        ).run()


@pytest.fixture
async def media(environment: dict[str, str], moto: S3Server, tmp_path: Path) -> AsyncGenerator[Media]:
    settings = Settings.read(environment | moto.environment() | {"STORAGE": "disk"})
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(opened(settings))
        bucket = await stack.enter_async_context(storage_opened(replace(settings, storage="s3")))
        yield Media(resources, bucket, settings, tmp_path)


def stored(content: bytes) -> StoredFile:
    return StoredFile(size=len(content), sha256=hashlib.sha256(content).hexdigest())


pytestmark = pytest.mark.xdist_group("s3")


async def test_all_media_are_carried_and_read_back_and_nothing_is_removed(media: Media) -> None:
    rows = {
        row.key: content
        for content in (b"one", b"two", b"")
        for row in [await media.keep(f"a{content!r}"[3:-1] or "e", content)]
    }
    assert await media.move() == Outcome(carried=3, carried_bytes=6)
    for key, content in rows.items():
        assert await media.bucket.read_through(key) == stored(content)
        assert await media.disk.read_through(key) == stored(content)
    assert media.told[-1] == (6, 6)
    assert list(media.settings.scratch_path.glob("move-*")) == []
    assert await media.move(to="disk") == Outcome(already_there=3)


async def test_a_second_run_carries_only_what_is_new_and_reads_nothing_twice(media: Media) -> None:
    await media.keep("a", b"one")
    assert (await media.move()).carried == 1
    await media.keep("b", b"two")
    read: list[str] = []

    class Watched:
        async def read_through(self, key: str) -> StoredFile:
            read.append(key)
            return await media.bucket.read_through(key)

        def __getattr__(self, name: str) -> Any:
            return getattr(media.bucket, name)

    assert await media.move(target=Watched()) == Outcome(carried=1, carried_bytes=3, already_there=1)
    assert read == ["projects/p/b"]


async def test_what_was_stored_during_the_first_pass_is_caught_up_with(media: Media) -> None:
    await media.keep("a", b"one")

    class Slow:
        async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
            if key.endswith("/a"):
                await media.keep("b", b"two")
            await media.disk.fetch(key, path)

        def __getattr__(self, name: str) -> Any:
            return getattr(media.disk, name)

    assert (await media.move(source=Slow())).carried == 2
    assert await media.bucket.size("projects/p/b") == 3


async def test_a_copy_that_was_lost_or_changed_since_is_made_again(media: Media) -> None:
    await media.keep("a", b"one")
    await media.keep("b", b"two")
    await media.move()
    await media.bucket.delete("projects/p/a")
    assert await media.move() == Outcome(carried=1, carried_bytes=3, already_there=1)
    # Without its journal a run reads what it finds, and believes no size.
    journal_of(media.settings, "s3").unlink()
    (media.folder / "x").write_bytes(b"owt")
    await media.bucket.put(media.folder / "x", "projects/p/b", content_type="video/mp4")
    assert await media.move() == Outcome(carried=1, carried_bytes=3, already_there=1)
    assert await media.bucket.read_through("projects/p/b") == stored(b"two")


async def test_damaged_and_missing_originals_are_named_and_the_rest_is_carried(media: Media) -> None:
    await media.keep("good", b"one")
    await media.keep("damaged", b"two")
    await media.keep("missing", b"three")
    await media.disk.delete("projects/p/missing")
    original = media.settings.storage_path / "objects/projects/p/damaged"
    original.write_bytes(b"owt")
    outcome = await media.move()
    assert outcome.carried == 1
    assert sorted(problem.split(":")[0] for problem in outcome.problems) == [
        "projects/p/damaged",
        "projects/p/missing",
    ]
    assert await media.bucket.size("projects/p/damaged") is None


async def test_what_is_deleted_meanwhile_is_no_problem_and_its_copy_goes(media: Media) -> None:
    kept, doomed = await media.keep("a", b"one"), await media.keep("b", b"two")
    assert (await media.move()).carried == 2
    async with media.resources.work() as work:
        await work.doom(doomed.id)
    assert await media.move() == Outcome(already_there=1, removed=1)
    assert await media.bucket.size(doomed.key) is None
    assert await media.bucket.size(kept.key) == 3
    assert await media.disk.size(doomed.key) == 3  # the sweeper's business, not ours
    assert await media.move() == Outcome(already_there=1)


async def test_a_store_that_goes_away_stops_the_move_and_it_goes_on_later(media: Media) -> None:
    await media.keep("a", b"one")
    async with storage_opened(replace(media.settings, storage="s3", s3_endpoint_url="http://127.0.0.1:1")) as away:
        with pytest.raises(StorageUnavailableError):
            await media.move(target=away)
    assert await media.move() == Outcome(carried=1, carried_bytes=3)


async def test_a_ledger_of_many_pages_is_carried_whole(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persistence.storage.move._PAGE", 3)
    for number in range(7):
        await media.keep(f"n{number}", b"x" * number)
    assert await media.move() == Outcome(carried=7, carried_bytes=21)
    async with media.resources.database.sessions() as session:
        assert (await session.scalars(select(Asset))).all() == []
