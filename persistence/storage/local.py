"""Storage on a local disk, or on a network file system that every process mounts.

    <storage_path>/objects/<key>            whole objects
    <storage_path>/parts/<upload id>/<n>    parts that have arrived whole; the folder *is* the open upload
    <storage_path>/tmp/                     what is not finished yet, and what is being removed

Closing an upload moves its folder away in one step, so a part that comes too late finds no place and leaves nothing.
"""

import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from io import BufferedReader
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import TypeVar, TypeVarTuple

from anyio import CancelScope, CapacityLimiter
from anyio.to_thread import run_sync

from domain.refusals import ChecksumMismatch, UploadIncomplete
from persistence.settings import Settings
from persistence.storage import (
    InvalidKeyError,
    ObjectNotFoundError,
    PendingUpload,
    StoredFile,
    check_key,
    disk,
    served_type,
)
from persistence.storage.signing import MediaUrls, ObjectGrant, PartGrant, expiry

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_BLOCK = 2**18
"""Bytes gathered before they go to the disk: a write in a thread costs about as much as moving this many."""


class UploadClosedError(Exception):
    """The upload is complete, discarded or unknown: it takes no parts."""


class PartSizeError(Exception):
    """The part has another size than was agreed; `received` counts up to where that was clear."""

    def __init__(self, *, expected: int, received: int) -> None:
        """Say it in the words a client reads."""
        super().__init__(f"This part has exactly {expected} bytes; {received} came.")
        self.expected = expected
        self.received = received


