import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from domain.oauth_client import OAuthClient
from domain.refusals import InvalidInput
from domain.sign_in import AuthorizationCode, Grant, RefreshToken, SignInSession
from domain.user import User
from domain.viewer import Scope
from persistence.accounts import (
    CONSOLE,
    Passwords,
    create_user,
    ensure_first_admin,
    ensure_first_party_client,
    forget_what_is_over,
    register_client,
)
from persistence.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
def passwords():
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def database(settings):
    async with Database.opened(settings) as database:
        yield database


async def test_a_password_is_verified_by_its_argon2_hash():
    passwords = Passwords()
    kept = await passwords.hash("difference engine")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(kept, "difference engine") is True
    assert await passwords.verify(kept, "difference engin") is False
    assert await passwords.verify("not a hash", "difference engine") is False
    assert await passwords.verify(None, "difference engine") is False
    assert passwords.is_outdated(kept) is False


async def test_a_refused_account_leaves_the_transaction_usable(database, passwords):
    async with database.sessions.begin() as session:
        await create_user(session, passwords, name="Ada", email="ada@example.com", password="difference engine")
        with pytest.raises(InvalidInput, match="there is an account with this address already"):
            await create_user(session, passwords, name="Eve", email="ADA@example.com", password="difference engine")
        with pytest.raises(InvalidInput, match="at least 10 characters"):
            await create_user(session, passwords, name="Eve", email="eve@example.com", password="short")
        await create_user(session, passwords, name="Eve", email="eve@example.com", password="analytical engine")
    async with database.sessions() as session:
        assert (await session.scalars(select(User.name).order_by(User.name))).all() == ["Ada", "Eve"]


async def test_the_first_administrator_is_made_once(database, passwords):
    async with database.sessions.begin() as session:
        password = await ensure_first_admin(session, passwords, email="admin@example.com")
    async with database.sessions.begin() as session:
        assert await ensure_first_admin(session, passwords, email="other@example.com") is None
        admin = (await session.scalars(select(User))).one()
    assert len(password) == 20
    assert (admin.email, admin.is_admin) == ("admin@example.com", True)
    assert await passwords.verify(admin.password_hash, password)


async def test_our_own_client_follows_the_public_address_however_many_processes_start(database, settings):
    async def ensure(settings):
        async with database.sessions.begin() as session:
            await ensure_first_party_client(session, settings)

    await asyncio.gather(*(ensure(settings) for _ in range(4)))
    await ensure(replace(settings, public_url="https://media.example"))
    async with database.sessions() as session:
        client = (await session.scalars(select(OAuthClient))).one()
    assert (client.id, client.is_public, client.first_party, client.owner_id) == (CONSOLE, True, True, None)
    assert client.scopes == frozenset(Scope)
    assert client.redirect_uris == [
        "https://media.example/graphiql/callback",
        "http://127.0.0.1/callback",
        "http://localhost/callback",
    ]


async def test_a_registered_client_shows_its_secret_once(database, passwords):
    async with database.sessions.begin() as session:
        ada = await create_user(session, passwords, name="Ada", email="ada@example.com", password="difference engine")
        client, secret = await register_client(session, name=" Cutter ", redirect_uris=["https://app.example/done"])
        public, none = await register_client(
            session, name="Phone", redirect_uris=["com.example.app:/done"], public=True, scopes={Scope.UPLOADS_WRITE}
        )
        script, _ = await register_client(session, name="Script", owner=ada)
    assert client.name == "Cutter"
    assert client.knows(secret)
    assert secret not in vars(client).values()
    assert client.scopes == frozenset(Scope) - {Scope.ADMIN}
    assert (public.is_public, none, public.scope) == (True, None, "uploads:write")
    assert script.owner_id == ada.id


async def test_a_client_that_could_do_nothing_or_prove_nothing_is_refused(database, passwords):
    async with database.sessions.begin() as session:
        ada = await create_user(session, passwords, name="Ada", email="ada@example.com", password="difference engine")
        for wrong in (
            {"name": "Cutter"},
            {"name": "", "redirect_uris": ["https://app.example/done"]},
            {"name": "Cutter", "redirect_uris": ["http://app.example/done"]},
            {"name": "Cutter", "redirect_uris": ["com.example.app:/done"], "public": True, "owner": ada},
        ):
            with pytest.raises(InvalidInput):
                await register_client(session, **wrong)
        assert (await session.scalars(select(OAuthClient))).all() == []


async def test_what_is_over_is_forgotten_and_what_can_still_matter_stays(database, passwords, settings):
    now = datetime.now(UTC)
    later, long_ago = now + timedelta(days=30), now - timedelta(days=40)

    async with database.sessions.begin() as session:
        await ensure_first_party_client(session, settings)
        ada = await create_user(session, passwords, name="Ada", email="ada@example.com", password="difference engine")

        async def sign_in(name, *, expires_at=later, ended_at=None, revoked_at=None, token_expires_at=later):
            begun = SignInSession(user_id=ada.id, cookie_digest=name, expires_at=expires_at, ended_at=ended_at)
            session.add(begun)
            await session.flush()
            grant = Grant(user_id=ada.id, client_id=CONSOLE, session_id=begun.id, scope="", revoked_at=revoked_at)
            session.add(grant)
            await session.flush()
            session.add(RefreshToken(digest=name, grant_id=grant.id, expires_at=token_expires_at, used_at=now))
            for age in (now, long_ago):
                session.add(
                    AuthorizationCode(
                        digest=f"{name} {age.day} {age.month}",
                        session_id=begun.id,
                        client_id=CONSOLE,
                        redirect_uri="",
                        scope="",
                        challenge="",
                        expires_at=age,
                    )
                )

        await sign_in("open")
        await sign_in("signed out just now", ended_at=now)
        await sign_in("signed out long ago", ended_at=long_ago)
        await sign_in("expired, but a client goes on", expires_at=long_ago)
        await sign_in("expired", expires_at=long_ago, token_expires_at=long_ago)
        await sign_in("revoked long ago", revoked_at=long_ago)
    async with database.sessions.begin() as session:
        assert await forget_what_is_over(session) > 0
    async with database.sessions() as session:
        kept = set((await session.scalars(select(SignInSession.cookie_digest))).all())
        tokens = set((await session.scalars(select(RefreshToken.digest))).all())
        codes = await session.scalar(select(func.count()).select_from(AuthorizationCode))
    staying = {"open", "signed out just now", "expired, but a client goes on"}
    assert kept == staying | {"revoked long ago"}
    assert tokens == staying
    assert codes == 4
    async with database.sessions.begin() as session:
        assert await forget_what_is_over(session) == 0
        await session.execute(update(User).values(name="still there"))
