"""What every storage agrees on: keys, served types, the names of downloads."""

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.storage import InvalidKeyError, check_key, content_disposition, served_type

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "..\\x",
    "a\x00b",
    "a\nb",
    "a\n",
    ".hidden",
    "a/.hidden",
    "%2e%2e/x",
    "C:x",
    "ä",
    "a b",
    "~",
    "a" * 201,
    "/".join(["a" * 100] * 6),
]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_is_no_plain_relative_path_is_refused(key: str):
    with pytest.raises(InvalidKeyError):
        check_key(key)


@pytest.mark.parametrize("key", ["a", "projects/p1/assets/a1/original", "spans/ab/cdef.mp4", "x_-.y", "a..b"])
def test_our_own_keys_pass_unchanged(key: str):
    assert check_key(key) == key


@given(st.text(max_size=40) | st.text(alphabet="./\\a\x00-", max_size=12))
def test_whatever_key_passes_stays_below_its_root(key: str):
    try:
        check_key(key)
    except InvalidKeyError:
        return
    assert all(segment.strip(".") for segment in key.split("/"))
    assert not set(key) & set("\\\x00\r\n%: ")


def test_only_a_well_formed_media_type_is_served():
    assert served_type("video/mp4") == "video/mp4"
    assert served_type("text/vtt; charset=utf-8") == "text/vtt; charset=utf-8"
    for hostile in ("", "video", "a/b\r\nX: y", "täxt/plain", "a/b; c", "a/b\n"):
        assert served_type(hostile) == "application/octet-stream"


@given(st.text())
def test_any_filename_survives_the_header_and_breaks_nothing(filename: str):
    header = content_disposition(filename, inline=False)
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith('attachment; filename="')
    starred = header.partition("filename*=UTF-8''")[2]
    assert unquote(starred) == filename.encode(errors="replace").decode()


def test_a_plain_filename_reads_the_same_for_every_client():
    header = content_disposition('my "first" cut é.mp4', inline=True)
    assert header == "inline; filename=\"my _first_ cut _.mp4\"; filename*=UTF-8''my%20%22first%22%20cut%20%C3%A9.mp4"
    message = Message()
    message["content-disposition"] = content_disposition("ünï.mp4", inline=False)
    assert message.get_content_disposition() == "attachment"
