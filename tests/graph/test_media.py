"""The signed media routes, without a network between."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from hashlib import sha256
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from graph import media
from persistence.settings import Settings
from persistence.storage import PendingUpload
from persistence.storage.local import LocalStorage

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 4
KEY = "projects/p1/assets/a1/original"
UPLOAD = PendingUpload(key=KEY, handle="u1")


def later(seconds: float = 3600) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def made(root: Path) -> LocalStorage:
    return LocalStorage(
        Settings(database_url="postgresql://h/d", redis_url="redis://h", secret_key="k" * 32, storage_path=root)
    )


def client_of(storage: LocalStorage, patience: float = 60) -> httpx.AsyncClient:
    app = Starlette(routes=media.routes(storage, patience=patience))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return made(tmp_path / "media")


@pytest.fixture
async def client(storage: LocalStorage) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(storage) as client:
        yield client


@pytest.fixture
async def part_url(storage: LocalStorage) -> str:
    await storage.begin_upload("u1", KEY)
    return storage.part_url(UPLOAD, 1, 5, later())


@pytest.fixture
async def object_url(storage: LocalStorage, tmp_path: Path) -> str:
    (tmp_path / "finished").write_bytes(CONTENT)
    await storage.put(tmp_path / "finished", KEY, content_type="video/mp4")
    return storage.download_url(KEY, filename="a clip.mp4", content_type="video/mp4", expires_at=later())


def code(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert error["message"]
    assert list(error) == ["code", "message"]
    return error["code"]


def kept(storage: LocalStorage, tmp_path: Path) -> list[str]:
    root = tmp_path / "media"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# parts


async def test_a_part_is_kept_and_answered_with_its_etag(
    storage: LocalStorage, client: httpx.AsyncClient, part_url: str
):
    answer = await client.put(part_url, content=b"hello")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == f'"{sha256(b"hello").hexdigest()}"'
    assert await storage.received_parts(UPLOAD) == {1: 5}


async def test_a_part_may_come_in_chunks_of_no_announced_length(
    storage: LocalStorage, client: httpx.AsyncClient, part_url: str
):
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"he", b"", b"llo"):
            yield chunk

    assert (await client.put(part_url, content=chunks())).status_code == 200
    assert await storage.received_parts(UPLOAD) == {1: 5}


@pytest.mark.parametrize(("body", "status"), [(b"hello!", 413), (b"hell", 400), (b"", 400)])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_wrong_part_size_is_refused_and_nothing_is_kept(
    storage: LocalStorage, tmp_path: Path, body: bytes, status: int, announced: bool
):
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    await storage.begin_upload("u1", KEY)
    part_url = storage.part_url(UPLOAD, 1, 5, later())
    async with client_of(storage) as client:
        answer = await client.put(part_url, content=body if announced else chunks())
    assert (answer.status_code, code(answer)) == (status, "WRONG_PART_SIZE")
    assert answer.headers["cache-control"] == "no-store"
    assert kept(storage, tmp_path) == []


async def test_an_announced_wrong_size_is_refused_before_the_body_is_read(client: httpx.AsyncClient, part_url: str):
    async def chunks() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    for announced, status in ((6, 413), (4, 400)):
        answer = await client.put(part_url, content=chunks(), headers={"Content-Length": str(announced)})
        assert (answer.status_code, code(answer)) == (status, "WRONG_PART_SIZE")


async def test_an_expired_part_url_says_so(storage: LocalStorage, client: httpx.AsyncClient, part_url: str):
    answer = await client.put(storage.part_url(UPLOAD, 1, 5, later(-1)), content=b"hello")
    assert (answer.status_code, code(answer)) == (403, "URL_EXPIRED")
    assert await storage.received_parts(UPLOAD) == {}


async def test_a_tampered_part_url_is_refused(
    storage: LocalStorage, client: httpx.AsyncClient, part_url: str, object_url: str
):
    download_token = object_url.split("/")[5]
    for url in (part_url + "A", part_url[:-1], f"/media/parts/{download_token}", "/media/parts/x", "/media/parts/%00é"):
        answer = await client.put(url, content=b"hello")
        assert (answer.status_code, code(answer)) == (403, "URL_INVALID")
    assert await storage.received_parts(UPLOAD) == {}


async def test_a_part_of_a_closed_upload_finds_no_place(
    storage: LocalStorage, client: httpx.AsyncClient, part_url: str, tmp_path: Path
):
    await client.put(part_url, content=b"hello")
    await storage.complete_upload(UPLOAD, [5])
    answer = await client.put(part_url, content=b"HELLO")
    assert (answer.status_code, code(answer)) == (404, "UPLOAD_CLOSED")
    assert kept(storage, tmp_path) == [f"objects/{KEY}"]


async def test_other_methods_are_not_allowed(client: httpx.AsyncClient, part_url: str, object_url: str):
    for method in ("GET", "HEAD", "POST", "DELETE", "PATCH"):
        assert (await client.request(method, part_url)).status_code == 405
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert (await client.request(method, object_url)).status_code == 405


async def test_a_part_that_does_not_fit_is_refused_at_once(
    storage: LocalStorage, client: httpx.AsyncClient, part_url: str, tmp_path: Path
):
    async def chunks() -> AsyncIterator[bytes]:
        yield b"hello"

    answer = await client.put(storage.part_url(UPLOAD, 1, 2**60, later()), content=chunks())
    assert (answer.status_code, code(answer)) == (507, "STORAGE_FULL")
    assert kept(storage, tmp_path) == []


async def test_a_failing_disk_is_a_clear_500_and_nothing_is_kept(
    storage: LocalStorage, client: httpx.AsyncClient, part_url: str, tmp_path: Path
):
    (tmp_path / "media/parts/u1/1/in the way").mkdir(parents=True)
    answer = await client.put(part_url, content=b"hello")
    assert (answer.status_code, code(answer)) == (500, "STORAGE_FAILED")
    assert kept(storage, tmp_path) == []


async def test_a_client_that_falls_silent_is_given_up(storage: LocalStorage, part_url: str, tmp_path: Path):
    async def chunks() -> AsyncIterator[bytes]:
        yield b"he"
        await anyio.sleep_forever()

    async with client_of(storage, patience=0.05) as client:
        answer = await client.put(part_url, content=chunks())
    assert (answer.status_code, code(answer)) == (408, "BODY_STALLED")
    assert kept(storage, tmp_path) == []


# objects


async def test_an_object_comes_whole_with_its_name_and_type(client: httpx.AsyncClient, object_url: str):
    answer = await client.get(object_url)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"a clip.mp4\"; filename*=UTF-8''a%20clip.mp4"
    )
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    private, age = answer.headers["cache-control"].split(", max-age=")
    assert (private, int(age) in range(3590, 3602)) == ("private", True)
    assert answer.headers["etag"].startswith('"')


async def test_head_tells_the_same_and_sends_nothing(client: httpx.AsyncClient, object_url: str):
    whole, head = await client.get(object_url), await client.head(object_url, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == whole.headers


async def test_text_is_served_as_it_was_signed(storage: LocalStorage, client: httpx.AsyncClient, object_url: str):
    url = storage.download_url(KEY, filename="x", content_type="text/html", expires_at=later(), inline=True)
    answer = await client.get(url)
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["content-disposition"] == "inline; filename=\"x\"; filename*=UTF-8''x"


@pytest.mark.parametrize("filename", ["..", "", "a/b", "CON\r\nX: y", "\ud800", "映画.mp4", '"; x="', "%2e%2e"])
async def test_any_filename_can_be_downloaded(
    storage: LocalStorage, client: httpx.AsyncClient, object_url: str, filename: str
):
    filename = filename.encode(errors="replace").decode()
    url = storage.download_url(KEY, filename=filename, content_type="video/mp4", expires_at=later())
    answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-9999", 0, 1024),
        ("bytes=1023-9999", 1023, 1024),
        ("BYTES=3-4", 3, 5),
        ("bytes=5-6,2000-", 5, 7),
        ("bytes=0-9, 5-19", 0, 20),
    ],
)
async def test_one_range(client: httpx.AsyncClient, object_url: str, asked: str, first: int, end: int):
    answer = await client.get(object_url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, CONTENT[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/1024"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_many_ranges(client: httpx.AsyncClient, object_url: str):
    answer = await client.get(object_url, headers={"Range": "bytes=0-3,100-103,-2"})
    assert answer.status_code == 206
    assert answer.headers["content-length"] == str(len(answer.content))
    head = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n"
    parts = BytesParser().parsebytes(head + answer.content).get_payload()
    assert [(part["content-range"], part.get_content_type()) for part in parts] == [
        ("bytes 0-3/1024", "video/mp4"),
        ("bytes 100-103/1024", "video/mp4"),
        ("bytes 1022-1023/1024", "video/mp4"),
    ]
    assert answer.content.count(CONTENT[100:104]) == 1


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0", "bytes=2000-,3000-"])
async def test_a_range_beyond_the_end_is_not_satisfiable(client: httpx.AsyncClient, object_url: str, asked: str):
    answer = await client.get(object_url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == "bytes */1024"


@pytest.mark.parametrize(
    "asked",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-3", "items=0-1", "bytes=0-1,", "bytes=1-2-3", "x=y=z"],
)
async def test_what_is_no_range_is_as_if_it_were_not_there(client: httpx.AsyncClient, object_url: str, asked: str):
    answer = await client.get(object_url, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_an_empty_object_has_no_ranges(storage: LocalStorage, client: httpx.AsyncClient, tmp_path: Path):
    (tmp_path / "empty").touch()
    await storage.put(tmp_path / "empty", "empty", content_type="video/mp4")
    url = storage.download_url("empty", filename="e", content_type="video/mp4", expires_at=later())
    whole = await client.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", "0")
    assert (await client.get(url, headers={"Range": "bytes=0-"})).status_code == 416


async def test_a_client_that_has_it_already_is_told_so(client: httpx.AsyncClient, object_url: str):
    etag = (await client.get(object_url)).headers["etag"]
    for said in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await client.get(object_url, headers={"If-None-Match": said, "Range": "bytes=0-1"})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in answer.headers
        assert (await client.head(object_url, headers={"If-None-Match": said})).status_code == 304
    assert (await client.get(object_url, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_download_is_resumed_only_on_the_same_bytes(
    storage: LocalStorage, client: httpx.AsyncClient, object_url: str, tmp_path: Path
):
    etag = (await client.get(object_url)).headers["etag"]
    resume = {"Range": "bytes=1000-", "If-Range": etag}
    assert (await client.get(object_url, headers=resume)).content == CONTENT[1000:]
    (tmp_path / "finished").write_bytes(CONTENT[::-1])
    await storage.put(tmp_path / "finished", KEY, content_type="video/mp4")
    answer = await client.get(object_url, headers=resume)
    assert (answer.status_code, answer.content) == (200, CONTENT[::-1])
    assert answer.headers["etag"] != etag
    assert (await client.get(object_url, headers={"Range": "bytes=9999-", "If-Range": etag})).status_code == 200


async def test_an_answer_that_has_begun_is_of_one_piece(storage: LocalStorage, object_url: str, tmp_path: Path):
    app = Starlette(routes=media.routes(storage))

    async def replacing(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_replace(message: Message) -> None:
            if message["type"] == "http.response.start":
                (tmp_path / "finished").write_bytes(bytes(1024))
                await storage.put(tmp_path / "finished", KEY, content_type="video/mp4")
                await storage.delete(KEY)
            await send(message)

        await app(scope, receive, send_and_replace)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(replacing)) as client:
        assert (await client.get(object_url)).content == CONTENT


async def test_a_deleted_object_is_not_found(storage: LocalStorage, client: httpx.AsyncClient, object_url: str):
    await storage.delete(KEY)
    answer = await client.get(object_url)
    assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")
    assert (await client.head(object_url)).status_code == 404


async def test_expired_and_tampered_downloads_are_refused(
    storage: LocalStorage, client: httpx.AsyncClient, object_url: str, part_url: str
):
    expired = storage.download_url(KEY, filename="f", content_type="video/mp4", expires_at=later(-1))
    answer = await client.get(expired)
    assert (answer.status_code, code(answer)) == (403, "URL_EXPIRED")
    token = object_url.split("/")[5]
    last = chr(ord(token[-1]) ^ 1)
    for forged in (token[:-1] + last, token[1:], part_url.rsplit("/", 1)[1], "../../etc/passwd", "%2e%2e"):
        answer = await client.get(f"/media/objects/{forged.replace('/', '%2F')}/f")
        assert answer.status_code in {403, 404}
        assert answer.status_code == 404 or code(answer) == "URL_INVALID"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
async def test_no_open_file_is_left_behind(client: httpx.AsyncClient, object_url: str):
    etag = (await client.get(object_url)).headers["etag"]
    before = open_files()
    for headers in ({}, {"Range": "bytes=5-6"}, {"Range": "bytes=9999-"}, {"If-None-Match": etag}):
        for method in ("GET", "HEAD"):
            await client.request(method, object_url, headers=headers)
    assert open_files() == before


_NUMBER = st.none() | st.integers(0, 30)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 20), st.lists(st.tuples(_NUMBER, _NUMBER), min_size=1, max_size=3))
@example(5, [(None, 0)])
@example(0, [(0, None)])
async def test_every_range_gives_what_the_standard_says(
    tmp_path_factory: pytest.TempPathFactory, size: int, asked: list[tuple[int | None, int | None]]
):
    storage = made(tmp_path_factory.getbasetemp() / f"ranges-{size}")
    content = CONTENT[:size]
    source = tmp_path_factory.getbasetemp() / "source"
    source.write_bytes(content)
    await storage.put(source, KEY, content_type="video/mp4")
    url = storage.download_url(KEY, filename="f", content_type="video/mp4", expires_at=later())
    header = ",".join(f"{'' if a is None else a}-{'' if b is None else b}" for a, b in asked)
    async with client_of(storage) as client:
        answer = await client.get(url, headers={"Range": f"bytes={header}"})

    malformed = any((a is None and b is None) or (a is not None and b is not None and b < a) for a, b in asked)
    wanted: set[int] = set()
    for a, b in asked:
        if a is None:
            wanted |= set(range(max(0, size - (b or 0)), size))
        else:
            wanted |= set(range(a, size if b is None else min(b + 1, size)))
    if malformed:
        assert (answer.status_code, answer.content) == (200, content)
    elif not wanted:
        assert answer.status_code == 416
    else:
        assert answer.status_code == 206
        assert answer.headers["content-length"] == str(len(answer.content))
        if "content-range" in answer.headers:
            assert answer.content == bytes(content[i] for i in sorted(wanted))
            assert answer.headers["content-range"] == f"bytes {min(wanted)}-{max(wanted)}/{size}"
        else:
            assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
