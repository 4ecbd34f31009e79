import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select, update
from starlette.applications import Starlette

from domain.credential import digest_of
from domain.sign_in import SignInSession
from domain.user import User
from graph.oauth.routes import routes

pytestmark = pytest.mark.anyio

COOKIE = "reelgraph-session-8000"


async def users(site):
    async with site.database.sessions() as session:
        return await session.scalar(select(func.count()).select_from(User))


async def test_registering_signs_in(site):
    done = await site.register(name="  Ada Lovelace ", email=" Ada@Example.com ")
    assert (done.status_code, done.headers["location"]) == (303, "/oauth/sign-out")
    user = await site.user()
    assert (user.name, user.email, user.is_admin) == ("Ada Lovelace", "ada@example.com", False)
    assert user.password_hash.startswith("$argon2id$")
    page = await site.browser.get("/oauth/sign-out")
    assert "Ada Lovelace" in page.text
    assert (await site.another_browser().get("/oauth/sign-out")).status_code == 303


async def test_a_session_cookie_holds_a_secret_whose_digest_is_kept(site):
    done = await site.register()
    cookie = re.fullmatch(
        rf"{COOKIE}=([\w-]{{43}}); HttpOnly; Max-Age=2592000; Path=/; SameSite=lax", done.headers["set-cookie"]
    )
    async with site.database.sessions() as session:
        row = (await session.scalars(select(SignInSession))).one()
    assert row.cookie_digest == digest_of(cookie[1])


async def test_over_https_the_cookies_are_bound_to_the_host(site):
    settings = replace(site.settings, public_url="https://media.example")
    app = Starlette(routes=routes(site.database, settings, site.keys, site.passwords))
    async with AsyncClient(transport=ASGITransport(app=app), base_url=settings.public_url) as browser:
        page = await browser.get("/oauth/register")
        assert page.headers["set-cookie"].startswith("__Host-reelgraph-visitor=")
        form = {"name": "Ada", "email": "ada@example.com", "password": "difference engine"}
        done = await browser.post("/oauth/register", data=form | {"form_token": site.form_token(page)})
    assert re.fullmatch(
        r"__Host-reelgraph-session=[\w-]{43}; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure",
        done.headers["set-cookie"],
    )


async def test_what_is_wrong_stands_next_to_its_field_and_nothing_typed_is_lost(site):
    for changes, problems in [
        ({"name": " "}, {"name": "It must not be empty."}),
        ({"name": "x" * 201}, {"name": "It has 201 characters, 200 are allowed."}),
        ({"name": "a\u0007b"}, {"name": "It contains control characters."}),
        ({"email": "ada"}, {"email": "It is not an e-mail address."}),
        ({"email": "ada@example.com" + "m" * 300}, {"email": "It is not an e-mail address."}),
        ({"password": "too short"}, {"password": "It needs at least 10 characters."}),
        ({"password": "x" * 1001}, {"password": "It may have 1000 characters at most."}),
        (
            {"name": "", "email": "", "password": ""},
            {
                "name": "It must not be empty.",
                "email": "It is not an e-mail address.",
                "password": "It needs at least 10 characters.",
            },
        ),
    ]:
        typed = {"name": 'Ada "the first"', "email": "ada@example.com", "password": "difference engine"} | changes
        page = await site.send("/oauth/register", typed)
        assert page.status_code == 400
        shown = dict(re.findall(r'<p class="problem" id="(\w+)-problem">([^<]+)</p>', page.text))
        assert shown == problems
        assert re.findall(r'id="(\w+)"[^>]* aria-invalid="true"', page.text) == list(problems)
        if typed["name"].isprintable():
            assert f'value="{typed["name"].replace(chr(34), "&#34;")}"' in page.text
        assert f'value="{typed["email"]}"' in page.text
        assert typed["password"] == "" or f'value="{typed["password"]}"' not in page.text
        assert await users(site) == 0


async def test_one_address_has_one_account(site):
    await site.register()
    page = await site.send("/oauth/register", _ada(email="ADA@example.com"), site.another_browser())
    assert page.status_code == 400
    assert "There is an account with this address already." in page.text
    both = await asyncio.gather(
        *(site.send("/oauth/register", _ada(email="eve@example.com"), site.another_browser()) for _ in range(2))
    )
    assert sorted(answer.status_code for answer in both) == [303, 400]
    assert await users(site) == 2


