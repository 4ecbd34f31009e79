import pytest

from graph.oauth.forms import safe_path

pytestmark = pytest.mark.anyio

PATHS = ["/oauth/token", "/oauth/sign-in", "/oauth/register", "/oauth/sign-out", "/oauth/authorize"]
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_body_that_is_no_form_is_refused(site):
    for body, headers, status in [
        (b"a=" + b"x" * 65_536, FORM, 413),
        (b"a=%ff", FORM, 400),
        (b"a=\xff", FORM, 400),
        (b"a=%00", FORM, 400),
        (b"a=1&a=2", FORM, 400),
        (b"&".join(b"a%d=1" % n for n in range(60)), FORM, 400),
        (b'{"a": 1}', {"content-type": "application/json"}, 415),
        (b"a=1", {"content-type": "text/plain"}, 415),
        (b"a=1", {}, 415),
    ]:
        for path in PATHS:
            answer = await site.browser.post(path, content=body, headers=headers)
            assert answer.status_code == status
            if path == "/oauth/token":
                assert answer.json()["error"] == "invalid_request"


async def test_a_form_that_says_nothing_changes_nothing(site):
    await site.register()
    for body in [b"", b"\x00\x01\x02", b"&&;;=%"]:
        for path in PATHS:
            assert (await site.browser.post(path, content=body, headers=FORM)).status_code in (400, 403)
            assert (await site.browser.get("/oauth/sign-out")).status_code == 200


@pytest.mark.parametrize("path", ["/a", "/a?b=c&d=%2F", "/", "/oauth/authorize?x=http://a"])
def test_a_path_on_this_server_is_safe(path):
    assert safe_path(path) == path


@pytest.mark.parametrize(
    "path", [None, "", "a", "//a", "/\\a", "\\/a", "/a b", "/a\n", "/é", "http://a", "/" + "a" * 31_000]
)
def test_anything_else_is_not(path):
    assert safe_path(path) is None
