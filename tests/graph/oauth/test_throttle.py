"""Whose tries are counted together."""

import pytest
from starlette.requests import Request

from graph.oauth.throttle import ACCOUNT_TRIES, Throttle


def _from(host: str) -> Request:
    return Request({"type": "http", "client": (host, 1234), "headers": []})


@pytest.mark.parametrize(
    ("first", "other"), [("2001:db8::{:x}", "2001:db8:0:1::1"), ("203.0.113.7", "203.0.113.8")], ids=["IPv6", "IPv4"]
)
async def test_whoever_owns_a_network_has_no_more_tries_for_it(first: str, other: str) -> None:
    throttle = Throttle()
    allowed = [await throttle.may_sign_in(_from(first.format(n)), "ada@example.org") for n in range(ACCOUNT_TRIES + 5)]
    assert allowed == [True] * ACCOUNT_TRIES + [False] * 5
    assert await throttle.may_sign_in(_from(other), "ada@example.org")
