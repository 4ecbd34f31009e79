"""Storage in a bucket on S3, or on a store that speaks its language.

Clients send parts to the store and read objects from it by URLs that are signed here. What we ask of the store
ourselves runs in a bounded number of threads, so that the event loop never waits.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any, Self, TypeVar, TypeVarTuple

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from domain.refusals import ChecksumMismatch, UploadIncomplete
from persistence.settings import Settings
from persistence.storage import (
    ObjectDamagedError,
    ObjectNotFoundError,
    PendingUpload,
    StorageUnavailableError,
    StoredFile,
    content_disposition,
    disk,
    served_type,
)
from persistence.storage.bucket import ArrivedPart, Bucket, PartReplacedError, UploadUnknownError
from persistence.storage.presign import Presigner

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_SHORT, _LONG = 16, 6
"""Threads for questions and answers, and for whole files."""
_REMEMBER = 900.0
"""Seconds that the hash of a completed upload is kept for clients who lost the answer."""
_BETWEEN_SWEEPS = 3600.0
"""Seconds. To list uploads costs money, and what is abandoned waits for days."""
_REFRESH = 60.0
"""Seconds. Keys that run out are fetched anew some minutes before."""


class S3Storage:
    """The verbs of `Storage`."""

    def __init__(self, bucket: Bucket, settings: Settings) -> None:
        """Use an open bucket, on the running event loop."""
        self.bucket = bucket
        self._keys = bucket.keys()
        self._presigner = Presigner(bucket.public_url, bucket.region, lambda: self._keys)
        self._longest_upload = timedelta(hours=settings.upload_hours)
        self._short, self._long = CapacityLimiter(_SHORT), CapacityLimiter(_LONG)
        self._hashes: dict[str, asyncio.Task[StoredFile]] = {}
        self._refreshing = asyncio.create_task(self._refresh()) if bucket.passing_keys else None
        self._next_sweep = 0.0

    @classmethod
    async def opened(cls, settings: Settings) -> Self:
        """Make the client, in a thread, as that takes a while. Raises SettingError."""
        return cls(await run_sync(Bucket, settings), settings)

    async def close(self) -> None:
        """Stop what is going on, and let go of all connections."""
        tasks: list[asyncio.Task[Any]] = [*self._hashes.values()]
        if self._refreshing is not None:
            tasks.append(self._refreshing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await run_sync(self.bucket.close)

    async def begin_upload(self, upload_id: str, key: str) -> str:  # noqa: ARG002 - the store makes its own ids
        """Open a multipart upload; the handle is the store's id of it."""
        return await self._run(self._short, self.bucket.begin, key)

    def part_url(self, upload: PendingUpload, number: int, size: int, expires_at: datetime) -> str:
        """Return the URL that takes the part; its size is signed too."""
        return self._presigner.url(
            "PUT",
            self.bucket.full_key(upload.key),
            {"partNumber": str(number), "uploadId": upload.handle},
            signed_at=_this_hour(),
            expires_at=expires_at,
            headers={"content-length": str(size)},
        )

    async def received_parts(self, upload: PendingUpload) -> dict[int, int]:
        """Ask the store which parts it has."""
        try:
            parts = await self._run(self._short, self.bucket.parts, upload)
        except UploadUnknownError:
            return {}
        return {part.number: part.size for part in parts}

    async def complete_upload(
        self, upload: PendingUpload, part_sizes: Sequence[int], *, sha256: str | None = None
    ) -> StoredFile:
        """Let the store join the parts, then read the object through for its hash.

        No store hashes what came in parts, so every byte of it comes here once. Whoever asks again meanwhile waits for
        the same reading.
        """
        await self._run(self._short, self._join, upload, part_sizes)
        try:
            stored = await self._hashed_once(upload.key)
        except ObjectNotFoundError:  # discarded while we read
            raise UploadIncomplete(missing_parts=list(range(1, len(part_sizes) + 1))) from None
        if sha256 is not None and stored.sha256 != sha256:
            raise ChecksumMismatch(expected=sha256, actual=stored.sha256)
        return stored

    async def discard_upload(self, upload: PendingUpload) -> None:
        """Abort the upload; the store removes its parts."""
        with suppress(UploadUnknownError):
            await self._run(self._short, self.bucket.abort, upload)

    async def put(self, path: Path, key: str, *, content_type: str) -> StoredFile:
        """Hash the file, then send it, in several parts at once if it is large."""
        stored = await self._run(self._long, disk.hashed, path)
        sending = self.bucket.upload(path, key, content_type=content_type, sha256=stored.sha256)
        try:
            await self._run(self._long, self.bucket.finish, sending)
        finally:
            sending.cancel()  # nothing, once it is done
        return stored

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        """Stream the object into a file, hashing on the way."""
        await self._while_wanted(lambda stop: self._fetch(key, path, sha256, stop))

    async def size(self, key: str) -> int | None:
        """Ask the store."""
        return await self._run(self._short, self.bucket.size, key)

    async def read_through(self, key: str) -> StoredFile:
        """Stream the object through the hash."""
        return await self._while_wanted(lambda stop: self._read_through(key, stop))

    async def delete(self, key: str) -> None:
        """Remove the object."""
        await self._run(self._short, self.bucket.delete, key)

    def download_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime, inline: bool = False
    ) -> str:
        """Return the URL that serves the object, under its name and as what it is. For GET only: S3 signs methods."""
        return self._presigner.url(
            "GET",
            self.bucket.full_key(key),
            {
                "response-content-disposition": content_disposition(filename, inline=inline),
                "response-content-type": served_type(content_type),
            },
            signed_at=_this_hour(),
            expires_at=expires_at,
        )

    async def sweep(self, older_than: timedelta) -> int:
        """Abort uploads whose every URL has expired that long ago; looks once an hour at most."""
        if time.monotonic() < self._next_sweep:
            return 0
        self._next_sweep = time.monotonic() + _BETWEEN_SWEEPS
        before = datetime.now(UTC) - older_than - self._longest_upload
        return await self._run(self._long, self._sweep, before)

    async def _run(self, limiter: CapacityLimiter, function: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        return await run_sync(function, *args, limiter=limiter)

    async def _while_wanted(self, function: Callable[[Event], _T]) -> _T:
        """Run it in a thread, and tell the thread when nobody waits for it any more."""
        stop = Event()
        try:
            return await run_sync(function, stop, limiter=self._long, abandon_on_cancel=True)
        finally:
            stop.set()

    async def _refresh(self) -> None:
        """Keep the keys good that run out, so that signing never has to fetch any."""
        while True:
            await asyncio.sleep(_REFRESH)
            with suppress(StorageUnavailableError):
                self._keys = await self._run(self._short, self.bucket.keys)

    async def _hashed_once(self, key: str) -> StoredFile:
        """Read the object through, once for all who ask within some minutes, even if the first has gone by then."""
        task = self._hashes.get(key)
        if task is None:
            task = self._hashes[key] = asyncio.create_task(self.read_through(key))
            task.add_done_callback(lambda done: self._keep_hash(key, done))
        return await asyncio.shield(task)

    def _keep_hash(self, key: str, task: "asyncio.Task[StoredFile]") -> None:
        if task.cancelled() or task.exception() is not None:
            del self._hashes[key]
        else:
            asyncio.get_running_loop().call_later(_REMEMBER, self._hashes.pop, key, None)

    def _join(self, upload: PendingUpload, part_sizes: Sequence[int]) -> None:
        try:
            self.bucket.complete(upload, _all_arrived(self.bucket.parts(upload), part_sizes))
        except PartReplacedError:  # somebody sends parts again this very moment
            raise UploadIncomplete(missing_parts=[]) from None
        except UploadUnknownError:
            # Closed. A second completion finds this when the first has just succeeded; then the object is there.
            if self.bucket.size(upload.key) != sum(part_sizes):
                _all_arrived([], part_sizes)

    def _fetch(self, key: str, path: Path, sha256: str | None, stop: Event) -> None:
        reading = self.bucket.read(key, stop)
        disk.make_folder(path.parent)
        temporary = path.with_name(f".{token_hex(16)}")
        digest = hashlib.sha256()
        try:
            with disk.full_disk_named():
                disk.check_room(path.parent, reading.size)
                with disk.create(temporary) as copy:
                    for block in reading:
                        digest.update(block)
                        copy.write(block)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise ObjectDamagedError(f"{key} has SHA-256 {digest.hexdigest()}, not {sha256} as it was stored")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _read_through(self, key: str, stop: Event) -> StoredFile:
        reading = self.bucket.read(key, stop)
        digest = hashlib.sha256()
        for block in reading:
            digest.update(block)
        return StoredFile(size=reading.size, sha256=digest.hexdigest())

    def _sweep(self, before: datetime) -> int:
        swept = 0
        for upload in self.bucket.unfinished(before):
            with suppress(UploadUnknownError):
                self.bucket.abort(upload)
                swept += 1
        return swept


def _all_arrived(parts: Sequence[ArrivedPart], sizes: Sequence[int]) -> list[ArrivedPart]:
    """Return the parts that make up the file, in order; raise UploadIncomplete."""
    arrived = {part.number: part for part in parts}
    wanted = dict(enumerate(sizes, 1))
    if missing := [number for number, size in wanted.items() if number not in arrived or arrived[number].size != size]:
        raise UploadIncomplete(missing_parts=missing)
    return [arrived[number] for number in wanted]


def _this_hour() -> datetime:
    """When the present hour began. URLs dated so are equal for that long, and caches know them again."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
