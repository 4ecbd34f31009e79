"""The stored files that jobs work on, as local files: at hand once for all the workers of a machine.

What lies in a bucket is kept below <scratch_path>/originals:

    <sha256>          a whole file; jobs hold it by hard links of their own, so that it can be removed at any time
    parts/<sha256>/   a download; who has this folder locked (flock) is the one who downloads

Files on a local disk are linked from where they are stored, and nothing of them is kept. They are read through before
they are used: FFmpeg makes pictures of a damaged file too. Of large ones a note in <scratch_path>/verified/<sha256>
says which file was found whole, for a day and for all the workers of the machine.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from domain.asset import Asset
from domain.stored import StoredObject
from persistence.resources import Resources
from persistence.settings import Settings
from persistence.storage import (
    ObjectDamagedError,
    ObjectNotFoundError,
    Storage,
    StorageFullError,
    StorageUnavailableError,
)
from tasks.lease import JobFailed, Lease

LOOK_SECONDS = 0.1
"""How often who waits for another's download looks whether it is there."""
AT_ONCE = 3
VERIFIED_FOR = 24 * 3600
"""Seconds. A disk that loses bytes without a word is found out then."""
NOTED_FROM = 32 * 2**20
"""Bytes. A smaller file is read through in less time than its picture takes to decode, and so each time."""
_BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class StoredRef:
    """An object in storage, and what its bytes are."""

    key: str
    sha256: str
    size: int

    @classmethod
    def of(cls, stored: StoredObject) -> "StoredRef":
        """What the ledger knows of it."""
        return cls(key=stored.key, sha256=stored.sha256 or "", size=stored.size or 0)


class NotBrought(JobFailed):
    """A stored file is missing or damaged, or cannot be had just now."""

    def __init__(self, ref: StoredRef, code: str, message: str, *, hopeless: bool = False) -> None:
        """Say which."""
        super().__init__(code, message, hopeless=hopeless)
        self.ref = ref


@asynccontextmanager
async def borrowed(resources: Resources, wanted: Mapping[Path, StoredRef]) -> AsyncGenerator[None]:
    """Have stored files lie at these paths, for reading only, as long as the block lasts.

    Raises NotBrought: STORAGE_FULL when the worker's disk has no room, INPUT_DAMAGED, INPUT_GONE, STORAGE_UNAVAILABLE.
    """
    try:
        await brought(resources, wanted)
        yield
    finally:
        for path in wanted:
            path.unlink(missing_ok=True)
        await unused_originals(resources)


async def brought(resources: Resources, wanted: Mapping[Path, StoredRef]) -> None:
    """Bring stored files to these paths, for reading only, several at once. Raises NotBrought, as `borrowed` does."""
    room = asyncio.Semaphore(AT_ONCE)

    async def bring(path: Path, ref: StoredRef) -> None:
        async with room:
            await _brought(resources, path, ref)

    bringing = [asyncio.create_task(bring(path, ref)) for path, ref in wanted.items()]
    try:
        await asyncio.gather(*bringing)
    finally:
        for task in bringing:
            task.cancel()
        await asyncio.gather(*bringing, return_exceptions=True)


async def fetched(lease: Lease, asset_id: str, path: Path) -> Asset:
    """Bring an asset's file to this path, for reading only; without it the job is hopeless. Raises JobFailed."""
    asset = await lease.row(Asset, asset_id)
    stored = await lease.row(StoredObject, asset.object_id)
    await brought(lease.resources, {path: StoredRef.of(stored)})
    return asset


async def unused_originals(resources: Resources) -> int:
    """Keep no more than the cap allows beyond what is in use; return how many went."""
    await asyncio.to_thread(Verified(resources.settings).forget_old)
    return await asyncio.to_thread(Originals(resources.settings).trim)


async def _brought(resources: Resources, path: Path, ref: StoredRef) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if resources.settings.storage == "disk":
            await resources.storage.fetch(ref.key, path, sha256=ref.sha256)
            await Verified(resources.settings).must_be(path, ref)
        else:
            await Originals(resources.settings).bring(resources.storage, ref, path)
    except ObjectDamagedError as damaged:
        raise NotBrought(ref, "INPUT_DAMAGED", str(damaged)) from damaged
    except ObjectNotFoundError as gone:
        raise NotBrought(ref, "INPUT_GONE", f"{ref.key} is not in storage.", hopeless=True) from gone
    except StorageFullError as full:
        raise NotBrought(ref, "STORAGE_FULL", f"The worker's disk has no room for {ref.key}: {full}.") from full
    except StorageUnavailableError as away:
        raise NotBrought(ref, "STORAGE_UNAVAILABLE", f"{ref.key} cannot be fetched: {away}.") from away


