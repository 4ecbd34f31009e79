import re

import pytest

pytestmark = pytest.mark.anyio


async def test_a_page_can_not_be_framed_cached_or_scripted(site):
    for path in ["/oauth/sign-in", "/oauth/register", "/oauth/authorize"]:
        page = await site.browser.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page.text)


async def test_the_style_has_an_address_that_changes_with_it(site):
    page = await site.browser.get("/oauth/sign-in")
    address = re.search(r'<link rel="stylesheet" href="(/oauth/style\.css\?[0-9a-f]{12})">', page.text)[1]
    style = await site.browser.get(address)
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in style.headers["cache-control"]
    assert "prefers-color-scheme: dark" in style.text


async def test_a_page_does_not_lose_the_way_onward(site):
    page = await site.browser.get(
        "/oauth/sign-in", params={"next": '/oauth/authorize?a=1&b="<é>'.replace("é", "%C3%A9")}
    )
    assert 'href="/oauth/register?next=%2Foauth%2Fauthorize%3Fa%3D1%26b%3D%22%3C%25C3%25A9%3E"' in page.text
    assert '<input type="hidden" name="next" value="/oauth/authorize?a=1&amp;b=&#34;&lt;%C3%A9&gt;">' in page.text