def _ada(**changes):
    return {"name": "Ada", "email": "ada@example.com", "password": "difference engine"} | changes


async def test_registration_can_be_closed(site):
    settings = replace(site.settings, open_registration=False)
    app = Starlette(routes=routes(site.database, settings, site.keys, site.passwords))
    async with AsyncClient(transport=ASGITransport(app=app), base_url=settings.public_url) as browser:
        page = await browser.get("/oauth/sign-in")
        assert "/oauth/register" not in page.text
        assert (await browser.get("/oauth/register")).status_code == 403
        posted = await browser.post("/oauth/register", data=_ada(form_token=site.form_token(page)))
    assert posted.status_code == 403
    assert await users(site) == 0


async def test_signing_in_again_begins_a_fresh_session_and_ends_the_old_one(site):
    await site.register()
    first = site.browser.cookies[COOKIE]
    page = await site.browser.get("/oauth/sign-out")
    done = await site.browser.post(
        "/oauth/sign-in",
        data={"form_token": site.form_token(page), "email": "ada@example.com", "password": "difference engine"},
    )
    assert done.status_code == 303
    assert site.browser.cookies[COOKIE] != first
    async with site.database.sessions() as session:
        rows = (await session.scalars(select(SignInSession).order_by(SignInSession.created_at))).all()
    assert [row.ended_at is None for row in rows] == [False, True]


async def test_the_same_password_typed_in_other_code_points_is_the_same(site):
    await site.register(password="caf\u00e9 de la gare")
    await site.send("/oauth/sign-out", {})
    assert (await site.sign_in(password="cafe\u0301 de la gare")).status_code == 303


async def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(site):
    await site.register()
    await site.send("/oauth/sign-out", {})
    wrong = await site.sign_in(password="analytical engine")
    unknown = await site.sign_in(email="eve@example.com")
    garbled = await site.sign_in(email="not an address")
    for page in (wrong, unknown, garbled):
        assert page.status_code == 400
        assert "The e-mail address or the password is wrong." in page.text
        assert COOKIE not in page.headers.get("set-cookie", "")

    def rest(page, email):
        text = re.sub(r'name="form_token" value="[^"]+"', "", page.text)
        return text.replace(email, "")

    assert rest(wrong, "ada@example.com") == rest(unknown, "eve@example.com") == rest(garbled, "not an address")


async def test_an_unknown_address_costs_the_same_work_as_a_wrong_password(site):
    """Counted, not timed: how many hashes are made."""

    class Counting(PasswordHasher):
        made = 0

        def hash(self, *args, **more):
            self.made += 1
            return super().hash(*args, **more)

        def verify(self, *args, **more):
            self.made += 1
            return super().verify(*args, **more)

    await site.register()
    await site.send("/oauth/sign-out", {})
    hasher = site.passwords._hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    for email in ("ada@example.com", "eve@example.com", "not an address"):
        hasher.made = 0
        assert (await site.sign_in(email=email, password="analytical engine")).status_code == 400
        assert hasher.made == 1


async def test_an_old_hash_is_renewed_at_the_next_sign_in(site):
    await site.register()
    await site.send("/oauth/sign-out", {})
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("difference engine")
    async with site.database.sessions.begin() as session:
        await session.execute(update(User).values(password_hash=old))
    assert (await site.sign_in()).status_code == 303
    renewed = (await site.user()).password_hash
    assert "t=1" in renewed
    await site.send("/oauth/sign-out", {})
    assert (await site.sign_in()).status_code == 303


