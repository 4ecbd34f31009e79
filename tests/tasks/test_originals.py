"""Originals lie at hand for the jobs of a machine: fetched once, whole or not at all, and never too many."""

import asyncio
import dataclasses
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from domain.entity import new_id
from persistence.resources import Resources
from persistence.settings import Settings
from persistence.storage import StorageFullError
from tasks.lease import JobFailed
from tasks.originals import NOTED_FROM, VERIFIED_FOR, NotBrought, StoredRef, borrowed, brought, unused_originals
from tests.s3 import on_every_storage, on_s3

MIB = 2**20


class Counted:
    """A storage that counts what is fetched from it, and lets a test stand in the middle of it."""

    def __init__(self, storage: object) -> None:
        self._storage = storage
        self.fetched: list[str] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        self.fetched.append(key)
        self.begun.set()
        await self.go_on.wait()
        await self._storage.fetch(key, path, sha256=sha256)


@pytest.fixture
def counted(resources: Resources) -> Resources:
    return dataclasses.replace(resources, storage=Counted(resources.storage))


def capped(resources: Resources, most: int) -> Resources:
    return dataclasses.replace(resources, settings=dataclasses.replace(resources.settings, originals_cache_bytes=most))


async def stored(resources: Resources, tmp_path: Path, content: bytes) -> StoredRef:
    path = tmp_path / new_id()
    path.write_bytes(content)
    key = f"projects/a/assets/{new_id()}/original"
    file = await resources.storage.put(path, key, content_type="video/mp4")
    path.unlink()
    return StoredRef(key=key, sha256=file.sha256, size=file.size)


def wanted(tmp_path: Path, *refs: StoredRef) -> Mapping[Path, StoredRef]:
    """Places for them in a new job's folder."""
    folder = tmp_path / "jobs" / new_id()
    return {folder / "in" / ref.sha256: ref for ref in refs}


def kept(settings: Settings) -> list[str]:
    """All that lies in the cache."""
    folder = settings.scratch_path / "originals"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "parts")


@on_every_storage
async def test_originals_lie_in_the_jobs_folder_as_long_as_they_are_borrowed(
    counted: Resources, tmp_path: Path
) -> None:
    a, b = await stored(counted, tmp_path, b"a" * 1000), await stored(counted, tmp_path, b"b" * 2000)
    places = wanted(tmp_path, a, b)
    async with borrowed(counted, places):
        assert [path.read_bytes() for path in places] == [b"a" * 1000, b"b" * 2000]
        assert all(path.stat().st_nlink == 2 for path in places)  # a link, not a copy
    assert not any(path.exists() for path in places)


async def test_on_a_local_disk_nothing_is_kept(counted: Resources, tmp_path: Path) -> None:
    async with borrowed(counted, wanted(tmp_path, await stored(counted, tmp_path, b"a"))):
        assert not (counted.settings.scratch_path / "originals").exists()


@on_s3
async def test_who_asks_again_gets_what_is_here(counted: Resources, tmp_path: Path) -> None:
    ref = await stored(counted, tmp_path, b"a" * MIB)
    for _ in range(3):
        async with borrowed(counted, wanted(tmp_path, ref)):
            pass
    assert counted.storage.fetched == [ref.key]
    assert kept(counted.settings) == [ref.sha256]


@on_s3
async def test_who_ask_at_once_wait_for_one_download(counted: Resources, tmp_path: Path) -> None:
    ref = await stored(counted, tmp_path, b"a" * MIB)
    counted.storage.go_on.clear()
    places = [wanted(tmp_path, ref) for _ in range(5)]
    asking = [asyncio.create_task(brought(counted, each)) for each in places]
    await counted.storage.begun.wait()
    counted.storage.go_on.set()
    await asyncio.gather(*asking)
    assert counted.storage.fetched == [ref.key]
    assert [path.read_bytes() for each in places for path in each] == [b"a" * MIB] * 5


