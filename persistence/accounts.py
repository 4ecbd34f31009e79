"""Who can sign in: users with their passwords, and the programs that act for them.

Nothing here commits: the caller owns the transaction.
"""

import secrets
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.credential import digest_of, new_secret
from domain.oauth_client import OAuthClient, clean_redirect_uri, scope_text
from domain.refusals import InvalidInput
from domain.sign_in import AuthorizationCode, Grant, RefreshToken, SignInSession
from domain.user import User, clean_email, clean_name, clean_password
from domain.viewer import Scope
from persistence.settings import Settings

CONSOLE = "reelgraph-console"
"""The client_id of our own console and commands."""


class Passwords:
    """Argon2, off the event loop. Two at a time: each one takes 64 MiB and a core for a twentieth of a second."""

    def __init__(self, hasher: PasswordHasher | None = None, *, at_once: int = 2) -> None:
        """Hash with the parameters that the library recommends now; older hashes stay good."""
        self._hasher = hasher or PasswordHasher()
        self._limiter = CapacityLimiter(at_once)

    async def hash(self, password: str) -> str:
        """What is kept of the password."""
        return await to_thread.run_sync(self._hasher.hash, _normal(password), limiter=self._limiter)

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether it is the password. Without a kept hash: False, after the same work, so that time tells nothing."""
        if kept is None:
            await self.hash(password)
            return False
        return await to_thread.run_sync(self._matches, kept, _normal(password), limiter=self._limiter)

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _matches(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    # The same password typed on another keyboard may arrive as other code points (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def random_password() -> str:
    """A password to be shown once: 80 random bits, in letters and digits that no shell takes for something else."""
    return secrets.token_hex(10)


async def create_user(
    session: AsyncSession, passwords: Passwords, *, name: str, email: str, password: str, is_admin: bool = False
) -> User:
    """Make an account; refuse bad fields, and an address that has one already."""
    name, email, password = clean_name(name), clean_email(email), clean_password(password)
    user = User(name=name, email=email, password_hash=await passwords.hash(password), is_admin=is_admin)
    try:
        async with session.begin_nested():
            session.add(user)
    except IntegrityError:
        raise InvalidInput(path="email", problem="there is an account with this address already") from None
    return user


async def ensure_first_admin(
    session: AsyncSession, passwords: Passwords, *, email: str, name: str = "Administrator"
) -> str | None:
    """Make an administrator if there is none, and return the random password: nobody can ask for it again."""
    if await session.scalar(select(exists().where(User.is_admin))):
        return None
    password = random_password()
    await create_user(session, passwords, name=name, email=email, password=password, is_admin=True)
    return password


async def ensure_first_party_client(session: AsyncSession, settings: Settings) -> None:
    """Keep our own console's registration in step with PUBLIC_URL; safe to run in every process at every start."""
    values = {
        "id": CONSOLE,
        "name": "Reelgraph Console",
        "redirect_uris": [
            f"{settings.public_url}/graphiql/callback",
            "http://127.0.0.1/callback",
            "http://localhost/callback",
        ],
        "scope": scope_text(Scope),
        "first_party": True,
    }
    statement = insert(OAuthClient).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=[OAuthClient.id], set_=values))


async def register_client(
    session: AsyncSession,
    *,
    name: str,
    redirect_uris: Iterable[str] = (),
    scopes: Iterable[Scope] | None = None,
    public: bool = False,
    owner: User | None = None,
) -> tuple[OAuthClient, str | None]:
    """Register a program and return it with its secret (None for a public one), which is not kept and shown once.

    It may have the scopes given, or all but admin.

    With an owner, a confidential client may also get tokens for itself (client credentials): it then acts as that user.
    """
    uris = [clean_redirect_uri(uri) for uri in redirect_uris]
    if owner is not None and public:
        raise InvalidInput(path="owner", problem="a public client has no secret to prove that it acts for its owner")
    if not uris and owner is None:
        raise InvalidInput(path="redirectUri", problem="a client needs one, or an owner to act for")
    secret = None if public else new_secret()
    client = OAuthClient(
        name=clean_name(name),
        redirect_uris=uris,
        scope=scope_text(frozenset(Scope) - {Scope.ADMIN} if scopes is None else scopes),
        secret_digest=digest_of(secret) if secret else None,
        owner_id=owner.id if owner else None,
    )
    session.add(client)
    await session.flush()
    return client, secret


async def user_with_email(session: AsyncSession, email: str) -> User | None:
    """The user who signs in with this address."""
    try:
        address = clean_email(email)
    except InvalidInput:
        return None
    return await session.scalar(select(User).where(User.email == address))


async def signed_in(session: AsyncSession, cookie: str | None) -> tuple[SignInSession, User] | None:
    """Whom the cookie signs in."""
    if cookie is None:
        return None
    query = select(SignInSession, User).join(User, User.id == SignInSession.user_id)
    row = (await session.execute(query.where(SignInSession.cookie_digest == digest_of(cookie)))).one_or_none()
    if row is None or not row[0].is_open(datetime.now(UTC)):
        return None
    return row[0], row[1]


async def forget_what_is_over(session: AsyncSession, *, kept: timedelta = timedelta(days=1)) -> int:
    """Remove codes, tokens, grants and sign-ins that can't matter any more; return how many rows went by themselves.

    Spent refresh tokens stay until they would have expired: seeing one again is how theft shows.
    """
    now = datetime.now(UTC)
    before = now - kept
    alive = exists().where(
        Grant.session_id == SignInSession.id, RefreshToken.grant_id == Grant.id, RefreshToken.expires_at > now
    )
    gone = 0
    for statement in (
        delete(AuthorizationCode).where(AuthorizationCode.expires_at < before),
        delete(RefreshToken).where(RefreshToken.expires_at < now),
        delete(Grant).where(Grant.revoked_at < before),
        delete(SignInSession).where(SignInSession.ended_at < before),
        delete(SignInSession).where(SignInSession.expires_at < before, ~alive),
    ):
        result = await session.execute(statement.returning(func.now()))
        gone += len(result.all())
    return gone
