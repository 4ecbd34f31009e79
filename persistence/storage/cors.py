"""Leave for browsers to speak to the bucket: without it no page of another origin can send parts or play media."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from persistence.settings import Settings
from persistence.storage import PendingUpload
from persistence.storage.s3 import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef

METHODS = ("PUT", "GET", "HEAD")
EXPOSED = ("ETag", "Content-Range", "Accept-Ranges", "Content-Disposition")
_OURS = "reelgraph"
"""The id of our rule, so that setting it again leaves the bucket's other rules alone."""
_ANY_ORIGIN = "https://any.example"


def origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins whose pages need the bucket: the allowed ones, and the API's own (the store has another)."""
    if "*" in settings.allowed_origins:
        return ("*",)
    parts = urlsplit(settings.public_url)
    return tuple(dict.fromkeys((*settings.allowed_origins, f"{parts.scheme}://{parts.netloc}")))


async def set_cors(storage: S3Storage, settings: Settings) -> None:
    """Put our rule into the bucket, beside the others. Raises StorageUnavailableError; stores without rules say so."""

    def replace() -> None:
        others = [rule for rule in storage.bucket.cors_rules() if rule.get("ID") != _OURS]
        ours: CORSRuleTypeDef = {
            "ID": _OURS,
            "AllowedOrigins": list(origins(settings)),
            "AllowedMethods": list(METHODS),
            "AllowedHeaders": ["*"],
            "ExposeHeaders": list(EXPOSED),
            "MaxAgeSeconds": 3600,
        }
        storage.bucket.set_cors_rules([*others, ours])

    await asyncio.to_thread(replace)


async def check_cors(storage: S3Storage, settings: Settings, *, web: httpx.AsyncClient | None = None) -> list[str]:
    """Ask the store what a browser asks it, for each origin; return what is wrong, one line each.

    By the public address: what cannot be reached from here is said too. Works with every store, however it is told
    whom to let in.
    """
    async with web or httpx.AsyncClient(timeout=10) as client:
        try:
            return [problem for each in origins(settings) for problem in await _problems(client, storage, each)]
        except httpx.HTTPError as error:
            return [f"{storage.bucket.public_url} cannot be reached from here: {error or type(error).__name__}"]


async def _problems(client: httpx.AsyncClient, storage: S3Storage, allowed: str) -> list[str]:
    origin = _ANY_ORIGIN if allowed == "*" else allowed
    soon = datetime.now(UTC) + timedelta(minutes=5)
    part = storage.part_url(PendingUpload(key="cors-check", handle="none"), 1, 1, soon)
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    preflight = await client.options(part, headers=asked)
    if not preflight.is_success or not _lets_in(preflight, origin):
        return [f"pages of {allowed} may not send parts to {storage.bucket.public_url}"]
    if "PUT" not in _listed(preflight, "access-control-allow-methods"):
        return [f"pages of {allowed} may speak to {storage.bucket.public_url}, but not PUT"]
    nothing = storage.download_url("cors-check", filename="x", content_type="text/plain", expires_at=soon)
    # There is no such object. A store says that with the same headers as any other answer.
    answer = await client.get(nothing, headers={"Origin": origin})
    if not _lets_in(answer, origin):
        return [f"pages of {allowed} may not read from {storage.bucket.public_url}"]
    shown = _listed(answer, "access-control-expose-headers")
    hidden = [header for header in EXPOSED if header.upper() not in shown and "*" not in shown]
    return [f"pages of {allowed} are not shown the headers {', '.join(hidden)}"] if hidden else []


def _lets_in(answer: httpx.Response, origin: str) -> bool:
    return answer.headers.get("access-control-allow-origin") in {origin, "*"}


def _listed(answer: httpx.Response, header: str) -> Sequence[str]:
    return [each.strip().upper() for each in answer.headers.get(header, "").split(",")]
