"""Files to and from storage, through signed URLs."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

import httpx

from reelgraph.demo.client import Client, Json
from reelgraph.demo.documents import COMPLETE_UPLOAD, CREATE_UPLOAD
from reelgraph.demo.failure import DemoFailed

_AT_ONCE = 4
_CHUNK = 2**18
_OK = 200

Sent = Callable[[int], None]
"""Told of each number of bytes that has gone out."""


class Uploads:
    """Sends files into a project, a few parts of any of them at a time."""

    def __init__(self, client: Client, http: httpx.AsyncClient, project_id: str, sent: Sent) -> None:
        """Nothing is sent yet."""
        self._client = client
        self._http = http
        self._project_id = project_id
        self._sent = sent
        self._room = asyncio.Semaphore(_AT_ONCE)
        self.parts = 0
        """How many have gone out."""

    async def send(self, path: Path, content_type: str) -> str:
        """Announce a file with its checksum, PUT its parts, complete it; return the asset's id."""
        size, sha256 = await asyncio.to_thread(_measured, path)
        upload = await self._client.do(
            CREATE_UPLOAD,
            projectId=self._project_id,
            filename=path.name,
            size=size,
            contentType=content_type,
            sha256=sha256,
        )
        async with asyncio.TaskGroup() as sending:
            for part in upload["parts"]:
                sending.create_task(self._send_part(path, part))
        return (await self._client.do(COMPLETE_UPLOAD, id=upload["id"]))["id"]

    async def _send_part(self, path: Path, part: Json) -> None:
        async with self._room:
            content = await asyncio.to_thread(_read, path, part["offset"], part["size"])
            # With its length said, so that it goes out as it is and not in HTTP's own chunks.
            length = {"Content-Length": str(len(content))}
            answer = await self._http.put(part["url"], content=self._told(content), headers=length)
        if answer.status_code != _OK:
            raise DemoFailed(f"part {part['number']} of {path.name} was refused: {answer.status_code} {answer.text}")
        self.parts += 1

    async def _told(self, content: bytes) -> AsyncGenerator[bytes]:
        for start in range(0, len(content), _CHUNK):
            yield content[start : start + _CHUNK]
            self._sent(min(_CHUNK, len(content) - start))


async def download(http: httpx.AsyncClient, asset: Json, path: Path, tell: Callable[[str, float], None]) -> None:
    """Fetch an asset whole, check it against what the API says of it, and try what players and caches ask for."""
    url: str = asset["downloadUrl"]
    part, digest, received = path.with_suffix(".part"), hashlib.sha256(), 0
    async with http.stream("GET", url) as answer:
        if answer.status_code != _OK:
            raise DemoFailed(f"the download was answered with {answer.status_code}")
        with part.open("wb") as file:
            async for chunk in answer.aiter_bytes(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                tell(f"{received / 1e6:.1f} MB", received / asset["size"])
    _expect({"size": received, "SHA-256": digest.hexdigest()}, {"size": asset["size"], "SHA-256": asset["sha256"]})
    _expect({"Content-Type": answer.headers.get("content-type")}, {"Content-Type": "video/mp4"})
    await _check_range(http, url, part, received)
    await _check_etag(http, url, answer.headers.get("etag", ""))
    part.replace(path)


async def _check_range(http: httpx.AsyncClient, url: str, file: Path, size: int) -> None:
    first, last = size // 3, size // 3 + 999
    answer = await http.get(url, headers={"Range": f"bytes={first}-{last}"})
    _expect(
        {"status": answer.status_code, "Content-Range": answer.headers.get("content-range"), "bytes": answer.content},
        {"status": 206, "Content-Range": f"bytes {first}-{last}/{size}", "bytes": _read(file, first, 1000)},
    )


async def _check_etag(http: httpx.AsyncClient, url: str, etag: str) -> None:
    answer = await http.get(url, headers={"If-None-Match": etag})
    _expect({"status with the ETag": answer.status_code}, {"status with the ETag": 304})


def _expect(found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    for name, value in wanted.items():
        if found[name] != value:
            raise DemoFailed(f"the download's {name} is {found[name]!r:.100}, expected was {value!r:.100}")


def _measured(path: Path) -> tuple[int, str]:
    """Its size and checksum."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
