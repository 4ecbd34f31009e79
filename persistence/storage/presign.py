"""Signed S3 URLs (AWS Signature Version 4, in the query), computed here.

botocore makes the same URLs in half a millisecond each: seconds of a standing event loop for the parts of a large
upload. And it always dates them now, so that no two are equal and no cache ever sees one twice.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_LONGEST = timedelta(days=7)
"""No store takes a signature for longer."""


class Keys(NamedTuple):
    """Who signs: an access key, its secret, and the session's token if they are for a while only."""

    access_key: str
    secret_key: str
    token: str | None


class Presigner:
    """Signs leave for one request each. No I/O, some ten microseconds."""

    def __init__(self, base: str, region: str, keys: Callable[[], Keys]) -> None:
        """Sign for objects below `base` (the bucket's URL, with a slash at its end) with the keys of the moment."""
        self._base, self._region, self._keys = base, region, keys
        parts = urlsplit(base)
        self._host, self._path = parts.netloc, parts.path

    def url(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        *,
        signed_at: datetime,
        expires_at: datetime,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Return the URL that answers the method with exactly these headers, from `signed_at` until it expires.

        A week after `signed_at` it expires whatever was asked. `headers` are named in lower case; the names in `query`
        are plain letters and hyphens.
        """
        keys = self._keys()
        moment = signed_at.astimezone(UTC)
        stamp, day = f"{moment:%Y%m%dT%H%M%SZ}", f"{moment:%Y%m%d}"
        scope = f"{day}/{self._region}/s3/aws4_request"
        signed = {"host": self._host, **(headers or {})}
        names = ";".join(sorted(signed))
        arguments = {
            **query,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{keys.access_key}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(int(min(expires_at - signed_at, _LONGEST).total_seconds())),
            "X-Amz-SignedHeaders": names,
            **({"X-Amz-Security-Token": keys.token} if keys.token else {}),
        }
        asked = "&".join(sorted(f"{name}={_quoted(value)}" for name, value in arguments.items()))
        path = quote(key, safe="/")
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = f"{method}\n{self._path}{path}\n{asked}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
        signature = hmac.new(_signing_key(keys.secret_key, day, self._region), text.encode(), hashlib.sha256)
        return f"{self._base}{path}?{asked}&X-Amz-Signature={signature.hexdigest()}"


@lru_cache(maxsize=256)
def _quoted(value: str) -> str:
    """Remembered, as the parts of one upload differ in their number only."""
    return quote(value, safe="")


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for each in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, each.encode(), "sha256")
    return key
