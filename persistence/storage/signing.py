"""Signed media URLs: each opens one part or one object, for a while, to whoever holds it."""

import math
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import quote

from itsdangerous import BadSignature, URLSafeSerializer


class InvalidUrlError(Exception):
    """The URL is not one of ours, or was changed on its way."""


class ExpiredUrlError(Exception):
    """The URL was good once: ask for a new one."""


@dataclass(frozen=True)
class PartGrant:
    """Leave to send part `number` of an upload, of exactly `size` bytes, until `expires` (seconds since 1970)."""

    handle: str
    number: int
    size: int
    expires: int


@dataclass(frozen=True)
class ObjectGrant:
    """Leave to read an object until `expires` (seconds since 1970), served under this name and type."""

    key: str
    filename: str
    content_type: str
    inline: bool
    expires: int


_Grant = TypeVar("_Grant", PartGrant, ObjectGrant)


class MediaUrls:
    """Signs grants into URLs and reads them back. Equal grants make equal URLs, on every process."""

    def __init__(self, public_url: str, secret_key: str) -> None:
        """Derive a key for each purpose, so that leave to read is never leave to write."""
        self._base = f"{public_url}/media"
        self._parts = _serializer(secret_key, "media-part-1")
        self._objects = _serializer(secret_key, "media-object-1")

    def part(self, grant: PartGrant) -> str:
        """Return the URL to PUT the part to."""
        return f"{self._base}/parts/{self._parts.dumps(astuple(grant))}"

    def object(self, grant: ObjectGrant) -> str:
        """Return the URL to GET the object from.

        It ends in the file's name for the eye and for `curl -O`; what counts is the name that was signed.
        """
        return f"{self._base}/objects/{self._objects.dumps(astuple(grant))}/{_in_path(grant.filename)}"

    def read_part(self, token: str) -> PartGrant:
        """Return what a part's token grants; raise InvalidUrlError or ExpiredUrlError."""
        match _read(self._parts, token):
            case [str(handle), int(number), int(size), int(expires)]:
                return _unexpired(PartGrant(handle, number, size, expires))
            case _:
                raise InvalidUrlError

    def read_object(self, token: str) -> ObjectGrant:
        """Return what an object's token grants; raise InvalidUrlError or ExpiredUrlError."""
        match _read(self._objects, token):
            case [str(key), str(filename), str(content_type), bool(inline), int(expires)]:
                return _unexpired(ObjectGrant(key, filename, content_type, inline, expires))
            case _:
                raise InvalidUrlError


def expiry(moment: datetime) -> int:
    """Return the moment as a grant holds it: seconds since 1970, rounded up."""
    return math.ceil(moment.timestamp())


def _serializer(secret_key: str, purpose: str) -> URLSafeSerializer:
    return URLSafeSerializer(
        secret_key, salt=purpose, signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
    )


def _read(serializer: URLSafeSerializer, token: str) -> Sequence[Any]:
    try:
        fields = serializer.loads(token)
    except BadSignature:
        raise InvalidUrlError from None
    # The last character of a signature in base64 has spare bits. They open nothing, yet only what we wrote is ours.
    if serializer.dumps(fields) != token:
        raise InvalidUrlError
    return fields


def _unexpired(grant: _Grant) -> _Grant:
    if grant.expires <= time.time():
        raise ExpiredUrlError
    return grant


def _in_path(filename: str) -> str:
    # Clients resolve "." and ".." away even when they are quoted, and proxies take %2F for a slash.
    name = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in filename)
    return quote(name if name.strip(".") else "file", safe="", errors="replace")