@on_s3
async def test_when_the_one_who_downloads_gives_up_another_does_it(counted: Resources, tmp_path: Path) -> None:
    ref = await stored(counted, tmp_path, b"a" * MIB)
    counted.storage.go_on.clear()
    first = asyncio.create_task(brought(counted, wanted(tmp_path, ref)))
    await counted.storage.begun.wait()
    places = wanted(tmp_path, ref)
    second = asyncio.create_task(brought(counted, places))
    first.cancel()
    await asyncio.wait({first})
    counted.storage.go_on.set()
    await second
    assert counted.storage.fetched == [ref.key] * 2
    assert [path.read_bytes() for path in places] == [b"a" * MIB]
    assert kept(counted.settings) == [ref.sha256]


PROCESS = """
import asyncio, os, sys
from pathlib import Path
from persistence.resources import storage_opened
from persistence.settings import Settings
from tasks.originals import Originals, StoredRef

async def main():
    settings = Settings.read(os.environ)
    key, sha256, size, path = sys.argv[1:]
    async with storage_opened(settings) as storage:
        fetch = storage.fetch
        async def told(*args, **options):
            print("fetching", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await fetch(*args, **options)
            print("fetched", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        storage.fetch = told
        await Originals(settings).bring(storage, StoredRef(key=key, sha256=sha256, size=int(size)), Path(path))

asyncio.run(main())
"""


