"""Moves on a file system that leave a file whole or absent, whatever stops them half-way. All of them block.

What lies here is readable by its owner only and never executable. Names are made to appear by rename or link once
their bytes are on the disk, so a name that is there after a power cut has its bytes.
"""

import hashlib
import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from io import BufferedReader, BufferedWriter
from pathlib import Path

from persistence.storage import StorageFullError, StoredFile

_BLOCK = 2**20
_RESERVE = 256 * 2**20
"""Bytes left free on the disk: the database may live on the same one, and must not die of a large upload."""


@contextmanager
def full_disk_named() -> Generator[None]:
    """Raise StorageFullError in place of the operating system's errors for a full disk or a spent quota."""
    try:
        yield
    except OSError as error:
        if error.errno in {ENOSPC, EDQUOT}:
            raise StorageFullError("the disk is full") from error
        raise


def check_room(folder: Path, size: int) -> None:
    """Raise StorageFullError when `size` more bytes would leave the folder's disk too little."""
    free = shutil.disk_usage(folder).free
    if size + _RESERVE > free:
        raise StorageFullError(f"{size} bytes do not fit: the disk has {free} left, and {_RESERVE} stay free")


def make_folder(folder: Path) -> None:
    """Make the folder and what leads to it, open to its owner only."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def create(path: Path) -> BufferedWriter:
    """Open a new file for writing; raise FileExistsError where something is there, be it a dangling link."""
    return open(path, "xb", opener=_private)


def open_to_read(path: Path) -> BufferedReader:
    """Open a file for reading; refuse (OSError) a symbolic link in its place."""
    return open(path, "rb", opener=_unfollowing)


def write_joined(sources: Iterable[Path], target: Path) -> StoredFile:
    """Write one new file of these, in order, down to the disk, and hash it on the way; memory stays flat."""
    digest, size, block = hashlib.sha256(), 0, memoryview(bytearray(_BLOCK))
    with create(target) as joined:
        for path in sources:
            with open_to_read(path) as source:
                while count := source.readinto(block):
                    digest.update(block[:count])
                    joined.write(block[:count])
                    size += count
        sync(joined)
    return StoredFile(size=size, sha256=digest.hexdigest())


def hashed(path: Path) -> StoredFile:
    """Read the file through for its size and hash."""
    with open_to_read(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return StoredFile(size=file.tell(), sha256=digest.hexdigest())


def sync(file: BufferedWriter) -> None:
    """Return when what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def place(temporary: Path, target: Path, *, replace: bool) -> None:
    """Give a finished temporary file its name, making the folder; raise FileExistsError unless it may replace."""
    while True:
        try:
            make_folder(target.parent)
            if replace:
                temporary.replace(target)
            else:
                _claim(temporary, target)
        except FileNotFoundError:
            # A delete beside us has just tidied the empty folder away: make it again. But when it is the temporary file
            # that is gone, there is nothing to place.
            if not temporary.exists():
                raise
        else:
            return _sync_folder(target.parent)


def remove(path: Path, *, up_to: Path) -> None:
    """Remove the file if it is there, and the folders this leaves empty, below `up_to`."""
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        path.unlink()
    for folder in path.parents:
        if folder == up_to:
            return
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return


def _claim(temporary: Path, target: Path) -> None:
    try:
        target.hardlink_to(temporary)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        # A file system without hard links: of two at once the later wins, with the same bytes in all honest cases.
        if target.exists():
            raise FileExistsError(target) from None
        temporary.replace(target)
    else:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _unfollowing(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
