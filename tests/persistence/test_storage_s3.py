"""Storage in a bucket, on real servers that speak S3."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from domain.refusals import ChecksumMismatch, UploadIncomplete
from persistence.resources import storage_opened
from persistence.settings import SettingError, Settings
from persistence.storage import (
    InvalidKeyError,
    ObjectDamagedError,
    ObjectNotFoundError,
    PendingUpload,
    Storage,
    StorageUnavailableError,
    StoredFile,
)
from persistence.storage.s3 import S3Storage
from tests.s3 import ON_S3, PART, on_s3

KEY = "projects/p1/assets/a1/original"
LARGE = os.urandom(2 * PART + 17)
SIZES = [PART, PART, 17]
REQUIRED = {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "SECRET_KEY": "k" * 32}


@pytest.fixture
def settings(storage_environment: dict[str, str]) -> Settings:
    return Settings.read(REQUIRED | storage_environment)


@pytest.fixture
async def storage(settings: Settings) -> AsyncGenerator[S3Storage]:
    async with storage_opened(settings) as storage:
        assert isinstance(storage, S3Storage)
        _: Storage = storage
        yield storage


@pytest.fixture
async def web() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def stored(content: bytes) -> StoredFile:
    return StoredFile(size=len(content), sha256=sha256(content).hexdigest())


def later(**more: float) -> datetime:
    return datetime.now(UTC) + timedelta(**more or {"hours": 1})


async def begun(storage: S3Storage, key: str = KEY) -> PendingUpload:
    return PendingUpload(key=key, handle=await storage.begin_upload("u1", key))


async def send(storage: S3Storage, web: httpx.AsyncClient, upload: PendingUpload, content: bytes = LARGE) -> None:
    """All parts, the last one first."""
    for number, start in reversed(list(enumerate(range(0, len(content), PART), 1))):
        part = content[start : start + PART]
        sent = await web.put(storage.part_url(upload, number, len(part), later()), content=part)
        assert (sent.status_code, "etag" in sent.headers) == (200, True)


async def put(storage: S3Storage, tmp_path: Path, content: bytes, key: str = KEY) -> StoredFile:
    path = tmp_path / "finished"
    path.write_bytes(content)
    return await storage.put(path, key, content_type="video/mp4")


@on_s3
async def test_parts_become_the_object_in_their_order(
    storage: S3Storage, web: httpx.AsyncClient, tmp_path: Path
) -> None:
    upload = await begun(storage)
    assert await storage.received_parts(upload) == {}
    await send(storage, web, upload)
    assert await storage.received_parts(upload) == dict(enumerate(SIZES, 1))
    whole = stored(LARGE)
    assert await storage.complete_upload(upload, SIZES, sha256=whole.sha256) == whole
    assert await storage.received_parts(upload) == {}
    assert await storage.size(KEY) == len(LARGE)
    await storage.fetch(KEY, tmp_path / "here", sha256=whole.sha256)
    assert (tmp_path / "here").read_bytes() == LARGE


@on_s3
async def test_a_part_may_be_sent_again_and_the_last_one_counts(storage: S3Storage, web: httpx.AsyncClient) -> None:
    upload = await begun(storage)
    await send(storage, web, upload, b"old")
    await send(storage, web, upload, b"new")
    assert await storage.complete_upload(upload, [3]) == stored(b"new")


@on_s3
async def test_completing_twice_and_at_once_answers_the_same(storage: S3Storage, web: httpx.AsyncClient) -> None:
    upload = await begun(storage)
    await send(storage, web, upload)
    answers = await asyncio.gather(*(storage.complete_upload(upload, SIZES) for _ in range(4)))
    assert answers == [stored(LARGE)] * 4
    assert await storage.complete_upload(upload, SIZES) == stored(LARGE)


@on_s3
async def test_missing_and_wrongly_sized_parts_are_named_and_nothing_is_lost(
    storage: S3Storage, web: httpx.AsyncClient
) -> None:
    upload = await begun(storage)
    await web.put(storage.part_url(upload, 1, 5, later()), content=b"short")
    await web.put(storage.part_url(upload, 3, 17, later()), content=b"x" * 17)
    with pytest.raises(UploadIncomplete) as refused:
        await storage.complete_upload(upload, SIZES)
    assert refused.value.missing_parts == [1, 2]
    assert await storage.received_parts(upload) == {1: 5, 3: 17}
    assert await storage.size(KEY) is None


@on_s3
async def test_a_wrong_checksum_is_refused_however_often_one_asks(storage: S3Storage, web: httpx.AsyncClient) -> None:
    upload = await begun(storage)
    await send(storage, web, upload, b"wrong")
    for _ in range(2):
        with pytest.raises(ChecksumMismatch) as refused:
            await storage.complete_upload(upload, [5], sha256=stored(b"right").sha256)
        assert refused.value.actual == stored(b"wrong").sha256


@on_s3
async def test_a_discarded_upload_is_gone_and_discarding_is_harmless(
    storage: S3Storage, web: httpx.AsyncClient
) -> None:
    upload = await begun(storage)
    await send(storage, web, upload, b"x")
    for _ in range(2):
        await storage.discard_upload(upload)
    await storage.discard_upload(PendingUpload(key=KEY, handle="an-upload-of-a-local-disk"))
    assert await storage.received_parts(upload) == {}
    with pytest.raises(UploadIncomplete) as refused:
        await storage.complete_upload(upload, [1])
    assert refused.value.missing_parts == [1]
    # The signature is right, so what refuses the part is that there is nothing to take it; moto breaks down instead.
    assert (await web.put(storage.part_url(upload, 1, 1, later()), content=b"x")).status_code in {404, 500}


@on_s3
@pytest.mark.parametrize("size", [0, 11, 33 * 2**20], ids=["empty", "small", "in parts"])
async def test_a_file_goes_in_and_comes_out_the_same(storage: S3Storage, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    assert await put(storage, tmp_path, content) == stored(content)
    assert await storage.size(KEY) == size
    assert await storage.read_through(KEY) == stored(content)
    await storage.fetch(KEY, tmp_path / "new folder" / "here")
    assert [path.read_bytes() == content for path in (tmp_path / "new folder").iterdir()] == [True]


@on_s3
async def test_what_is_not_there_is_said_and_deleting_it_is_harmless(storage: S3Storage, tmp_path: Path) -> None:
    await put(storage, tmp_path, b"x")
    for _ in range(2):
        await storage.delete(KEY)
    assert await storage.size(KEY) is None
    with pytest.raises(ObjectNotFoundError):
        await storage.read_through(KEY)
    with pytest.raises(ObjectNotFoundError):
        await storage.fetch(KEY, tmp_path / "here")
    assert [path.name for path in tmp_path.iterdir() if path.name != "finished"] == []


@on_s3
async def test_an_object_that_changed_in_the_store_is_not_fetched(storage: S3Storage, tmp_path: Path) -> None:
    await put(storage, tmp_path, b"what came")
    with pytest.raises(ObjectDamagedError):
        await storage.fetch(KEY, tmp_path / "here", sha256=stored(b"what was stored").sha256)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finished"]


@pytest.mark.parametrize("storage_environment", ON_S3[:1], indirect=True)
async def test_a_download_has_its_name_its_type_and_ranges(
    storage: S3Storage, web: httpx.AsyncClient, tmp_path: Path
) -> None:
    await put(storage, tmp_path, b"0123456789")
    url = storage.download_url(KEY, filename='a "b"é.mp4', content_type="video/mp4", expires_at=later())
    part = await web.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert part.headers["content-type"] == "video/mp4"
    assert part.headers["content-disposition"] == (
        "attachment; filename=\"a _b__.mp4\"; filename*=UTF-8''a%20%22b%22%C3%A9.mp4"
    )
    shown = storage.download_url(KEY, filename="a.mp4", content_type="video/mp4", expires_at=later(), inline=True)
    assert (await web.get(shown)).headers["content-disposition"].startswith("inline;")


@pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)
async def test_tampered_and_expired_urls_and_parts_of_another_size_are_refused(
    storage: S3Storage, web: httpx.AsyncClient, tmp_path: Path
) -> None:
    await put(storage, tmp_path, b"0123456789")
    url = storage.download_url(KEY, filename="a.mp4", content_type="video/mp4", expires_at=later())
    assert (await web.get(url)).content == b"0123456789"
    assert (await web.get(url.replace("a.mp4", "b.mp4"))).status_code == 403
    assert (await web.get(url.replace("a1/original", "a2/original"))).status_code == 403
    expired = storage.download_url(KEY, filename="a.mp4", content_type="video/mp4", expires_at=later(seconds=-1))
    assert (await web.get(expired)).status_code == 400
    upload = await begun(storage, "another")
    part = storage.part_url(upload, 1, 5, later())
    assert (await web.put(part, content=b"too long")).status_code == 403
    assert (await web.put(part.replace("partNumber=1", "partNumber=2"), content=b"12345")).status_code == 403
    assert (await web.get(part)).status_code == 403
    assert await storage.received_parts(upload) == {}


@pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)
async def test_urls_are_the_same_for_a_while(storage: S3Storage) -> None:
    urls = {
        storage.download_url(KEY, filename="a", content_type="video/mp4", expires_at=datetime(2030, 1, 1, tzinfo=UTC))
        for _ in range(3)
    }
    assert len(urls) == 1 or datetime.now(UTC).minute == 0


@pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)  # moto dates every upload in 2010
async def test_only_old_uploads_below_the_prefix_are_swept_and_seldom(
    settings: Settings, storage: S3Storage, web: httpx.AsyncClient
) -> None:
    mine = await begun(storage)
    theirs = storage.bucket.client.create_multipart_upload(Bucket=storage.bucket.name, Key="theirs")["UploadId"]
    assert await storage.sweep(timedelta(hours=1)) == 0
    await send(storage, web, mine, b"x")
    # As a process would find it two days later: the longest upload was 24 hours.
    async with storage_opened(settings) as another:
        assert await another.sweep(timedelta(hours=-25)) == 1
        assert await another.sweep(timedelta(hours=-25)) == 0  # looks once an hour
    assert await storage.received_parts(mine) == {}
    left = storage.bucket.client.list_multipart_uploads(Bucket=storage.bucket.name)["Uploads"]
    assert [each["UploadId"] for each in left] == [theirs]


@on_s3
async def test_hostile_keys_are_refused_before_the_store_hears_of_them(storage: S3Storage, tmp_path: Path) -> None:
    for verb in (storage.begin_upload("u", "../x"), storage.delete("/x"), storage.size("a//b")):
        with pytest.raises(InvalidKeyError):
            await verb
    with pytest.raises(InvalidKeyError):
        storage.download_url("a/../b", filename="a", content_type="a/b", expires_at=later())


@pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)
async def test_a_store_that_does_not_let_us_in_or_is_away_is_named_in_one_line(settings: Settings) -> None:
    wrong = {
        "NoSuchBucket": replace(settings, s3_bucket="no-such-bucket-here"),
        "SignatureDoesNotMatch": replace(settings, s3_secret_access_key="wrong"),
        "connect": replace(settings, s3_endpoint_url="http://127.0.0.1:1"),
    }
    for words, each in wrong.items():
        async with storage_opened(each) as storage:
            with pytest.raises(StorageUnavailableError, match=words) as failed:
                await storage.read_through(KEY)
            assert "\n" not in str(failed.value)


@pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)
async def test_the_event_loop_never_waits_for_the_store(storage: S3Storage, tmp_path: Path) -> None:
    loop_thread, seen = threading.current_thread(), set[str]()
    storage.bucket.client.meta.events.register(
        "before-send.s3", lambda **_: seen.add(threading.current_thread().name) or None
    )
    await put(storage, tmp_path, b"x" * 20 * 2**20)
    await storage.read_through(KEY)
    assert len(seen) > 1
    assert loop_thread.name not in seen


@asynccontextmanager
async def breaking(url: str, after: int) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A way to the store that breaks off each answer after so many bytes; what was asked by it is noted."""
    asked: list[bytes] = []
    tasks: set[asyncio.Task[None] | None] = set()
    there = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        answer, question = await asyncio.open_connection(there.hostname, there.port)
        with suppress(OSError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            question.write(asked[-1].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            left = after
            while left > 0 and (block := await answer.read(min(left, 2**16))):
                writer.write(block)
                left -= len(block)
                await writer.drain()
        for each in (writer, question):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    await asyncio.gather(*(task for task in tasks if task))


@on_s3
async def test_a_download_that_breaks_off_goes_on_where_it_broke(
    settings: Settings, storage: S3Storage, tmp_path: Path
) -> None:
    content = os.urandom(5 * 2**20)
    await put(storage, tmp_path, content)
    assert settings.s3_endpoint_url
    async with breaking(settings.s3_endpoint_url, 2 * 2**20) as (url, asked):
        async with storage_opened(replace(settings, s3_endpoint_url=url)) as shaky:
            await shaky.fetch(KEY, tmp_path / "here", sha256=stored(content).sha256)
        ranges = [line for each in asked for line in each.splitlines() if line.lower().startswith(b"range:")]
    assert (tmp_path / "here").read_bytes() == content
    assert (len(asked), len(ranges)) == (len(ranges) + 1, len(set(ranges)))
    assert len(ranges) >= 2


@pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)
async def test_a_fetch_that_nobody_waits_for_ends_and_leaves_no_file(storage: S3Storage, tmp_path: Path) -> None:
    await put(storage, tmp_path, b"x" * 32 * 2**20)
    fetching = asyncio.create_task(storage.fetch(KEY, tmp_path / "folder" / "here"))
    while not (tmp_path / "folder").exists():
        await asyncio.sleep(0.001)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    async with asyncio.timeout(5):
        while any((tmp_path / "folder").iterdir()):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"S3_BUCKET": ""}, "S3_BUCKET is not set"),
        ({"S3_SECRET_ACCESS_KEY": ""}, "set both or neither"),
        ({"UPLOAD_PART_BYTES": "1048576"}, "UPLOAD_PART_BYTES must be at least 5242880"),
        ({"S3_PREFIX": "../x"}, "S3_PREFIX must be"),
        ({"STORAGE": "tape"}, "STORAGE must be disk or s3"),
        ({"S3_ENDPOINT_URL": "s3.example.org"}, "S3_ENDPOINT_URL must be a URL"),
    ],
)
def test_settings_that_describe_no_bucket_are_named(changes: dict[str, str], words: str) -> None:
    environment = {
        **REQUIRED,
        "STORAGE": "s3",
        "S3_BUCKET": "b",
        "S3_ACCESS_KEY_ID": "a",
        "S3_SECRET_ACCESS_KEY": "s",
        **changes,
    }
    with pytest.raises(SettingError, match=words):
        Settings.read(environment)