def process(environment: Mapping[str, str], ref: StoredRef, path: Path) -> "subprocess.Popen[str]":
    """Another worker of this machine that wants it. It stops before the download and after, until a line comes."""
    argv = [sys.executable, "-c", PROCESS, ref.key, ref.sha256, str(ref.size), str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(argv, env={**os.environ, **environment}, text=True, **pipes)


@on_s3
async def test_processes_wait_for_one_download_too(
    environment: dict[str, str], counted: Resources, tmp_path: Path
) -> None:
    ref = await stored(counted, tmp_path, b"a" * MIB)
    with process(environment, ref, tmp_path / "theirs") as other:
        assert await asyncio.to_thread(other.stdout.readline) == "fetching\n"
        places = wanted(tmp_path, ref)
        ours = asyncio.create_task(brought(counted, places))
        await asyncio.to_thread(other.communicate, "\n\n")
        await ours
    assert counted.storage.fetched == []
    assert [path.read_bytes() for path in places] == [b"a" * MIB]
    assert (tmp_path / "theirs").read_bytes() == b"a" * MIB


@on_s3
@pytest.mark.parametrize("moment", ["fetching", "fetched"])
async def test_a_crash_in_the_middle_costs_one_download_and_leaves_nothing(
    environment: dict[str, str], counted: Resources, tmp_path: Path, moment: str
) -> None:
    refs = [await stored(counted, tmp_path, each * MIB) for each in (b"a", b"b")]
    crashing = [process(environment, each, tmp_path / "theirs") for each in refs]
    for each in crashing:
        assert await asyncio.to_thread(each.stdout.readline) == "fetching\n"
        if moment == "fetched":
            each.stdin.write("\n")
            each.stdin.flush()
            assert await asyncio.to_thread(each.stdout.readline) == "fetched\n"
    for each in crashing:
        each.kill()
        each.communicate()
    left = [f"parts/{each.sha256}{part}" for each in refs for part in ("", "/whole")[: 1 + (moment == "fetched")]]
    assert kept(counted.settings) == sorted(left)
    ref = refs[0]
    places = wanted(tmp_path, ref)
    async with borrowed(counted, places):
        assert [path.read_bytes() for path in places] == [b"a" * MIB]
    assert kept(counted.settings) == [ref.sha256]


@on_s3
async def test_above_the_cap_what_was_used_least_recently_goes_first(counted: Resources, tmp_path: Path) -> None:
    resources = capped(counted, 3000)
    a, b, c, d = [await stored(resources, tmp_path, each * 1000) for each in (b"a", b"b", b"c", b"d")]
    for ref in (a, b, c, a, d):
        async with borrowed(resources, wanted(tmp_path, ref)):
            pass
    assert kept(resources.settings) == sorted(each.sha256 for each in (c, a, d))


@on_s3
async def test_what_a_job_uses_stays_however_small_the_cap_is(counted: Resources, tmp_path: Path) -> None:
    resources = capped(counted, 1500)
    a, b, c = [await stored(resources, tmp_path, each * 1000) for each in (b"a", b"b", b"c")]
    async with borrowed(resources, places := wanted(tmp_path, a)):
        async with borrowed(resources, wanted(tmp_path, b, c)):
            assert len(kept(resources.settings)) == 3
        assert kept(resources.settings) == [a.sha256]
        async with borrowed(resources, wanted(tmp_path, a)):
            pass
        assert [path.read_bytes() for path in places] == [b"a" * 1000]
    assert counted.storage.fetched.count(a.key) == 1


@on_s3
async def test_a_cap_of_zero_keeps_nothing_beyond_its_use(counted: Resources, tmp_path: Path) -> None:
    resources = capped(counted, 0)
    ref = await stored(resources, tmp_path, b"a" * 1000)
    async with borrowed(resources, wanted(tmp_path, ref)):
        assert kept(resources.settings) == [ref.sha256]
    assert kept(resources.settings) == []


@on_s3
async def test_the_sweep_removes_what_a_job_left_when_it_ended(counted: Resources, tmp_path: Path) -> None:
    resources = capped(counted, 0)
    ref = await stored(resources, tmp_path, b"a" * 1000)
    await brought(resources, places := wanted(tmp_path, ref))
    assert (await unused_originals(resources), kept(resources.settings)) == (0, [ref.sha256])
    for path in places:
        path.unlink()
    assert (await unused_originals(resources), kept(resources.settings)) == (1, [])


@on_s3
async def test_what_came_damaged_is_a_failure_and_not_kept(counted: Resources, tmp_path: Path) -> None:
    ref = await stored(counted, tmp_path, b"a" * 1000)
    other = dataclasses.replace(ref, sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(JobFailed) as caught:
        await brought(counted, places := wanted(tmp_path, other))
    assert (caught.value.failure.code, caught.value.failure.hopeless) == ("INPUT_DAMAGED", False)
    assert (kept(counted.settings), any(path.exists() for path in places)) == ([], False)


def _damage(path: Path) -> None:
    """A byte is another, and nothing else of the file."""
    status = path.stat()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(500)
        file.write(b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("harm", [lambda path: os.truncate(path, 500), _damage])
async def test_a_damaged_file_of_the_local_disk_is_a_failure_too(
    counted: Resources, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    ref = await stored(counted, tmp_path, b"a" * 1000)
    async with borrowed(counted, wanted(tmp_path, ref)):
        pass
    harm(counted.settings.storage_path / "objects" / ref.key)
    with pytest.raises(NotBrought) as caught:
        await brought(counted, places := wanted(tmp_path, ref))
    assert (caught.value.failure.code, caught.value.failure.hopeless) == ("INPUT_DAMAGED", False)
    assert caught.value.ref == ref
    assert not any(path.exists() for path in places)


async def test_a_large_file_is_read_through_once_a_day_and_when_it_was_written_to(
    counted: Resources, tmp_path: Path
) -> None:
    ref = await stored(counted, tmp_path, b"a" * NOTED_FROM)
    file = counted.settings.storage_path / "objects" / ref.key
    note = counted.settings.scratch_path / "verified" / ref.sha256
    async with borrowed(counted, wanted(tmp_path, ref)):
        assert note.exists()
    _damage(file)
    async with borrowed(counted, wanted(tmp_path, ref)):
        pass  # nobody looked
    before = note.stat().st_mtime - VERIFIED_FOR
    os.utime(note, (before, before))
    with pytest.raises(NotBrought, match="is not what was stored"):
        await brought(counted, wanted(tmp_path, ref))
    await unused_originals(counted)
    assert not note.exists()
    note.write_text("of another file")
    with pytest.raises(NotBrought, match="is not what was stored"):
        await brought(counted, wanted(tmp_path, ref))


@on_every_storage
async def test_what_is_not_there_is_a_failure_for_good(counted: Resources, tmp_path: Path) -> None:
    ref = await stored(counted, tmp_path, b"a" * 1000)
    await counted.storage.delete(ref.key)
    with pytest.raises(JobFailed) as caught:
        await brought(counted, places := wanted(tmp_path, ref))
    assert (caught.value.failure.code, caught.value.failure.hopeless) == ("INPUT_GONE", True)
    assert not any(path.exists() for path in places)


@on_s3
async def test_a_file_that_lost_its_end_on_disk_is_fetched_again(counted: Resources, tmp_path: Path) -> None:
    ref = await stored(counted, tmp_path, b"a" * 1000)
    async with borrowed(counted, wanted(tmp_path, ref)):
        pass
    os.truncate(counted.settings.scratch_path / "originals" / ref.sha256, 500)
    async with borrowed(counted, places := wanted(tmp_path, ref)):
        assert [path.read_bytes() for path in places] == [b"a" * 1000]
    assert len(counted.storage.fetched) == 2


class Full(Counted):
    """A disk that has no room as long as anything is kept on it, or at all."""

    def __init__(self, storage: object, folder: Path, *, always: bool) -> None:
        super().__init__(storage)
        self.folder, self.always = folder, always

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        if self.always or [each for each in self.folder.iterdir() if each.is_file() and each.stat().st_nlink == 1]:
            raise StorageFullError("the disk is full")
        await super().fetch(key, path, sha256=sha256)


@on_s3
async def test_on_a_full_disk_what_nobody_uses_gives_way_and_else_it_is_a_clear_failure(
    resources: Resources, tmp_path: Path
) -> None:
    folder = resources.settings.scratch_path / "originals"
    a, b, c = [await stored(resources, tmp_path, each * 1000) for each in (b"a", b"b", b"c")]
    async with borrowed(resources, wanted(tmp_path, a)):
        await brought(resources, used := wanted(tmp_path, b))
    full = dataclasses.replace(resources, storage=Full(resources.storage, folder, always=False))
    async with borrowed(full, wanted(tmp_path, c)):
        assert kept(resources.settings) == sorted([b.sha256, c.sha256])
    fuller = dataclasses.replace(resources, storage=Full(resources.storage, folder, always=True))
    with pytest.raises(JobFailed, match=r"no room for projects/a/assets/\w+/original: the disk is full\.") as caught:
        await brought(fuller, wanted(tmp_path, a))
    assert caught.value.failure.code == "STORAGE_FULL"
    assert kept(resources.settings) == [b.sha256]
    assert [path.read_bytes() for path in used] == [b"b" * 1000]


@on_s3
async def test_a_store_that_is_away_is_a_failure_that_may_pass(settings: Settings, tmp_path: Path) -> None:
    from persistence.resources import opened

    nowhere = dataclasses.replace(settings, s3_endpoint_url="http://127.0.0.1:9")
    async with opened(nowhere) as resources:
        ref = StoredRef(key="projects/a/assets/b/original", sha256="0" * 64, size=1)
        with pytest.raises(JobFailed) as caught:
            await brought(resources, wanted(tmp_path, ref))
    assert (caught.value.failure.code, caught.value.failure.hopeless) == ("STORAGE_UNAVAILABLE", False)
    assert kept(settings) == []


@on_s3
async def test_when_one_of_several_fails_the_others_stop(counted: Resources, tmp_path: Path) -> None:
    refs = [await stored(counted, tmp_path, bytes([each]) * 1000) for each in range(5)]
    await counted.storage.delete(refs[0].key)
    with pytest.raises(JobFailed, match="is not in storage"):
        await brought(counted, wanted(tmp_path, *refs))
    assert not list((counted.settings.scratch_path / "originals" / "parts").iterdir())
