"""Signed media URLs."""

import time
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.storage.signing import (
    ExpiredUrlError,
    InvalidUrlError,
    MediaUrls,
    ObjectGrant,
    PartGrant,
    expiry,
)

URLS = MediaUrls("https://media.example", "a secret key of more than 32 characters")
LATER = int(time.time()) + 3600
PART = PartGrant("upload1", 3, 8 * 2**20, LATER)
OBJECT = ObjectGrant("projects/p/original", "clip é.mp4", "video/mp4", inline=False, expires=LATER)


def token(url: str) -> str:
    return urlsplit(url).path.split("/")[3]


def test_a_grant_comes_back_as_it_was_signed():
    assert URLS.part(PART).startswith("https://media.example/media/parts/")
    assert URLS.read_part(token(URLS.part(PART))) == PART
    assert URLS.object(OBJECT).endswith("/clip%20%C3%A9.mp4")
    assert URLS.read_object(token(URLS.object(OBJECT))) == OBJECT


def test_equal_grants_make_equal_urls():
    assert URLS.object(OBJECT) == MediaUrls("https://media.example", "a secret key of more than 32 characters").object(
        OBJECT
    )


def test_every_single_changed_character_is_refused():
    good = token(URLS.part(PART))
    for place, old in enumerate(good):
        for new in "A-_.z0":
            if new != old:
                with pytest.raises(InvalidUrlError):
                    URLS.read_part(good[:place] + new + good[place + 1 :])


def test_leave_to_read_is_not_leave_to_write():
    with pytest.raises(InvalidUrlError):
        URLS.read_part(token(URLS.object(OBJECT)))
    with pytest.raises(InvalidUrlError):
        URLS.read_object(token(URLS.part(PART)))


def test_another_key_signs_nothing_here():
    with pytest.raises(InvalidUrlError):
        URLS.read_part(token(MediaUrls("https://media.example", "another secret key, as long as that").part(PART)))


def test_an_expired_url_says_so():
    with pytest.raises(ExpiredUrlError):
        URLS.read_part(token(URLS.part(PartGrant("upload1", 1, 1, int(time.time())))))


def test_a_moment_is_rounded_up_to_the_second():
    assert expiry(datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == expiry(datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC))


@given(st.text() | st.text(alphabet="abcXYZ012-_.", max_size=80))
def test_no_made_up_token_opens_anything(made_up: str):
    for read in (URLS.read_part, URLS.read_object):
        with pytest.raises(InvalidUrlError):
            read(made_up)


@given(st.text())
def test_any_filename_makes_one_path_segment_that_clients_leave_alone(filename: str):
    url = URLS.object(ObjectGrant("k", filename.encode(errors="replace").decode(), "video/mp4", False, LATER))
    assert url.isascii()
    last = unquote(urlsplit(url).path.split("/", 4)[4])
    assert last
    assert last.strip(".")
    assert "/" not in last
    assert "\\" not in last