@pytest.mark.parametrize(
    ("changes", "base"),
    [
        ({}, "https://media.s3.eu-central-1.amazonaws.com/"),
        ({"s3_bucket": "media.example.org"}, "https://s3.eu-central-1.amazonaws.com/media.example.org/"),
        ({"s3_path_style": True}, "https://s3.eu-central-1.amazonaws.com/media/"),
        ({"s3_endpoint_url": "http://store:9000"}, "http://store:9000/media/"),
        ({"s3_endpoint_url": "http://store:9000", "s3_path_style": False}, "http://media.store:9000/"),
        (
            {"s3_endpoint_url": "http://store:9000", "s3_public_endpoint_url": "https://media.example.org:443"},
            "https://media.example.org/media/",
        ),
    ],
)
async def test_clients_are_sent_to_the_right_host(changes: dict[str, object], base: str) -> None:
    settings = Settings(
        database_url="postgresql://h/d",
        redis_url="redis://h",
        secret_key="k" * 32,
        storage="s3",
        s3_bucket="media",
        s3_region="eu-central-1",
        s3_prefix="pre",
        s3_access_key_id="a",
        s3_secret_access_key="s",
    )
    async with storage_opened(replace(settings, **changes)) as storage:
        url = storage.download_url(KEY, filename="a", content_type="video/mp4", expires_at=later())
    assert url.startswith(f"{base}pre/{KEY}?")
