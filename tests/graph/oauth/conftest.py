"""An authorization server on a real database, and a browser without a network."""

import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from argon2 import PasswordHasher
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import select, update
from starlette.applications import Starlette

from domain.oauth_client import OAuthClient
from domain.user import User
from graph.oauth.keys import SigningKeys
from graph.oauth.routes import routes
from graph.oauth.tokens import TokenVerifier
from persistence.accounts import CONSOLE, Passwords, ensure_first_party_client, register_client
from persistence.database import Database
from persistence.settings import Settings

VERIFIER = "v" * 43
CALLBACK = "http://127.0.0.1:4711/callback"
ADA = {"name": "Ada", "email": "ada@example.com", "password": "difference engine"}


@dataclass
class Site:
    settings: Settings
    database: Database
    keys: SigningKeys
    verifier: TokenVerifier
    browser: AsyncClient
    passwords: Passwords

    @staticmethod
    def challenge_of(verifier: str) -> str:
        return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    @staticmethod
    def form_token(page: Response) -> str:
        return unescape(re.search(r'name="form_token" value="([^"]+)"', page.text)[1])

    @staticmethod
    def query_of(response: Response) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(response.headers["location"]).query))

    def another_browser(self) -> AsyncClient:
        """Somebody else: the same server, no cookies."""
        return AsyncClient(transport=self.browser._transport, base_url=self.browser.base_url)

    async def send(self, path: str, fields: dict[str, str], browser: AsyncClient | None = None) -> Response:
        """Open the page and send its form."""
        browser = browser or self.browser
        page = await browser.get(path)
        return await browser.post(path, data={"form_token": self.form_token(page), **fields})

    async def register(self, **changes: str) -> Response:
        return await self.send("/oauth/register", ADA | changes)

    async def sign_in(self, email: str = ADA["email"], password: str = ADA["password"], **more: str) -> Response:
        return await self.send("/oauth/sign-in", {"email": email, "password": password, **more})

    def asking(self, **changes: str | None) -> str:
        asked = {
            "response_type": "code",
            "client_id": CONSOLE,
            "redirect_uri": CALLBACK,
            "state": "a state & more",
            "code_challenge": self.challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        } | changes
        return "/oauth/authorize?" + urlencode({name: value for name, value in asked.items() if value is not None})

    async def code(self, **changes: str | None) -> str:
        """Ask for one, and say yes where the user is asked."""
        asking = self.asking(**changes)
        answer = await self.browser.get(asking)
        if answer.status_code == 200:
            answer = await self.browser.post(asking, data={"form_token": self.form_token(answer), "answer": "allow"})
        assert answer.status_code == 303, answer.text
        return self.query_of(answer)["code"]

    async def token(self, auth: tuple[str, str] | None = None, **asked: str) -> Response:
        return await self.another_browser().post("/oauth/token", data=asked, auth=auth)

    async def redeem(self, code: str, **changes: str) -> Response:
        asked = {
            "grant_type": "authorization_code",
            "client_id": CONSOLE,
            "redirect_uri": CALLBACK,
            "code": code,
            "code_verifier": VERIFIER,
        }
        return await self.token(**asked | changes)

    async def refresh(self, refresh_token: str, **changes: str) -> Response:
        asked = {"grant_type": "refresh_token", "client_id": CONSOLE, "refresh_token": refresh_token}
        return await self.token(**asked | changes)

    async def tokens(self, **changes: str | None) -> dict[str, str]:
        """Register, sign in, and get the first tokens."""
        await self.register()
        answer = await self.redeem(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def user(self, email: str = ADA["email"]) -> User:
        async with self.database.sessions() as session:
            return (await session.scalars(select(User).where(User.email == email))).one()

    async def set_admin(self, is_admin: bool) -> None:
        async with self.database.sessions.begin() as session:
            await session.execute(update(User).values(is_admin=is_admin))

    async def client(
        self,
        *,
        acts_for: User | None = None,
        public: bool = False,
        uri: str = "https://app.example/done",
        **more: object,
    ) -> tuple[OAuthClient, str | None]:
        """Register somebody else's program."""
        async with self.database.sessions.begin() as session:
            return await register_client(
                session, name="Cutter", redirect_uris=[uri], owner=acts_for, public=public, **more
            )

    async def fresh_verifier(self) -> TokenVerifier:
        """As another API process has it: nothing remembered."""
        return TokenVerifier(self.database, self.settings, SigningKeys(self.database, self.settings))


@pytest.fixture
async def site(settings: Settings) -> AsyncGenerator[Site]:
    async with Database.opened(settings) as database:
        keys = SigningKeys(database, settings)
        await keys.ensure()
        async with database.sessions.begin() as session:
            await ensure_first_party_client(session, settings)
        # Argon2 all the same, with as little work as it takes.
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        app = Starlette(routes=routes(database, settings, keys, passwords))
        transport = ASGITransport(app=app)
        async with AsyncClient(transport=transport, base_url=settings.public_url) as browser:
            yield Site(settings, database, keys, TokenVerifier(database, settings, keys), browser, passwords)
