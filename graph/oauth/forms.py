"""What arrives from outside: queries and form bodies, bounded and unambiguous, and where a page may lead next."""

import asyncio
import re
from urllib.parse import parse_qsl

from starlette.requests import Request

BODY_BYTES = 64 * 1024
BODY_SECONDS = 30.0
_FIELDS = 50
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,30000}")


class FormError(Exception):
    """The request can't be read as a form; the message says why, the status how."""

    def __init__(self, message: str, status: int = 400) -> None:
        """Carry both to whoever answers."""
        super().__init__(message)
        self.status = status


def read_query(request: Request) -> dict[str, str]:
    """The parameters in the address."""
    return _fields(request.scope["query_string"])


async def read_form(request: Request) -> dict[str, str]:
    """The parameters in the body: URL-encoded, of 64 KiB at most, each of them once."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormError("The body must be application/x-www-form-urlencoded.", 415)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise FormError(f"The body may have {BODY_BYTES} bytes at most.", 413)
    except TimeoutError:
        raise FormError(f"The body did not arrive within {BODY_SECONDS:g} seconds.", 408) from None
    return _fields(bytes(body))


def _fields(encoded: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise FormError(f"The parameters must be UTF-8, and {_FIELDS} at most.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise FormError("A parameter is given twice.")
    if any("\x00" in value for value in fields.values()):
        raise FormError("A parameter contains a NUL character.")
    return fields


def safe_path(path: str | None) -> str | None:
    """A path on this very server, or None: `//elsewhere` and backslashes lead browsers astray."""
    return path if path and _PATH.fullmatch(path) else None
