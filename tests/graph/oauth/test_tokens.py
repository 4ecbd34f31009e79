import asyncio
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from json import dumps, loads

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import delete, update

from domain.oauth_client import OAuthClient
from domain.sign_in import Grant, SignInSession
from domain.user import User
from graph.oauth.tokens import SignIn

pytestmark = pytest.mark.anyio


def part(data):
    return urlsafe_b64encode(dumps(data).encode()).rstrip(b"=").decode()


def decoded(token, index):
    text = token.split(".")[index]
    return loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


async def test_a_token_is_checked_in_full_once_and_then_remembered(site):
    token = (await site.tokens())["access_token"]
    first = await site.verifier.viewer(token)
    site.keys.verifying = None  # not asked again
    assert await site.verifier.viewer(token) == first


async def test_a_tampered_token_is_worth_nothing(site):
    token = (await site.tokens())["access_token"]
    for index in [0, 1, 2]:
        parts = token.split(".")
        middle = len(parts[index]) // 2
        parts[index] = (
            parts[index][:middle] + ("A" if parts[index][middle] != "A" else "B") + parts[index][middle + 1 :]
        )
        assert await site.verifier.viewer(".".join(parts)) is None
        assert await site.verifier.viewer(token) is not None


async def test_garbage_is_worth_nothing(site):
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        "x" * 5000,
        "e30.e30.e30",
        "bnVsbA.bnVsbA.",
        "W10.W10.W10",
        "\x00.\x00.\x00",
        f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 7})}.e30.e30",
        f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'x' * 900})}.e30.e30",
    ]:
        assert await site.verifier.viewer(token) is None


async def test_the_algorithm_is_not_the_tokens_to_choose(site):
    token = (await site.tokens())["access_token"]
    claims, header = decoded(token, 1), decoded(token, 0)
    unsigned = f"{part(header | {'alg': 'none'})}.{part(claims)}."
    assert await site.verifier.viewer(unsigned) is None
    key = (await site.keys.verifying()).keys[0]
    for secret in (key.as_pem(private=False), dumps(key.as_dict(private=False)).encode()):
        # The confusion of old: our public key taken for a shared secret.
        said = f"{part(header | {'alg': 'HS256'})}.{part(claims)}"
        signature = urlsafe_b64encode(hmac.digest(secret, said.encode(), "sha256")).rstrip(b"=").decode()
        assert await site.verifier.viewer(f"{said}.{signature}") is None
    stranger = ECKey.generate_key("P-256")
    assert await site.verifier.viewer(jwt.encode(header, claims, stranger)) is None
    embedded = header | {"jwk": stranger.as_dict(private=False)}
    assert await site.verifier.viewer(jwt.encode(embedded, claims, stranger)) is None


async def test_a_token_we_signed_must_say_what_ours_say(site):
    token = (await site.tokens())["access_token"]
    for changes in [
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 10**400},
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"sub": None},
        {"sub": "somebody"},
        {"sub": 7},
        {"client_id": None},
        {"client_id": "another"},
        {"jti": None},
        {"iat": None},
        {"sid": "another"},
        {"sid": None},
        {"sid": 7},
        {"scope": 7},
        {"scope": ["admin"]},
    ]:
        claims = {name: value for name, value in (decoded(token, 1) | changes).items() if value is not None}
        signed = jwt.encode(decoded(token, 0), claims, await site.keys.signing())
        assert await site.verifier.viewer(signed) is None


async def test_a_token_we_signed_must_be_an_access_token(site):
    token = (await site.tokens())["access_token"]
    key = (await site.keys.signing()).keys[0]
    for header in ({}, {"typ": "JWT"}, {"typ": "jwt"}, {"kid": "unknown"}):
        signed = jwt.encode(decoded(token, 0) | header, decoded(token, 1), key)
        assert (await site.verifier.viewer(signed) is None) == bool(header)


async def test_scopes_we_do_not_know_are_passed_over(site):
    token = (await site.tokens())["access_token"]
    signed = jwt.encode(
        decoded(token, 0), decoded(token, 1) | {"scope": "uploads:write dance"}, await site.keys.signing()
    )
    assert (await site.verifier.viewer(signed)).scopes == {"uploads:write"}


