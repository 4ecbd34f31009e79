"""Where media lie: the same few verbs, whatever keeps the bytes.

Objects are whole or absent, never half there. Large files come in through a multipart upload whose parts the client
sends straight to the storage, and go out through signed URLs; no byte of either passes through GraphQL.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

_KEY_BYTES = 500
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(; ?[\w-]+=[\w.-]+)*", re.ASCII)


class InvalidKeyError(ValueError):
    """The key cannot name an object. Keys are made by us, so this is our mistake or somebody's attack."""


class ObjectNotFoundError(Exception):
    """There is no object under this key."""


class StorageFullError(Exception):
    """The storage has no room for this: free some, then try again."""


class StorageUnavailableError(Exception):
    """The storage does not answer, or does not let us in; the message is one line. Trying again may help."""


class ObjectDamagedError(Exception):
    """What came from the storage is not what was stored there."""


@dataclass(frozen=True, kw_only=True)
class PendingUpload:
    """A multipart upload in progress: the key its object will have, and the handle `begin_upload` gave."""

    key: str
    handle: str


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """What was stored: its size in bytes and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


class Storage(Protocol):
    """What the product asks of a storage.

    Keys are path-like names such as `projects/<id>/assets/<id>/original`; no key may be the folder of another. Times
    are aware. Every verb may be repeated, and run twice at once. Those that wait may raise StorageUnavailableError.
    """

    async def begin_upload(self, upload_id: str, key: str) -> str:
        """Open a multipart upload for an object that does not exist yet; return the storage's handle of it."""
        ...

    def part_url(self, upload: PendingUpload, number: int, size: int, expires_at: datetime) -> str:
        """Return the URL that takes a PUT of part `number` (from 1) of exactly `size` bytes, until it expires.

        Computed locally, without I/O. The answer to the PUT carries an ETag.
        """
        ...

    async def received_parts(self, upload: PendingUpload) -> dict[int, int]:
        """Return the size in bytes of each part that has arrived whole; nothing for an upload that is closed."""
        ...

    async def complete_upload(
        self, upload: PendingUpload, part_sizes: Sequence[int], *, sha256: str | None = None
    ) -> StoredFile:
        """Make the object of its parts, in order, and close the upload.

        Raises UploadIncomplete when a part is missing or has another size, StorageFullError. Then there is no object,
        and the parts can be sent again. Raises ChecksumMismatch when a SHA-256 is given and the bytes have another.
        Then the upload may be closed, and what lies under the key is to be deleted: begin another, under a new key.
        An upload that is complete already answers as it did the first time: the first object made under the key stays.
        """
        ...

    async def discard_upload(self, upload: PendingUpload) -> None:
        """Close the upload and remove its parts; harmless when it is closed or unknown."""
        ...

    async def put(self, path: Path, key: str, *, content_type: str) -> StoredFile:
        """Store a finished local file, in place of what was there; the file itself stays as it is.

        Raises StorageFullError.
        """
        ...

    async def fetch(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        """Bring the object to a local file, whole, for reading only: it may share its bytes with the storage.

        Raises ObjectNotFoundError. With a SHA-256, what comes over a network is compared with it on the way:
        ObjectDamagedError.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Return the object's size in bytes, or None when there is none."""
        ...

    async def read_through(self, key: str) -> StoredFile:
        """Read the object to its end, for its size and hash. Raises ObjectNotFoundError."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; harmless when there is none. Downloads that have begun go on."""
        ...

    def download_url(
        self, key: str, *, filename: str, content_type: str, expires_at: datetime, inline: bool = False
    ) -> str:
        """Return the URL that answers GET (with Range) until it expires, and HEAD too on a local disk.

        Computed locally, without I/O.
        The client is told to save the object under `filename`, or with `inline` to show it.
        """
        ...

    async def sweep(self, older_than: timedelta) -> int:
        """Remove what crashes left behind and nothing has touched for that long; return how many things went."""
        ...


def check_key(key: str) -> str:
    """Return the key; raise InvalidKeyError where it could be anything but a plain relative path of plain names."""
    if len(key) > _KEY_BYTES or not _KEY.fullmatch(key):
        raise InvalidKeyError(f"{key[:100]!r} is not a storage key")
    return key


def served_type(content_type: str) -> str:
    """Return the media type to serve a file as; bytes of no type where it is not fit for a header."""
    return content_type if _CONTENT_TYPE.fullmatch(content_type) else "application/octet-stream"


def content_disposition(filename: str, *, inline: bool) -> str:
    """Return the header value that names a download (RFC 6266), whatever characters the name has."""
    disposition = "inline" if inline else "attachment"
    # Old clients (and `curl -J`) read the plain form only; the others prefer the one with the star.
    plain = re.sub(r'[^ -~]|["%\\/]', "_", filename)
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"
