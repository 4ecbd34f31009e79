"""The signed media routes behind a real server: where streaming, broken connections and memory matter."""

import asyncio
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from graph import media
from persistence.settings import Settings
from persistence.storage import PendingUpload
from persistence.storage.local import LocalStorage

pytestmark = pytest.mark.anyio

KEY = "projects/p1/assets/a1/original"
UPLOAD = PendingUpload(key=KEY, handle="u1")
MIB = 2**20


def later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def made(root: Path, public_url: str) -> LocalStorage:
    return LocalStorage(
        Settings(
            database_url="postgresql://h/d",
            redis_url="redis://h",
            secret_key="k" * 32,
            storage_path=root,
            public_url=public_url,
        )
    )


def kept(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def open_below(folder: Path) -> list[Path]:
    return [path for each in Path("/proc/self/fd").iterdir() if (path := each.resolve()).is_relative_to(folder)]


class Watched:
    """The app, with signals of what it has seen: the first bytes of a body, and the end of a request."""

    def __init__(self, storage: LocalStorage) -> None:
        self.app = Starlette(routes=media.routes(storage))
        self.receiving, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched() -> Message:
            message = await receive()
            if message.get("body"):
                self.receiving.set()
            return message

        try:
            await self.app(scope, watched, send)
        finally:
            self.ended.set()


@asynccontextmanager
async def served(root: Path) -> AsyncIterator[tuple[LocalStorage, Watched]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        storage = made(root, url)
        watched = Watched(storage)
        server = uvicorn.Server(uvicorn.Config(watched, lifespan="off", log_level="warning"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield storage, watched
        finally:
            server.should_exit = True
            await running


async def test_a_client_killed_in_the_middle_of_a_part_leaves_nothing(tmp_path: Path):
    async with served(tmp_path) as (storage, watched):
        await storage.begin_upload("u1", KEY)
        target = urlsplit(storage.part_url(UPLOAD, 1, 8 * MIB, later()))
        _, writer = await asyncio.open_connection(target.hostname, target.port)
        writer.write(f"PUT {target.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {8 * MIB}\r\n\r\n".encode())
        writer.write(bytes(MIB))
        await watched.receiving.wait()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        async with asyncio.timeout(5):
            await watched.ended.wait()
        assert kept(tmp_path) == []
        async with httpx.AsyncClient() as client:
            answer = await client.put(storage.part_url(UPLOAD, 1, 8 * MIB, later()), content=bytes(8 * MIB))
        assert answer.status_code == 200
        assert await storage.received_parts(UPLOAD) == {1: 8 * MIB}


async def test_a_client_that_sends_all_of_a_refused_part_still_reads_why(tmp_path: Path):
    async with served(tmp_path) as (storage, _), httpx.AsyncClient() as client:
        await storage.begin_upload("u1", KEY)
        for target, status in (
            (storage.part_url(UPLOAD, 1, MIB, later()), 413),
            (storage.part_url(UPLOAD, 1, 16 * MIB, later() - timedelta(hours=2)), 403),
            (storage.part_url(PendingUpload(key=KEY, handle="gone"), 1, 16 * MIB, later()), 404),
        ):
            answer = await client.put(target, content=bytes(16 * MIB))
            assert answer.status_code == status
            assert answer.json()["error"]["message"]
        assert kept(tmp_path) == []


async def test_a_download_that_has_begun_goes_on_when_the_object_is_replaced_and_deleted(tmp_path: Path):
    content = os.urandom(12 * MIB)
    (tmp_path / "finished").write_bytes(content)
    async with served(tmp_path / "media") as (storage, _), httpx.AsyncClient() as client:
        await storage.put(tmp_path / "finished", KEY, content_type="video/mp4")
        link = storage.download_url(KEY, filename="f", content_type="video/mp4", expires_at=later())
        async with client.stream("GET", link) as answer:
            chunks = answer.aiter_bytes()
            received = await anext(chunks)
            (tmp_path / "finished").write_bytes(b"other")
            await storage.put(tmp_path / "finished", KEY, content_type="video/mp4")
            await storage.delete(KEY)
            async for chunk in chunks:
                received += chunk
        assert received == content


@pytest.mark.skipif(sys.platform != "linux", reason="looks for open files in /proc")
async def test_a_client_that_leaves_a_download_leaves_no_open_file(tmp_path: Path):
    (tmp_path / "finished").write_bytes(bytes(12 * MIB))
    async with served(tmp_path / "media") as (storage, watched):
        await storage.put(tmp_path / "finished", KEY, content_type="video/mp4")
        link = storage.download_url(KEY, filename="f", content_type="video/mp4", expires_at=later())
        async with httpx.AsyncClient() as client, client.stream("GET", link) as answer:
            await anext(answer.aiter_bytes())
        async with asyncio.timeout(5):
            await watched.ended.wait()
        assert open_below(tmp_path / "media" / "objects") == []


SERVER = """
import asyncio, socket, sys, uvicorn
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from graph import media
from persistence.settings import Settings
from persistence.storage import PendingUpload
from persistence.storage.local import LocalStorage

listening = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{listening.getsockname()[1]}"
storage = LocalStorage(Settings(database_url="postgresql://h/d", redis_url="redis://h", secret_key="k" * 32,
                                storage_path=Path(sys.argv[1]), public_url=url))

async def complete(request):
    upload = PendingUpload(key=sys.argv[2], handle="u1")
    stored = await storage.complete_upload(upload, [int(sys.argv[3])])
    return JSONResponse([stored.size, stored.sha256])

print(url, flush=True)
app = Starlette(routes=[*media.routes(storage), Route("/complete", complete, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning")).run(sockets=[listening])
"""


def peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


@pytest.fixture
def big_server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-c", SERVER, str(tmp_path / "media"), KEY, str(300 * MIB)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip(), server.pid
        finally:
            server.terminate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory from /proc")
async def test_300_mebibytes_go_in_and_out_in_flat_memory(tmp_path: Path, big_server: tuple[str, int]):
    url, pid = big_server
    storage = made(tmp_path / "media", url)
    await storage.begin_upload("u1", KEY)
    block, digest = bytes(MIB), sha256()
    for _ in range(300):
        digest.update(block)
    before = peak(pid)

    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    path = urlsplit(storage.part_url(UPLOAD, 1, 300 * MIB, later())).path
    connection.request("PUT", path, body=(block for _ in range(300)), headers={"Content-Length": str(300 * MIB)})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["etag"], answer.read()) == (200, f'"{digest.hexdigest()}"', b"")

    connection.request("POST", "/complete")
    answer = connection.getresponse()
    assert json.loads(answer.read()) == [300 * MIB, digest.hexdigest()]

    link = storage.download_url(KEY, filename="f", content_type="video/mp4", expires_at=later())
    connection.request("GET", urlsplit(link).path)
    answer, received = connection.getresponse(), 0
    while chunk := answer.read(MIB):
        received += len(chunk)
    assert received == 300 * MIB
    connection.close()

    assert peak(pid) - before < 16 * MIB