class Verified:
    """Which large files of the local storage were read through lately, and found to be what was stored."""

    def __init__(self, settings: Settings) -> None:
        """Touch nothing yet."""
        self._folder = settings.scratch_path / "verified"

    async def must_be(self, path: Path, ref: StoredRef) -> None:
        """Read the file through, unless that was done lately and it has not changed since. Raises ObjectDamagedError.

        A gigabyte takes half a second of processor time, and as long as the disk needs.
        """
        given_up = threading.Event()
        try:
            await asyncio.to_thread(self._must_be, path, ref, given_up)
        except OSError as error:
            raise ObjectDamagedError(f"{ref.key} cannot be read: {error.strerror}.") from error
        finally:
            given_up.set()

    def forget_old(self) -> None:
        """Remove the notes that count no longer."""
        for note in self._folder.glob("*"):
            with suppress(FileNotFoundError):
                if _is_old(note):
                    note.unlink()

    def _must_be(self, path: Path, ref: StoredRef, given_up: threading.Event) -> None:
        status = path.stat()
        if status.st_size != ref.size:
            path.unlink()
            raise ObjectDamagedError(f"{ref.key} has {status.st_size} bytes, and had {ref.size} when it was stored.")
        note = self._folder / ref.sha256
        which = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
        if ref.size >= NOTED_FROM and _reads(note, which):
            return
        if _sha256(path, given_up) != ref.sha256:
            if given_up.is_set():
                return  # nobody waits any more
            path.unlink()
            raise ObjectDamagedError(f"{ref.key} is not what was stored: its checksum is another.")
        if ref.size >= NOTED_FROM:
            self._folder.mkdir(parents=True, exist_ok=True)
            note.write_text(which, encoding="ascii")


def _reads(note: Path, which: str) -> bool:
    try:
        return not _is_old(note) and note.read_text(encoding="ascii") == which
    except FileNotFoundError:
        return False


def _is_old(note: Path) -> bool:
    return not 0 <= time.time() - note.stat().st_mtime < VERIFIED_FOR


def _sha256(path: Path, given_up: threading.Event) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while not given_up.is_set() and (block := file.read(_BLOCK)):
            digest.update(block)
    return digest.hexdigest()


class Originals:
    """The files that are kept on this machine; any number of processes use them at once."""

    def __init__(self, settings: Settings) -> None:
        """Touch nothing yet."""
        self._folder = settings.scratch_path / "originals"
        self._parts = self._folder / "parts"
        self._most = settings.originals_cache_bytes

    async def bring(self, storage: Storage, ref: StoredRef, path: Path) -> None:
        """Link the file to the path; if it is not here, download it, or wait for who does.

        Raises ObjectNotFoundError, ObjectDamagedError, StorageFullError, StorageUnavailableError.
        """
        while not self._linked(ref, path):
            self._parts.mkdir(parents=True, exist_ok=True)
            with _locked(self._parts / ref.sha256) as folder:
                # Another may have had the lock, and brought it, since we looked.
                if folder and not self._linked(ref, path):
                    await self._download(storage, ref, folder)
                    link(folder / "whole", path)  # first ours: once it is kept it may go at any time
                    (folder / "whole").replace(self._folder / ref.sha256)
                if folder:
                    return
            await asyncio.sleep(LOOK_SECONDS)

    def trim(self, coming: int = 0) -> int:
        """Remove what crashes left behind and, above the cap, what no job uses, the least recently used first.

        So many bytes are coming, and count too. Returns how many files went.
        """
        if not self._folder.is_dir():
            return 0
        for folder in self._parts.glob("*"):
            with _locked(folder):
                pass  # a lock that can be had is nobody's, and goes with what lies there
        kept = sorted(self._kept(), key=lambda each: each[1].st_mtime_ns)
        above = sum(status.st_size for _, status in kept) + coming - self._most
        removed = 0
        for path, status in kept:
            if above > 0 and status.st_nlink == 1:
                path.unlink(missing_ok=True)
                above -= status.st_size
                removed += 1
        return removed

    def _kept(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if path != self._parts:
                    yield path, path.stat()

    def _linked(self, ref: StoredRef, path: Path) -> bool:
        kept = self._folder / ref.sha256
        try:
            if kept.stat().st_size != ref.size:  # left so by a machine that lost power
                kept.unlink(missing_ok=True)
                return False
            os.utime(kept)
            link(kept, path)
        except FileNotFoundError:
            return False
        return True

    async def _download(self, storage: Storage, ref: StoredRef, folder: Path) -> None:
        whole = folder / "whole"
        await asyncio.to_thread(self.trim, ref.size)
        try:
            await storage.fetch(ref.key, whole, sha256=ref.sha256)
        except StorageFullError:
            await asyncio.to_thread(self.trim, self._most)  # everything that nobody uses
            await storage.fetch(ref.key, whole, sha256=ref.sha256)
        await asyncio.to_thread(_to_disk, whole)


@contextmanager
def _locked(folder: Path) -> Generator[Path | None]:
    """An empty folder that is ours alone and goes at the end, whoever else wants one of this name; None if theirs."""
    lock = _lock(folder)
    if lock is None:
        yield None
        return
    try:
        for left in folder.iterdir():
            left.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int | None:
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None  # gone between the two: somebody has just finished
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def link(file: Path, path: Path) -> None:
    """Have a file lie at a path too: the same bytes, and where the disk allows it the same file."""
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(file, path)


def _to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
