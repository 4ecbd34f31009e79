"""The signed media routes: parts come in and objects go out, for storage on a local disk.

With S3 the same URLs point at the bucket, and nothing of this is mounted.
"""

import logging
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from io import BufferedReader

from anyio import fail_after
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from persistence.storage import InvalidKeyError, ObjectNotFoundError, StorageFullError, content_disposition
from persistence.storage.local import LocalStorage, PartSizeError, UploadClosedError
from persistence.storage.signing import ExpiredUrlError, InvalidUrlError, ObjectGrant

_log = logging.getLogger(__name__)

_SAFELY = {
    # An upload may claim to be HTML or SVG. Whatever it is, it runs no script on our origin.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # The signature is the right to look; pages that isolate themselves (COEP, for WebAssembly threads) may embed it.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def routes(storage: LocalStorage, *, patience: float = 60) -> list[BaseRoute]:
    """Return the routes below /media; a client that sends nothing for `patience` seconds is given up."""

    async def put_part(request: Request) -> Response:
        grant = storage.urls.read_part(request.path_params["token"])
        announced = request.headers.get("content-length")
        if announced is not None and int(announced) != grant.size:
            raise PartSizeError(expected=grant.size, received=int(announced))
        async with aclosing(_patiently(request.stream(), patience)) as body:
            digest = await storage.receive_part(grant, body)
        return Response(headers={"ETag": f'"{digest}"'})

    async def get_object(request: Request) -> Response:
        grant = storage.urls.read_object(request.path_params["token"])
        answer = _ObjectResponse(await storage.open_object(grant.key), grant)
        if _has_already(request.headers.get("if-none-match"), answer.headers["etag"]):
            return answer.not_modified()
        return answer

    return [
        Route("/media/parts/{token}", _answering(put_part), methods=["PUT"]),
        Route("/media/objects/{token}/{filename}", _answering(get_object), methods=["GET", "HEAD"]),
    ]


class _ObjectResponse(FileResponse):
    """Serves one open file: Starlette does the ranges, we hold the file still meanwhile."""

    chunk_size = 2**18

    def __init__(self, file: BufferedReader, grant: ObjectGrant) -> None:
        facts = os.fstat(file.fileno())
        # By descriptor, not by name: a file that is replaced or deleted meanwhile is served to its end as it was.
        super().__init__(
            f"/dev/fd/{file.fileno()}",
            stat_result=facts,
            headers={
                **_SAFELY,
                "Content-Type": grant.content_type,
                "Content-Disposition": content_disposition(grant.filename, inline=grant.inline),
                "Cache-Control": f"private, max-age={max(0, grant.expires - int(time.time()))}",
                # Objects change by being replaced as a whole, so this names their bytes.
                "ETag": f'"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"',
            },
        )
        self._file = file
        self._size = facts.st_size

    def not_modified(self) -> Response:
        """Return the answer to a client that has these bytes already."""
        self._file.close()
        kept = {"etag", "cache-control", "last-modified", *(name.lower() for name in _SAFELY)}
        return Response(status_code=304, headers={k: v for k, v in self.headers.items() if k in kept})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or the ranges of it that make sense."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        asked = Headers(scope=scope).getlist("range")
        # RFC 9110: ranges are for GET, and what is not a well-formed range of bytes is as if it were not there.
        if scope["method"] == "GET" and len(asked) == 1 and (ranges := _sensible(asked[0], self._size)):
            headers.append((b"range", ranges.encode()))
        with self._file:
            await super().__call__({**scope, "headers": headers}, receive, send)


_RANGE = r"(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})"
_RANGES = re.compile(rf"bytes=({_RANGE}(?:[ \t]*,[ \t]*{_RANGE})*)", re.IGNORECASE)


def _sensible(header: str, size: int) -> str | None:
    """Return the ranges that a file of this size can satisfy (or all, if none), or None for what is no such header."""
    if not (match := _RANGES.fullmatch(header.strip())):
        return None
    ranges = [each.strip() for each in match[1].split(",")]
    satisfiable: list[str] = []
    for each in ranges:
        first, _, last = each.partition("-")
        if first and last and int(last) < int(first):
            return None
        if (int(first) < size) if first else (int(last) > 0 and size > 0):
            satisfiable.append(each)
    return "bytes=" + ",".join(satisfiable or ranges)


def _has_already(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in (
        each.strip().removeprefix("W/") for each in if_none_match.split(",")
    )


class _StalledError(Exception):
    """The client has gone silent."""


async def _patiently(chunks: AsyncIterator[bytes], patience: float) -> AsyncGenerator[bytes]:
    while True:
        try:
            with fail_after(patience):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise _StalledError from None
        if chunk is None:
            return
        yield chunk


_ANSWERS: dict[type[Exception], tuple[int, str, str]] = {
    ExpiredUrlError: (403, "URL_EXPIRED", "This URL has expired: ask for a new one."),
    InvalidUrlError: (403, "URL_INVALID", "This URL is not valid: use it exactly as it was given."),
    InvalidKeyError: (403, "URL_INVALID", "This URL leads nowhere it may."),
    ObjectNotFoundError: (404, "NOT_FOUND", "What this URL led to has been deleted."),
    UploadClosedError: (404, "UPLOAD_CLOSED", "The upload is completed, aborted or expired: it takes no more parts."),
    ClientDisconnect: (400, "BODY_INCOMPLETE", "The connection closed before all bytes had come."),
    _StalledError: (408, "BODY_STALLED", "No bytes came for a long time: send the part again."),
}


def _answering(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except tuple(_ANSWERS) as refused:
            return _error(*_ANSWERS[type(refused)])
        except PartSizeError as wrong:
            return _error(413 if wrong.received > wrong.expected else 400, "WRONG_PART_SIZE", str(wrong))
        except StorageFullError:
            _log.exception("the storage is full")
            return _error(507, "STORAGE_FULL", "The storage is full. Nothing was kept: try again later.")
        except OSError:
            _log.exception("the storage failed")
            return _error(500, "STORAGE_FAILED", "The storage failed. Nothing was kept: try again later.")

    return answer


def _error(status: int, code: str, message: str) -> Response:
    content = {"error": {"code": code, "message": message}}
    return JSONResponse(content, status, headers={"Cache-Control": "no-store"})