async def test_a_token_expires_even_while_it_is_remembered(site):
    token = (await site.tokens())["access_token"]
    soon = jwt.encode(decoded(token, 0), decoded(token, 1) | {"exp": int(time.time()) + 2}, await site.keys.signing())
    viewer = await site.verifier.viewer(soon)
    assert viewer is not None
    await asyncio.sleep(viewer.expires_at.timestamp() - time.time())
    assert await site.verifier.viewer(soon) is None
    stays = Stays(site.verifier, viewer)
    await asyncio.sleep(1.5)  # a look and a half
    assert not stays.ended.is_set()
    stays.stop()


class Stays:
    """An open connection of a viewer."""

    def __init__(self, verifier, viewer):
        self.ended = asyncio.Event()
        self.stop = verifier.stays(viewer, self.ended.set)


@pytest.mark.parametrize(
    "end",
    [
        delete(User),
        delete(OAuthClient),
        update(Grant).values(revoked_at=Grant.created_at),
        update(SignInSession).values(ended_at=SignInSession.created_at),
    ],
    ids=["user deleted", "client deleted", "grant revoked", "signed out"],
)
async def test_what_ends_a_sign_in_shows_within_two_seconds_in_every_process(site, end):
    token = (await site.tokens())["access_token"]
    verifiers = [site.verifier, await site.fresh_verifier()]
    viewers = [await verifier.viewer(token) for verifier in verifiers]
    assert None not in viewers
    open_connections = [Stays(verifier, viewer) for verifier, viewer in zip(verifiers, viewers, strict=True)]
    async with site.database.sessions.begin() as session:
        await session.execute(end)
    async with asyncio.timeout(2):
        for connection in open_connections:
            await connection.ended.wait()
    assert [await verifier.viewer(token) for verifier in verifiers] == [None, None]


async def test_an_administrator_no_longer_one_must_come_again(site):
    await site.register()
    await site.set_admin(True)
    token = (await site.redeem(await site.code(scope="admin"))).json()["access_token"]
    viewer = await site.verifier.viewer(token)
    assert viewer.is_admin
    as_admin, as_user = Stays(site.verifier, viewer), Stays(site.verifier, replace(viewer, is_admin=False))
    await site.set_admin(False)
    async with asyncio.timeout(2):
        await as_admin.ended.wait()
    assert not as_user.ended.is_set()
    as_user.stop()
    assert (await site.verifier.viewer(token)).is_admin is False


async def test_whether_sign_ins_stand_is_one_question_for_all_of_them(site):
    await site.register()
    mine = await site.verifier.viewer((await site.tokens())["access_token"])
    client, secret = await site.client(acts_for=await site.user())
    token = (await site.token(auth=(client.id, secret), grant_type="client_credentials")).json()["access_token"]
    script = await site.verifier.viewer(token)
    by_grant = SignIn(mine.user_id, mine.client_id, mine.session_id, is_admin=False)
    by_secret = SignIn(script.user_id, script.client_id, None, is_admin=False)
    fallen = [
        by_grant._replace(is_admin=True),
        by_grant._replace(user_id="somebody"),
        by_grant._replace(client_id=client.id),
        by_grant._replace(grant_id="another"),
        by_grant._replace(grant_id=None),
        by_secret._replace(client_id=mine.client_id),
        by_secret._replace(user_id="somebody"),
        SignIn(mine.user_id, None, None, is_admin=False),
    ]
    assert await site.verifier.fallen([by_grant, *fallen, by_secret]) == fallen


async def test_a_script_dies_with_its_client(site):
    await site.register()
    client, secret = await site.client(acts_for=await site.user())
    token = (await site.token(auth=(client.id, secret), grant_type="client_credentials")).json()["access_token"]
    assert await site.verifier.viewer(token) is not None
    async with site.database.sessions.begin() as session:
        await session.execute(delete(OAuthClient).where(OAuthClient.id == client.id))
    assert await (await site.fresh_verifier()).viewer(token) is None
