import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from sqlalchemy import select, update

from domain.credential import digest_of
from domain.sign_in import AuthorizationCode, Grant, RefreshToken
from domain.viewer import Scope
from persistence.accounts import CONSOLE

pytestmark = pytest.mark.anyio

CALLBACK = "http://127.0.0.1:4711/callback"
VERIFIER = "v" * 43

INVALID_GRANT = (400, "invalid_grant")
WITHOUT_ADMIN = "projects:write uploads:write renders:write"


def refusal(answer):
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["error"]


async def test_a_code_becomes_tokens(site):
    await site.register()
    answer = await site.redeem(await site.code())
    given = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert given.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 300, WITHOUT_ADMIN)

    keys = await site.keys.verifying()
    token = jwt.decode(given["access_token"], keys, algorithms=["ES256"])
    assert token.header == {"typ": "at+jwt", "alg": "ES256", "kid": keys.keys[0].kid}
    user = await site.user()
    async with site.database.sessions() as session:
        grant = (await session.scalars(select(Grant))).one()
    assert token.claims.pop("jti")
    assert token.claims["exp"] - token.claims["iat"] == 300
    assert abs(token.claims.pop("iat") - datetime.now(UTC).timestamp()) < 10
    del token.claims["exp"]
    assert token.claims == {
        "iss": site.settings.public_url,
        "aud": site.settings.public_url,
        "sub": user.id,
        "client_id": CONSOLE,
        "scope": WITHOUT_ADMIN,
        "sid": grant.id,
    }
    viewer = await site.verifier.viewer(given["access_token"])
    assert (viewer.user_id, viewer.session_id, viewer.client_id) == (user.id, grant.id, CONSOLE)
    assert (viewer.scopes, viewer.is_admin) == (frozenset(Scope) - {Scope.ADMIN}, False)


async def test_only_the_digest_of_a_refresh_token_is_kept(site):
    given = await site.tokens()
    async with site.database.sessions() as session:
        row = (await session.scalars(select(RefreshToken))).one()
    assert row.digest == digest_of(given["refresh_token"])