async def test_too_many_tries_are_refused_until_the_right_address_tries(site):
    await site.register()
    await site.send("/oauth/sign-out", {})
    for _ in range(10):
        assert (await site.sign_in(password="analytical engine")).status_code == 400
    late = await site.sign_in()
    assert (late.status_code, "Too many tries" in late.text) == (429, True)
    assert int(late.headers["retry-after"]) > 0
    assert (await site.sign_in(email="ADA@example.com ")).status_code == 429
    assert (await site.sign_in(email="eve@example.com")).status_code == 400
    elsewhere = AsyncClient(
        transport=ASGITransport(app=site.browser._transport.app, client=("192.0.2.7", 1)),
        base_url=site.browser.base_url,
    )
    page = await site.send("/oauth/sign-in", {"email": "ada@example.com", "password": "difference engine"}, elsewhere)
    assert page.status_code == 303


async def test_knowing_the_password_forgives_the_tries(site):
    await site.register()
    await site.send("/oauth/sign-out", {})
    for _ in range(3):
        for _ in range(5):
            assert (await site.sign_in(password="analytical engine")).status_code == 400
        assert (await site.sign_in()).status_code == 303
        await site.send("/oauth/sign-out", {})


async def test_a_form_from_elsewhere_is_not_taken_and_keeps_what_was_typed(site):
    typed = {"name": "Ada", "email": "ada@example.com", "password": "difference engine"}
    await site.register(email="other@example.com")
    await site.send("/oauth/sign-out", {})
    for path in ["/oauth/sign-in", "/oauth/register"]:
        page = await site.browser.get(path)
        theirs = site.form_token(await site.another_browser().get(path))
        tampered = site.form_token(page)[:-2] + "xx"
        for token in ({}, {"form_token": ""}, {"form_token": "é"}, {"form_token": theirs}, {"form_token": tampered}):
            answer = await site.browser.post(path, data=typed | token)
            assert answer.status_code == 403
            assert "Please send it again" in answer.text
            assert 'value="ada@example.com"' in answer.text
        assert await users(site) == 1
        without_cookie = await site.another_browser().post(path, data=typed | {"form_token": site.form_token(page)})
        assert without_cookie.status_code == 403


async def test_a_form_from_elsewhere_does_not_sign_out(site):
    await site.register()
    answer = await site.browser.post("/oauth/sign-out", data={"next": "/"})
    assert answer.status_code == 403
    assert (await site.browser.get("/oauth/sign-out")).status_code == 200


async def test_signing_out_ends_the_session_for_good(site):
    await site.register()
    secret = site.browser.cookies[COOKIE]
    done = await site.send("/oauth/sign-out", {"next": "/oauth/authorize?x=1"})
    assert done.headers["location"] == "/oauth/sign-in?next=%2Foauth%2Fauthorize%3Fx%3D1"
    assert COOKIE not in site.browser.cookies
    other = site.another_browser()
    other.cookies.set(COOKIE, secret)
    assert (await other.get("/oauth/sign-out")).status_code == 303


async def test_a_session_expires(site):
    await site.register()
    async with site.database.sessions.begin() as session:
        await session.execute(update(SignInSession).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert (await site.browser.get("/oauth/sign-out")).headers["location"] == "/oauth/sign-in"


async def test_the_way_onward_stays_on_this_server(site):
    await site.register()
    for onward, goes in [
        ("/graphiql?a=1", "/graphiql?a=1"),
        ("//evil.example", "/oauth/sign-out"),
        ("/\\evil.example", "/oauth/sign-out"),
        ("/x\\y", "/oauth/sign-out"),
        ("https://evil.example", "/oauth/sign-out"),
        ("javascript:alert(1)", "/oauth/sign-out"),
        ("/\t/evil.example", "/oauth/sign-out"),
        ("/x\r\nset-cookie: a=b", "/oauth/sign-out"),
        ("", "/oauth/sign-out"),
    ]:
        await site.send("/oauth/sign-out", {})
        done = await site.sign_in(next=onward)
        assert (done.status_code, done.headers["location"]) == (303, goes)
        again = await site.browser.get("/oauth/sign-in", params={"next": onward})
        assert (again.status_code, again.headers["location"]) == (303, goes)


async def test_a_made_up_cookie_is_nobody(site):
    for cookie in ("x" * 43, "é", "x" * 5000, ""):
        answer = await site.another_browser().get("/oauth/sign-out", headers={b"cookie": f"{COOKIE}={cookie}".encode()})
        assert answer.headers["location"] == "/oauth/sign-in"