class LocalStorage:
    """The verbs of `Storage`, and what the signed media routes need to serve its URLs."""

    def __init__(self, settings: Settings) -> None:
        """Touch nothing yet: folders are made when something is stored."""
        root = settings.storage_path.resolve()
        self.urls = MediaUrls(settings.public_url, settings.secret_key)
        self._objects, self._parts, self._temporary = root / "objects", root / "parts", root / "tmp"
        self._longest_upload = timedelta(hours=settings.upload_hours)
        # Threads of our own, so that a slow disk starves nobody else; and whole-file copies must not hold up the rest.
        self._short, self._long = CapacityLimiter(16), CapacityLimiter(4)

    async def begin_upload(self, upload_id: str, key: str) -> str:
        """Make the folder its parts go into; the handle is the upload's id."""
        check_key(key)
        await self._run(self._short, disk.make_folder, self._upload(upload_id))
        return upload_id

    def part_url(self, upload: PendingUpload, number: int, size: int, expires_at: datetime) -> str:
        """Return the URL that takes the part."""
        return self.urls.part(PartGrant(upload.handle, number, size, expiry(expires_at)))

    async def received_parts(self, upload: PendingUpload) -> dict[int, int]:
        """Return the size of each part that has arrived."""
        if _is_foreign(upload):
            return {}
        return await self._run(self._short, _sizes, self._upload(upload.handle))

    async def complete_upload(
        self, upload: PendingUpload, part_sizes: Sequence[int], *, sha256: str | None = None
    ) -> StoredFile:
        """Join the parts into the object, hashing on the way: about as long as copying the file."""
        return await self._run(self._long, self._complete, upload, part_sizes, sha256)

    async def discard_upload(self, upload: PendingUpload) -> None:
        """Remove the parts and the place for them."""
        if not _is_foreign(upload):
            await self._run(self._short, lambda: self._close_upload(self._upload(upload.handle)))

    async def put(self, path: Path, key: str, *, content_type: str) -> StoredFile:  # noqa: ARG002 - the URL says it here
        """Copy the file in, hashing on the way."""
        return await self._run(self._long, self._put, path, key)

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:  # noqa: ARG002 - nothing travels
        """Link the object to the path, or copy it to another disk."""
        await self._run(self._long, self._fetch, key, path)

    async def size(self, key: str) -> int | None:
        """Return the size of the object's file."""
        return await self._run(self._short, self._size, key)

    async def read_through(self, key: str) -> StoredFile:
        """Read and hash the object's file."""
        return await self._run(self._long, self._read_through, key)

    async def delete(self, key: str) -> None:
        """Remove the object, and the folders that this leaves empty."""
        await self._run(self._short, lambda: disk.remove(self._object(key), up_to=self._objects))

    def download_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime, inline: bool = False
    ) -> str:
        """Return the URL that serves the object."""
        grant = ObjectGrant(check_key(key), filename, served_type(content_type), inline, expiry(expires_at))
        return self.urls.object(grant)

    async def sweep(self, older_than: timedelta) -> int:
        """Remove unfinished files, and the folders of uploads whose every URL has expired that long ago."""
        return await self._run(self._long, self._sweep, older_than)

    async def receive_part(self, grant: PartGrant, body: AsyncIterable[bytes]) -> str:
        """Keep a part as it streams in, in place of an earlier one; return the SHA-256 of its bytes.

        Whole or not at all: raises PartSizeError, UploadClosedError, StorageFullError, or what the body raises. Memory
        stays flat.
        """
        place = self._upload(grant.handle) / str(grant.number)
        part = await self._run(self._short, _ArrivingPart, place, grant.size)
        try:
            received, block = 0, bytearray()
            async for chunk in body:
                received += len(chunk)
                if received > grant.size:
                    raise PartSizeError(expected=grant.size, received=received)
                block += chunk
                if len(block) >= _BLOCK:
                    await self._run(self._short, part.write, block)
                    block = bytearray()
            if received < grant.size:
                raise PartSizeError(expected=grant.size, received=received)
            await self._run(self._short, part.write, block)
            return await self._run(self._short, part.keep)
        finally:
            with CancelScope(shield=True):
                await self._run(self._short, part.close)

    async def open_object(self, key: str) -> BufferedReader:
        """Open the object for reading: what is open stays whole, even when it is replaced or deleted meanwhile."""
        return await self._run(self._short, self._open, key)

    async def _run(self, limiter: CapacityLimiter, function: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        with disk.full_disk_named():
            return await run_sync(function, *args, limiter=limiter)

    def _object(self, key: str) -> Path:
        return _inside(self._objects, check_key(key))

    def _upload(self, handle: str) -> Path:
        if "/" in handle:
            raise InvalidKeyError(f"{handle[:100]!r} is not an upload")
        return _inside(self._parts, check_key(handle))

    def _unfinished(self) -> Path:
        disk.make_folder(self._temporary)
        return self._temporary / token_hex(16)

    def _complete(self, upload: PendingUpload, part_sizes: Sequence[int], sha256: str | None) -> StoredFile:
        target, folder = self._object(upload.key), self._upload(upload.handle)
        stored = None if _missing(folder, part_sizes) else self._join(folder, part_sizes, target, sha256)
        if stored is not None:
            return stored
        # Parts are missing, went missing while they were joined, or the object is there already: a second completion
        # finds any of these when the first has just succeeded.
        if not (target.is_file() and target.stat().st_size == sum(part_sizes)):
            raise UploadIncomplete(missing_parts=_missing(folder, part_sizes))
        stored = disk.hashed(target)
        _check_sum(stored, sha256)
        return stored

    def _join(self, folder: Path, part_sizes: Sequence[int], target: Path, sha256: str | None) -> StoredFile | None:
        temporary = self._unfinished()
        disk.check_room(self._temporary, sum(part_sizes))
        try:
            stored = disk.write_joined([folder / str(number) for number in range(1, len(part_sizes) + 1)], temporary)
            _check_sum(stored, sha256)
            disk.place(temporary, target, replace=False)
        except (FileNotFoundError, FileExistsError):
            return None
        finally:
            temporary.unlink(missing_ok=True)
        # Only who made the object closes the upload. If that is done already it was discarded while we joined, and then
        # perhaps its object was "deleted" before it was there.
        if not self._close_upload(folder):
            disk.remove(target, up_to=self._objects)
            return None
        return stored

    def _close_upload(self, folder: Path) -> bool:
        away = self._unfinished()
        try:
            folder.rename(away)
        except FileNotFoundError:
            return False
        shutil.rmtree(away, ignore_errors=True)
        return True

    def _put(self, path: Path, key: str) -> StoredFile:
        target, temporary = self._object(key), self._unfinished()
        disk.check_room(self._temporary, path.stat().st_size)
        try:
            stored = disk.write_joined([path], temporary)
            disk.place(temporary, target, replace=True)
        finally:
            temporary.unlink(missing_ok=True)
        return stored

    def _fetch(self, key: str, path: Path) -> None:
        with self._open(key) as source:
            disk.make_folder(path.parent)
            temporary = path.with_name(f".{token_hex(16)}")
            try:
                try:
                    temporary.hardlink_to(self._object(key))
                except OSError:
                    with disk.create(temporary) as copy:
                        shutil.copyfileobj(source, copy, 2**20)
                temporary.replace(path)
            finally:
                # Also after success: renaming one link of a file onto another of the same file leaves both.
                temporary.unlink(missing_ok=True)

    def _open(self, key: str) -> BufferedReader:
        try:
            file = disk.open_to_read(self._object(key))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectNotFoundError(key) from None
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise ObjectNotFoundError(key)
        return file

    def _size(self, key: str) -> int | None:
        try:
            with self._open(key) as file:
                return os.fstat(file.fileno()).st_size
        except ObjectNotFoundError:
            return None

    def _read_through(self, key: str) -> StoredFile:
        try:
            return disk.hashed(self._object(key))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectNotFoundError(key) from None

    def _sweep(self, older_than: timedelta) -> int:
        swept = 0
        for path in _untouched(self._temporary, older_than):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            swept += 1
        for folder in _untouched(self._parts, older_than + self._longest_upload):
            self._close_upload(folder)
            swept += 1
        for folder in _untouched(self._parts, timedelta()):
            for path in _untouched(folder, older_than):
                if not path.name.isdecimal():
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept


class _ArrivingPart:
    """A part on its way: a temporary file beside its future place. The methods block."""

    def __init__(self, place: Path, size: int) -> None:
        try:
            disk.check_room(place.parent, size)
            self._path = place.with_name(f"{place.name}.{token_hex(8)}")
            self._file = disk.create(self._path)
        except (FileNotFoundError, NotADirectoryError):
            raise UploadClosedError from None
        self._place, self._digest = place, hashlib.sha256()

    def write(self, block: bytearray) -> None:
        self._digest.update(block)
        self._file.write(block)

    def keep(self) -> str:
        """Give the part its name, which is there only once the bytes are on the disk; return its SHA-256."""
        disk.sync(self._file)
        try:
            self._path.replace(self._place)
        except FileNotFoundError:
            raise UploadClosedError from None
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file, and remove it unless it was kept."""
        with suppress(OSError):  # a full disk says so once more for what is still buffered
            self._file.close()
        self._path.unlink(missing_ok=True)


def _is_foreign(upload: PendingUpload) -> bool:
    """Whether the upload was begun on another storage, before media were moved here: nothing of it can be here."""
    try:
        return "/" in check_key(upload.handle)
    except InvalidKeyError:
        return True


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    # The name is made of plain segments, so only a symbolic link on the way can lead elsewhere.
    if os.path.realpath(path) != str(path):
        raise InvalidKeyError(f"{name!r} leads out of the storage")
    return path


def _sizes(folder: Path) -> dict[int, int]:
    try:
        with os.scandir(folder) as entries:
            return {int(entry.name): entry.stat().st_size for entry in entries if entry.name.isdecimal()}
    except FileNotFoundError:
        return {}


def _missing(folder: Path, part_sizes: Sequence[int]) -> list[int]:
    arrived = _sizes(folder)
    return [number for number, size in enumerate(part_sizes, 1) if arrived.get(number) != size]


def _check_sum(stored: StoredFile, sha256: str | None) -> None:
    if sha256 is not None and stored.sha256 != sha256:
        raise ChecksumMismatch(expected=sha256, actual=stored.sha256)


def _untouched(folder: Path, older_than: timedelta) -> Iterator[Path]:
    before = time.time() - older_than.total_seconds()
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime <= before:
                    yield Path(entry.path)
