import re
from urllib.parse import unquote, urlsplit

import pytest
from sqlalchemy import select

from domain.sign_in import AuthorizationCode

pytestmark = pytest.mark.anyio

CALLBACK = "http://127.0.0.1:4711/callback"


async def test_a_stranger_signs_in_first_and_comes_back_with_a_code(site):
    asking = site.asking()
    away = await site.browser.get(asking)
    assert away.status_code == 303
    assert away.headers["location"].startswith("/oauth/sign-in?next=%2Foauth%2Fauthorize%3F")
    page = await site.browser.get(away.headers["location"])
    onward = unquote(site.query_of(away)["next"])
    register = re.search(r'href="(/oauth/register[^"]+)"', page.text)[1]
    page = await site.browser.get(register)
    back = await site.browser.post(
        "/oauth/register",
        data={
            "form_token": site.form_token(page),
            "name": "Ada",
            "email": "ada@example.com",
            "password": "difference engine",
            "next": site.query_of(away)["next"],
        },
    )
    assert back.status_code == 303
    assert urlsplit(unquote(back.headers["location"])).path == urlsplit(onward).path == "/oauth/authorize"
    asks = await site.browser.get(back.headers["location"])
    answer = await site.browser.post(
        back.headers["location"], data={"form_token": site.form_token(asks), "answer": "allow"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(CALLBACK + "?")
    given = site.query_of(answer)
    assert given.keys() == {"code", "state", "iss"}
    assert (given["state"], given["iss"]) == ("a state & more", site.settings.public_url)


async def test_only_the_digest_of_a_code_is_kept(site):
    await site.register()
    code = await site.code()
    async with site.database.sessions() as session:
        row = (await session.scalars(select(AuthorizationCode))).one()
    assert len(row.digest) == 64
    assert code not in (row.digest, row.challenge, row.id)


async def test_an_unknown_client_or_address_is_told_on_a_page_and_nobody_is_sent_there(site):
    await site.register()
    for wrong in [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "x\n"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/more"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "http://127.0.0.1:80@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:99999/callback"},
        {"redirect_uri": 'http://127.0.0.1/callback"é\\'},
        {"redirect_uri": "http://127.0.0.1:8000/graphiql/callback/../../x"},
    ]:
        answer = await site.browser.get(site.asking(**wrong))
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "This did not work" in answer.text


async def test_other_mistakes_go_back_to_the_client_with_its_state(site):
    await site.register()
    for wrong, error in [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'é"\\'}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "projects:write é"}, "invalid_scope"),
    ]:
        answer = await site.browser.get(site.asking(**wrong))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(CALLBACK + "?")
        given = site.query_of(answer)
        assert (given["error"], given["state"], given["iss"]) == (error, "a state & more", site.settings.public_url)
        assert "code" not in given


async def test_a_parameter_given_twice_is_refused(site):
    await site.register()
    answer = await site.browser.get(site.asking() + "&scope=admin&scope=admin")
    assert answer.status_code == 400
    assert "A parameter is given twice." in answer.text


async def test_a_garbled_query_is_a_400(site):
    for query in ["client_id=%ff", "client_id=%00", "&" * 10, "a=1&" * 60, "=%"]:
        assert (await site.browser.get(f"/oauth/authorize?{query}")).status_code == 400


async def test_somebody_elses_program_needs_consent(site):
    await site.register()
    client, _ = await site.client()
    asking = site.asking(client_id=client.id, redirect_uri="https://app.example/done", scope="uploads:write")
    page = await site.browser.get(asking)
    assert page.status_code == 200
    assert "Let <strong>Cutter</strong> in?" in page.text
    assert "app.example" in page.text
    assert "Upload and delete assets." in page.text
    assert "Start, cancel and retry jobs." not in page.text
    assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"]

    unproven = await site.browser.post(asking, data={"answer": "allow"})
    assert (unproven.status_code, "Please send it again" in unproven.text) == (403, True)

    denied = await site.browser.post(asking, data={"answer": "deny", "form_token": site.form_token(page)})
    assert site.query_of(denied) == {
        "error": "access_denied",
        "error_description": "The resource owner or authorization server denied the request",
        "state": "a state & more",
        "iss": site.settings.public_url,
    }
    async with site.database.sessions() as session:
        assert (await session.scalars(select(AuthorizationCode))).all() == []

    allowed = await site.browser.post(asking, data={"answer": "allow", "form_token": site.form_token(page)})
    assert allowed.headers["location"].startswith("https://app.example/done?code=")


async def test_our_own_client_on_this_machine_needs_a_yes_for_any_program_could_call_itself_ours(site):
    await site.register()
    page = await site.browser.get(site.asking())
    assert (page.status_code, "a program on this machine" in page.text) == (200, True)
    ours = await site.browser.get(site.asking(redirect_uri=f"{site.settings.public_url}/graphiql/callback"))
    assert ours.status_code == 303


async def test_a_name_that_is_html_stays_text(site):
    await site.register(name="<script>alert(1)</script>")
    client, _ = await site.client()
    page = await site.browser.get(site.asking(client_id=client.id, redirect_uri="https://app.example/done"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script" not in page.text
    page = await site.browser.get("/oauth/sign-out")
    assert "&lt;script&gt;" in page.text
    assert "<script" not in page.text


async def test_a_policy_can_not_be_smuggled_in_by_the_way_onward(site):
    page = await site.browser.get("/oauth/sign-in", params={"next": "/x?redirect_uri=https://a.example;script-src%20*"})
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' https://a.example; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
