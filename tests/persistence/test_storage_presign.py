"""Our signed S3 URLs are those that botocore makes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from persistence.storage.presign import Keys, Presigner

NOW = datetime(2026, 3, 9, 8, 0, 0, tzinfo=UTC)
KEYS = Keys("AKID", "a secret/with+signs", None)
BASE = "https://bucket.s3.example.org/"


def facts(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"place": (parts.scheme, parts.netloc, parts.path), "query": dict(parse_qsl(parts.query))}


def botocore_says(
    keys: Keys, method: str, url: str, query: dict[str, str], headers: dict[str, str], seconds: int
) -> str:
    """What botocore signs at NOW."""
    request = AWSRequest(method, url, params=query, headers=headers)
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    with patch("botocore.auth.get_current_datetime", lambda: NOW):
        S3SigV4QueryAuth(credentials, "s3", "eu-central-1", expires=seconds).add_auth(request)
    return request.prepare().url


@given(
    st.dictionaries(st.sampled_from(["uploadId", "partNumber", "response-content-disposition"]), st.text(min_size=1)),
    st.sampled_from([KEYS, Keys("AKID", "secret", "a/session+token==")]),
    st.sampled_from([{}, {"content-length": "5242880"}]),
)
def test_it_signs_as_botocore_does(query: dict[str, str], keys: Keys, headers: dict[str, str]) -> None:
    query = {name: value.encode(errors="replace").decode() for name, value in query.items()}
    url = Presigner(BASE, "eu-central-1", lambda: keys).url(
        "PUT",
        "media/a-b/original.mp4",
        query,
        signed_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        headers=headers,
    )
    theirs = botocore_says(keys, "PUT", f"{BASE}media/a-b/original.mp4", query, headers, 3600)
    assert facts(url) == facts(theirs)


@pytest.mark.parametrize(("days", "seconds"), [(1, "86400"), (30, "604800")])
def test_no_url_is_good_for_more_than_a_week(days: int, seconds: str) -> None:
    presigner = Presigner(BASE, "eu-central-1", lambda: KEYS)
    url = presigner.url("GET", "k", {}, signed_at=NOW, expires_at=NOW + timedelta(days=days))
    assert facts(url)["query"]["X-Amz-Expires"] == seconds