async def test_a_code_without_all_that_belongs_to_it_is_worth_nothing_and_stays_good(site):
    await site.register()
    for changes, error in [
        ({"code": "made up"}, "invalid_grant"),
        ({"code": "é\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"code_verifier": "v" * 42}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:4712/callback"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": 'é\\"'}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": 'é"'}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
    ]:
        code = await site.code()
        answer = await site.redeem(**({"code": code} | changes))
        assert answer.status_code in (400, 401)
        assert answer.json()["error"] == error
        assert (await site.redeem(code)).status_code == 200


async def test_an_expired_code_is_refused(site):
    await site.register()
    code = await site.code()
    async with site.database.sessions.begin() as session:
        await session.execute(update(AuthorizationCode).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert refusal(await site.redeem(code)) == INVALID_GRANT


async def test_a_code_belongs_to_the_client_that_asked_for_it(site):
    await site.register()
    other, _ = await site.client(public=True, uri=CALLBACK)
    assert refusal(await site.redeem(await site.code(), client_id=other.id)) == INVALID_GRANT


async def test_a_code_used_twice_revokes_what_it_gave(site):
    await site.register()
    code = await site.code()
    given = (await site.redeem(code)).json()
    assert refusal(await site.redeem(code)) == INVALID_GRANT
    assert refusal(await site.refresh(given["refresh_token"])) == INVALID_GRANT
    assert await (await site.fresh_verifier()).viewer(given["access_token"]) is None


async def test_a_code_used_twice_by_somebody_without_the_verifier_revokes_nothing(site):
    await site.register()
    code = await site.code()
    given = (await site.redeem(code)).json()
    assert refusal(await site.redeem(code, code_verifier="w" * 43)) == INVALID_GRANT
    assert (await site.refresh(given["refresh_token"])).status_code == 200


async def test_of_two_that_redeem_a_code_at_once_at_most_one_succeeds_and_both_end_with_nothing(site):
    await site.register()
    code = await site.code()
    answers = await asyncio.gather(*(site.redeem(code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    given = next(answer.json() for answer in answers if answer.status_code == 200)
    assert refusal(await site.refresh(given["refresh_token"])) == INVALID_GRANT


async def test_a_code_dies_with_the_sign_in(site):
    await site.register()
    code = await site.code()
    await site.send("/oauth/sign-out", {})
    assert refusal(await site.redeem(code)) == INVALID_GRANT


async def test_a_refresh_token_gives_new_tokens_of_the_same_grant(site):
    first = await site.tokens()
    answer = await site.refresh(first["refresh_token"])
    second = answer.json()
    assert (answer.status_code, second["expires_in"], second["scope"]) == (200, 300, WITHOUT_ADMIN)
    assert second["refresh_token"] != first["refresh_token"]
    old, new = await site.verifier.viewer(first["access_token"]), await site.verifier.viewer(second["access_token"])
    assert old.session_id == new.session_id
    assert (await site.refresh(second["refresh_token"])).status_code == 200


async def test_a_refresh_may_ask_for_less_but_not_for_more(site):
    given = await site.tokens(scope="uploads:write renders:write")
    assert given["scope"] == "uploads:write renders:write"
    assert refusal(await site.refresh(given["refresh_token"], scope="projects:write")) == (400, "invalid_scope")
    less = (await site.refresh(given["refresh_token"], scope="uploads:write")).json()
    assert less["scope"] == "uploads:write"
    again = (await site.refresh(less["refresh_token"])).json()
    assert again["scope"] == "uploads:write renders:write"


async def test_a_refresh_token_used_twice_revokes_the_whole_family(site):
    first = await site.tokens()
    second = (await site.refresh(first["refresh_token"])).json()
    stolen = await site.refresh(first["refresh_token"], scope="nonsense")
    assert refusal(stolen) == INVALID_GRANT
    assert refusal(await site.refresh(second["refresh_token"])) == INVALID_GRANT
    verifier = await site.fresh_verifier()
    assert await verifier.viewer(second["access_token"]) is None
    async with site.database.sessions() as session:
        assert (await session.scalars(select(Grant))).one().revoked_at is not None


async def test_a_family_dies_alone(site):
    first = await site.tokens()
    other = (await site.redeem(await site.code())).json()
    await site.refresh(first["refresh_token"])
    await site.refresh(first["refresh_token"])
    assert (await site.refresh(other["refresh_token"])).status_code == 200


async def test_of_two_that_refresh_at_once_one_succeeds_and_the_family_dies(site):
    first = await site.tokens()
    answers = await asyncio.gather(*(site.refresh(first["refresh_token"]) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    given = next(answer.json() for answer in answers if answer.status_code == 200)
    assert refusal(await site.refresh(given["refresh_token"])) == INVALID_GRANT


async def test_a_refresh_token_is_worth_nothing_to_another_client_and_stays_good(site):
    given = await site.tokens()
    other, _ = await site.client(public=True)
    assert refusal(await site.refresh(given["refresh_token"], client_id=other.id)) == INVALID_GRANT
    assert (await site.refresh(given["refresh_token"])).status_code == 200


async def test_a_refresh_token_expires_unless_it_is_used(site):
    given = await site.tokens()
    async with site.database.sessions.begin() as session:
        await session.execute(update(RefreshToken).values(expires_at=datetime.now(UTC)))
    assert refusal(await site.refresh(given["refresh_token"])) == INVALID_GRANT


async def test_signing_out_ends_the_programs_that_were_let_in(site):
    given = await site.tokens()
    await site.send("/oauth/sign-out", {})
    assert refusal(await site.refresh(given["refresh_token"])) == INVALID_GRANT
    assert await (await site.fresh_verifier()).viewer(given["access_token"]) is None


async def test_admin_is_granted_to_administrators_only(site):
    await site.register()
    plain = (await site.redeem(await site.code(scope="admin uploads:write"))).json()
    assert plain["scope"] == "uploads:write"
    nothing = await site.browser.get(site.asking(scope="admin"))
    assert "error=invalid_scope" in nothing.headers["location"]

    await site.set_admin(True)
    admin = (await site.redeem(await site.code(scope="admin uploads:write"))).json()
    assert admin["scope"] == "uploads:write admin"
    assert (await site.verifier.viewer(admin["access_token"])).is_admin is True
    unasked = (await site.redeem(await site.code())).json()
    assert unasked["scope"] == WITHOUT_ADMIN

    await site.set_admin(False)
    assert (await (await site.fresh_verifier()).viewer(admin["access_token"])).is_admin is False
    assert (await site.refresh(admin["refresh_token"])).json()["scope"] == "uploads:write"


async def test_asking_for_an_empty_scope_gives_a_token_that_only_reads(site):
    given = await site.tokens(scope="")
    assert "scope" not in given
    assert (await site.verifier.viewer(given["access_token"])).scopes == frozenset()


async def test_a_confidential_client_proves_itself_with_its_secret_and_the_verifier(site):
    await site.register()
    uri = "https://app.example/done"
    client, secret = await site.client(uri=uri)
    asking = site.asking(client_id=client.id, redirect_uri=uri)
    allowed = await site.send(asking, {"answer": "allow"})
    asked = {
        "grant_type": "authorization_code",
        "redirect_uri": uri,
        "code": allowed.headers["location"].partition("code=")[2].partition("&")[0],
        "code_verifier": VERIFIER,
    }
    assert refusal(await site.token(client_id=client.id, **asked)) == (401, "invalid_client")
    assert refusal(await site.token(auth=(client.id, "guess"), **asked)) == (401, "invalid_client")
    without = {name: value for name, value in asked.items() if name != "code_verifier"}
    assert refusal(await site.token(auth=(client.id, secret), **without)) == (400, "invalid_request")
    given = await site.token(auth=(client.id, secret), **asked)
    assert given.status_code == 200
    refreshed = {"grant_type": "refresh_token", "refresh_token": given.json()["refresh_token"]}
    assert refusal(await site.token(client_id=client.id, **refreshed)) == (401, "invalid_client")
    assert (await site.token(client_id=client.id, client_secret=secret, **refreshed)).status_code == 200


async def test_client_credentials_act_as_the_owner(site):
    await site.register()
    user = await site.user()
    client, secret = await site.client(acts_for=user, scopes={Scope.UPLOADS_WRITE, Scope.ADMIN})
    answer = await site.token(auth=(client.id, secret), grant_type="client_credentials")
    given = answer.json()
    assert answer.status_code == 200
    assert given.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (given["expires_in"], given["scope"]) == (300, "uploads:write")
    viewer = await site.verifier.viewer(given["access_token"])
    assert (viewer.user_id, viewer.session_id, viewer.client_id) == (user.id, None, client.id)
    assert viewer.scopes == {Scope.UPLOADS_WRITE}

    async def asked(scope):
        return await site.token(auth=(client.id, secret), grant_type="client_credentials", scope=scope)

    assert refusal(await asked("admin")) == (400, "invalid_scope")
    assert refusal(await asked("renders:write")) == (400, "invalid_scope")
    await site.set_admin(True)
    admin = await asked("admin")
    assert (await (await site.fresh_verifier()).viewer(admin.json()["access_token"])).is_admin is True


async def test_client_credentials_need_a_secret_and_an_owner(site):
    await site.register()
    ownerless, secret = await site.client()
    answer = await site.token(auth=(ownerless.id, secret), grant_type="client_credentials")
    assert refusal(answer) == (400, "unauthorized_client")
    assert refusal(await site.token(client_id=CONSOLE, grant_type="client_credentials")) == (401, "invalid_client")
    scripts, _ = await site.client(acts_for=await site.user())
    answer = await site.token(auth=(scripts.id, "guess"), grant_type="client_credentials")
    assert refusal(answer) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_garbled_credentials_are_an_invalid_client(site):
    for header in ["Basic", "Basic !!!", "Basic /w==", "Basic JWZmOng=", "Bearer x", "Basic " + "é", "Basic OjA="]:
        answer = await site.browser.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, headers={b"authorization": header.encode()}
        )
        assert refusal(answer) == (401, "invalid_client")


async def test_secrets_in_the_address_are_not_read(site):
    await site.register()
    client, secret = await site.client(acts_for=await site.user())
    answer = await site.browser.post(
        f"/oauth/token?client_id={client.id}&client_secret={secret}", data={"grant_type": "client_credentials"}
    )
    assert refusal(answer) == (401, "invalid_client")
