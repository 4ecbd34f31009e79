"""Storage on a local disk, with real files."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from errno import EDQUOT
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE

import anyio
import anyio.lowlevel
import pytest

from domain.refusals import ChecksumMismatch, UploadIncomplete
from persistence.settings import Settings
from persistence.storage import (
    InvalidKeyError,
    ObjectNotFoundError,
    PendingUpload,
    Storage,
    StorageFullError,
    StoredFile,
    disk,
)
from persistence.storage.local import LocalStorage, PartSizeError, UploadClosedError
from persistence.storage.signing import PartGrant

pytestmark = pytest.mark.anyio

KEY = "projects/p1/assets/a1/original"
LATER = int(time.time()) + 3600


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "media"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(
        Settings(database_url="postgresql://h/d", redis_url="redis://h", secret_key="k" * 32, storage_path=root)
    )


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def modes(root: Path) -> dict[str, int]:
    return {str(path): S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}


def stored(content: bytes) -> StoredFile:
    return StoredFile(size=len(content), sha256=sha256(content).hexdigest())


async def streamed(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def send(storage: LocalStorage, upload: PendingUpload, number: int, content: bytes) -> str:
    return await storage.receive_part(PartGrant(upload.handle, number, len(content), LATER), streamed(content))


async def begun(storage: LocalStorage, upload_id: str = "u1", key: str = KEY) -> PendingUpload:
    return PendingUpload(key=key, handle=await storage.begin_upload(upload_id, key))


async def put(storage: LocalStorage, tmp_path: Path, content: bytes, key: str = KEY) -> StoredFile:
    path = tmp_path / "finished"
    path.write_bytes(content)
    return await storage.put(path, key, content_type="video/mp4")


async def read(storage: LocalStorage, key: str = KEY) -> bytes:
    with await storage.open_object(key) as file:
        return file.read()


def test_it_is_a_storage_and_making_one_touches_nothing(storage: LocalStorage, root: Path):
    _: Storage = storage
    assert not root.parent.exists()


async def test_parts_become_the_object_in_their_order(storage: LocalStorage, root: Path):
    upload = await begun(storage)
    assert await send(storage, upload, 2, b"world") == sha256(b"world").hexdigest()
    await send(storage, upload, 1, b"hello ")
    assert await storage.received_parts(upload) == {1: 6, 2: 5}
    whole = stored(b"hello world")
    assert await storage.complete_upload(upload, [6, 5], sha256=whole.sha256) == whole
    assert await read(storage) == b"hello world"
    assert everything(root) == [f"objects/{KEY}"]
    assert await storage.received_parts(upload) == {}


async def test_an_object_is_measured_and_read_through(storage: LocalStorage, tmp_path: Path):
    assert await storage.size(KEY) is None
    with pytest.raises(ObjectNotFoundError):
        await storage.read_through(KEY)
    await put(storage, tmp_path, b"hello")
    assert await storage.size(KEY) == 5
    assert await storage.read_through(KEY) == stored(b"hello")


async def test_a_second_put_of_a_part_replaces_it(storage: LocalStorage):
    upload = await begun(storage)
    await send(storage, upload, 1, b"old")
    await send(storage, upload, 1, b"new")
    assert await storage.complete_upload(upload, [3]) == stored(b"new")


async def test_missing_and_wrongly_sized_parts_are_named_and_nothing_is_lost(storage: LocalStorage, root: Path):
    upload = await begun(storage)
    await send(storage, upload, 1, b"aa")
    await send(storage, upload, 3, b"c")
    with pytest.raises(UploadIncomplete) as refused:
        await storage.complete_upload(upload, [2, 2, 2])
    assert refused.value.missing_parts == [2, 3]
    assert everything(root) == ["parts/u1/1", "parts/u1/3"]


async def test_a_wrong_checksum_makes_no_object_and_the_parts_can_be_sent_again(storage: LocalStorage, root: Path):
    upload = await begun(storage)
    await send(storage, upload, 1, b"bad")
    expected = sha256(b"god").hexdigest()
    with pytest.raises(ChecksumMismatch) as refused:
        await storage.complete_upload(upload, [3], sha256=expected)
    assert (refused.value.expected, refused.value.actual) == (expected, sha256(b"bad").hexdigest())
    assert everything(root) == ["parts/u1/1"]
    await send(storage, upload, 1, b"god")
    assert await storage.complete_upload(upload, [3], sha256=expected) == stored(b"god")


async def test_completing_twice_at_once_answers_the_same_twice(storage: LocalStorage, root: Path):
    parts = [os.urandom(700_000) for _ in range(4)]
    upload = await begun(storage)
    for number, part in enumerate(parts, 1):
        await send(storage, upload, number, part)
    answers: list[StoredFile] = []

    async def complete() -> None:
        answers.append(await storage.complete_upload(upload, [len(part) for part in parts]))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(complete)
    assert answers == [stored(b"".join(parts))] * 4
    assert await storage.complete_upload(upload, [len(part) for part in parts]) == answers[0]
    with pytest.raises(ChecksumMismatch):
        await storage.complete_upload(upload, [len(part) for part in parts], sha256="0" * 64)
    assert everything(root) == [f"objects/{KEY}"]


async def test_the_first_object_made_stays_whatever_is_sent_later(storage: LocalStorage):
    upload = await begun(storage)
    await send(storage, upload, 1, b"one")
    await storage.complete_upload(upload, [3])
    again = await begun(storage)
    await send(storage, again, 1, b"two")
    assert await storage.complete_upload(again, [3]) == stored(b"one")
    assert await read(storage) == b"one"


async def test_a_part_after_completion_or_discard_leaves_nothing(storage: LocalStorage, root: Path):
    for upload_id, close in (("u1", storage.discard_upload), ("u2", lambda u: storage.complete_upload(u, [1]))):
        upload = await begun(storage, upload_id, f"k/{upload_id}")
        await send(storage, upload, 1, b"x")
        await close(upload)
        before = everything(root)
        with pytest.raises(UploadClosedError):
            await send(storage, upload, 1, b"y")
        assert everything(root) == before
        assert not (root / "parts" / upload_id).exists()


async def test_a_part_on_its_way_while_the_upload_is_discarded_leaves_nothing(storage: LocalStorage, root: Path):
    upload = await begun(storage)

    async def body() -> AsyncIterator[bytes]:
        yield bytes(300_000)
        await storage.discard_upload(upload)
        yield bytes(300_000)

    with pytest.raises(UploadClosedError):
        await storage.receive_part(PartGrant(upload.handle, 1, 600_000, LATER), body())
    assert everything(root) == []
    with pytest.raises(UploadIncomplete) as refused:
        await storage.complete_upload(upload, [600_000])
    assert refused.value.missing_parts == [1]


async def test_discarding_while_it_is_completed_leaves_nothing_either_way(storage: LocalStorage, root: Path):
    part = os.urandom(200_000)

    async def complete() -> None:
        with suppress(UploadIncomplete):
            await storage.complete_upload(upload, [len(part)])

    async def discard(steps: int) -> None:
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        await storage.discard_upload(upload)
        await storage.delete(KEY)

    for steps in range(0, 100, 2):
        upload = await begun(storage)
        await send(storage, upload, 1, part)
        async with anyio.create_task_group() as group:
            group.start_soon(complete)
            group.start_soon(discard, steps)
        assert everything(root) == []


async def test_discarding_is_harmless_when_repeated_or_unknown(storage: LocalStorage):
    upload = await begun(storage)
    await storage.discard_upload(upload)
    await storage.discard_upload(upload)
    await storage.discard_upload(PendingUpload(key=KEY, handle="never-begun"))
    assert await storage.received_parts(upload) == {}


@pytest.mark.parametrize(("chunks", "received"), [([b"abc", b"de"], 5), ([b"ab"], 2), ([], 0)])
async def test_a_wrong_part_size_is_refused_and_nothing_is_kept(
    storage: LocalStorage, root: Path, chunks: list[bytes], received: int
):
    upload = await begun(storage)
    with pytest.raises(PartSizeError) as refused:
        await storage.receive_part(PartGrant(upload.handle, 1, 4, LATER), streamed(*chunks))
    assert (refused.value.expected, refused.value.received) == (4, received)
    assert everything(root) == []


async def test_a_wrong_second_try_leaves_the_first_part_as_it_was(storage: LocalStorage):
    upload = await begun(storage)
    await send(storage, upload, 1, b"good")
    with pytest.raises(PartSizeError):
        await storage.receive_part(PartGrant(upload.handle, 1, 4, LATER), streamed(b"no"))
    assert await storage.complete_upload(upload, [4]) == stored(b"good")


async def test_a_cancelled_part_leaves_nothing(storage: LocalStorage, root: Path):
    upload = await begun(storage)

    async def body() -> AsyncIterator[bytes]:
        yield bytes(600_000)
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await storage.receive_part(PartGrant(upload.handle, 1, 10**6, LATER), body())
    assert scope.cancelled_caught
    assert everything(root) == []


async def test_a_part_that_cannot_fit_is_refused_before_it_is_sent(storage: LocalStorage, root: Path):
    upload = await begun(storage)

    async def body() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    with pytest.raises(StorageFullError):
        await storage.receive_part(PartGrant(upload.handle, 1, 2**60, LATER), body())
    assert everything(root) == []


def test_a_full_disk_and_a_spent_quota_are_called_by_their_name():
    with pytest.raises(StorageFullError), disk.full_disk_named(), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    with pytest.raises(StorageFullError), disk.full_disk_named():
        raise OSError(EDQUOT, "quota")
    with pytest.raises(FileNotFoundError), disk.full_disk_named():
        Path("/nowhere").stat()


async def test_put_replaces_at_once_and_keeps_the_file_it_was_given(storage: LocalStorage, root: Path, tmp_path: Path):
    assert await put(storage, tmp_path, b"first") == stored(b"first")
    with await storage.open_object(KEY) as reader:
        assert await put(storage, tmp_path, b"second") == stored(b"second")
        assert reader.read() == b"first"
    assert await read(storage) == b"second"
    assert (tmp_path / "finished").read_bytes() == b"second"
    assert everything(root) == [f"objects/{KEY}"]


async def test_only_the_owner_may_read_and_nobody_execute(storage: LocalStorage, root: Path, tmp_path: Path):
    upload = await begun(storage)
    await send(storage, upload, 1, b"x")
    await put(storage, tmp_path, b"first", "some/object")
    found = modes(root.parent)
    files = {str(root / "parts/u1/1"), str(root / "objects/some/object")}
    assert found == {path: 0o600 if path in files else 0o700 for path in found}
    assert files < set(found)


async def test_fetch_brings_a_local_file_over_what_was_there(storage: LocalStorage, tmp_path: Path):
    await put(storage, tmp_path, b"original")
    target = tmp_path / "cache" / "file"
    await storage.fetch(KEY, target)
    await storage.fetch(KEY, target)
    assert target.read_bytes() == b"original"
    assert target.samefile(tmp_path / "deep/media/objects" / KEY)
    assert names(target.parent) == ["file"]
    await storage.delete(KEY)
    assert target.read_bytes() == b"original"
    with pytest.raises(ObjectNotFoundError):
        await storage.fetch(KEY, target)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system to write to")
async def test_fetch_copies_to_another_file_system(storage: LocalStorage, tmp_path: Path):
    await put(storage, tmp_path, b"original")
    target = Path("/dev/shm") / f"reelgraph-{os.getpid()}" / "file"
    try:
        await storage.fetch(KEY, target)
        assert target.read_bytes() == b"original"
        assert S_IMODE(target.stat().st_mode) == 0o600
        assert names(target.parent) == ["file"]
    finally:
        target.unlink(missing_ok=True)
        target.parent.rmdir()


async def test_delete_is_harmless_when_absent_and_tidies_empty_folders(
    storage: LocalStorage, root: Path, tmp_path: Path
):
    await storage.delete(KEY)
    await put(storage, tmp_path, b"1", "projects/p1/assets/a1/original")
    await put(storage, tmp_path, b"2", "projects/p1/assets/a2/original")
    await storage.delete("projects/p1/assets/a1/original")
    await storage.delete("projects/p1/assets/a1/original")
    assert names(root / "objects/projects/p1/assets") == ["a2"]
    await storage.delete("projects/p1/assets/a2")
    assert await read(storage, "projects/p1/assets/a2/original") == b"2"
    await storage.delete("projects/p1/assets/a2/original")
    assert names(root / "objects") == []


async def test_storing_and_deleting_in_one_folder_at_once_never_fails(storage: LocalStorage, tmp_path: Path):
    async def come_and_go(name: str) -> None:
        for _ in range(25):
            path = tmp_path / name
            path.write_bytes(b"x")
            await storage.put(path, f"same/folder/{name}", content_type="video/mp4")
            await storage.delete(f"same/folder/{name}")

    async with anyio.create_task_group() as group:
        for name in "abcd":
            group.start_soon(come_and_go, name)


async def test_what_is_no_object_is_not_found(storage: LocalStorage, tmp_path: Path):
    await put(storage, tmp_path, b"x", "a/b")
    for key in ("a", "a/b/c", "z"):
        with pytest.raises(ObjectNotFoundError):
            await storage.open_object(key)
        with pytest.raises(ObjectNotFoundError):
            await storage.fetch(key, tmp_path / "out")


async def test_a_symbolic_link_inside_leads_nowhere_outside(storage: LocalStorage, root: Path, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_bytes(b"secret")
    (root / "objects").mkdir(parents=True)
    (root / "parts").mkdir()
    (root / "objects" / "folder").symlink_to(secret)
    (root / "objects" / "file").symlink_to(secret / "file")
    (root / "parts" / "u1").symlink_to(secret)
    for key in ("folder/file", "file"):
        with pytest.raises(InvalidKeyError):
            await storage.open_object(key)
        with pytest.raises(InvalidKeyError):
            await storage.fetch(key, tmp_path / "out")
        with pytest.raises(InvalidKeyError):
            await storage.delete(key)
        with pytest.raises(InvalidKeyError):
            await put(storage, tmp_path, b"overwritten", key)
    with pytest.raises(InvalidKeyError):
        await send(storage, PendingUpload(key=KEY, handle="u1"), 1, b"x")
    assert {p.name: p.read_bytes() for p in secret.iterdir()} == {"file": b"secret"}


@pytest.mark.parametrize("hostile", ["../u", "/etc", "a/b", "", ".", "..", "a\x00"])
async def test_no_handle_and_no_key_escapes(storage: LocalStorage, root: Path, hostile: str):
    with pytest.raises(InvalidKeyError):
        await storage.begin_upload(hostile, KEY)
    # A handle may come from the storage that media were moved from: what cannot be ours is closed already.
    foreign = PendingUpload(key=KEY, handle=hostile)
    assert await storage.received_parts(foreign) == {}
    await storage.discard_upload(foreign)
    if hostile != "a/b":
        with pytest.raises(InvalidKeyError):
            await storage.begin_upload("u1", hostile)
        with pytest.raises(InvalidKeyError):
            storage.download_url(hostile, filename="f", content_type="video/mp4", expires_at=datetime.now(UTC))
    assert everything(root) == []


async def test_the_sweep_takes_what_crashes_left_and_leaves_what_lives(storage: LocalStorage, root: Path):
    alive = await begun(storage, "alive")
    await send(storage, alive, 1, b"x")
    abandoned = await begun(storage, "abandoned", "k/abandoned")
    await send(storage, abandoned, 1, b"x")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp" / "dropped").mkdir()
    for name in ("tmp/joining", "tmp/fresh", "tmp/dropped/1", "parts/alive/2.0123abcd", "parts/alive/3.0123abcd"):
        (root / name).write_bytes(b"half")
    hours_ago, days_ago = time.time() - 3 * 3600, time.time() - 2 * 86400
    for name in ("tmp/joining", "tmp/dropped", "parts/alive/2.0123abcd", "parts/alive/1"):
        os.utime(root / name, (hours_ago, hours_ago))
    os.utime(root / "parts/abandoned", (days_ago, days_ago))
    assert await storage.sweep(timedelta(hours=1)) == 4
    assert everything(root) == ["parts/alive/1", "parts/alive/3.0123abcd", "tmp/fresh"]
    assert await storage.sweep(timedelta(hours=1)) == 0


async def test_sweeping_before_anything_was_stored_is_harmless(storage: LocalStorage):
    assert await storage.sweep(timedelta(0)) == 0
