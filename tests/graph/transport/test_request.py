import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.transport.request import BadRequest, Request, read_json

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def test_a_request_has_a_query_and_may_have_the_rest():
    assert Request.parse({"query": "{a}"}) == Request("{a}", {}, None, {})
    assert Request.parse(
        {"query": "{a}", "variables": {"x": [1]}, "operationName": "A", "extensions": {"e": None}, "more": 1}
    ) == Request("{a}", {"x": [1]}, "A", {"e": None})
    assert Request.parse({"query": "{a}", "variables": None, "operationName": None, "extensions": None}) == Request(
        "{a}", {}, None, {}
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"query": "{a}"}], "Batches are not supported: send one request at a time."),
        ("{a}", "The request must be a JSON object."),
        (None, "The request must be a JSON object."),
        ({}, "The request needs a query, a string that is not empty."),
        ({"query": 1}, "The request needs a query, a string that is not empty."),
        ({"query": "  \n"}, "The request needs a query, a string that is not empty."),
        ({"query": "{a}", "variables": [1]}, "variables must be a JSON object."),
        ({"query": "{a}", "variables": "{}"}, "variables must be a JSON object."),
        ({"query": "{a}", "variables": []}, "variables must be a JSON object."),
        ({"query": "{a}", "variables": False}, "variables must be a JSON object."),
        ({"query": "{a}", "extensions": 7}, "extensions must be a JSON object."),
        ({"query": "{a}", "operationName": 7}, "operationName must be a string."),
    ],
)
def test_a_malformed_request_is_refused_with_the_reason(value: object, message: str):
    with pytest.raises(BadRequest) as refused:
        Request.parse(value)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"query": "\xc3"}',
        b"\xef\xbb\xbf{}",
        b"NaN",
        b'{"a": Infinity}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"1" * 10_000,
        b'{"query": 1, "query": 2}',
        b'{"variables": {"x": 1, "x": 1}}',
        rb'{"query": "\u0000"}',
        rb'{"query": "\ud83d"}',
        rb'{"a": ["\ude00\ud83d"]}',
        rb'{"\u0000": 1}',
        b'{"a": "\x00"}',
    ],
)
def test_what_is_not_json_or_not_text_is_a_bad_request(raw: bytes):
    with pytest.raises(BadRequest):
        read_json(raw)


def test_escapes_that_spell_text_are_text():
    assert read_json(rb'{"a": "\ud83d\ude00 \\u0000 \u00e9"}') == {"a": "😀 \\u0000 é"}


@given(st.binary())
def test_any_bytes_are_read_or_are_a_bad_request(raw: bytes):
    with suppress(BadRequest):
        Request.parse(read_json(raw))


@given(_JSON)
def test_any_json_is_a_request_or_a_bad_one(value: object):
    with suppress(BadRequest):
        Request.parse(read_json(json.dumps(value).encode()))
