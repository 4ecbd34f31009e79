"""Access tokens: how they are made, and what one that comes back is worth.

ES256 JWTs of five minutes (RFC 9068): `sub` is the user, `client_id` the program, `sid` the grant it was born from
(missing for client credentials), `scope` what it may be used for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Generic, NamedTuple, TypeVar

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry
from sqlalchemy import ARRAY, Boolean, ColumnElement, String, and_, column, exists, func, literal, or_, select

from domain.oauth_client import OAuthClient, scopes_in
from domain.sign_in import Grant, SignInSession
from domain.user import User
from domain.viewer import Scope, Viewer
from graph.oauth.keys import SigningKeys
from graph.rights import Watch
from persistence.database import Database
from persistence.settings import Settings

ALGORITHM = "ES256"
TYPE = "at+jwt"

_LONGEST = 4096
"""Characters; ours have about 700."""
_CHECKED = 60.0
"""Seconds that a signature once checked is not checked again."""
_STANDING = 0.5
"""Seconds that a user's standing is believed: sign-outs and revocations must show within two."""

T = TypeVar("T")


class _Recent(Generic[T]):
    """What was found out lately, the newest few thousand of it."""

    def __init__(self, *, size: int = 4096) -> None:
        self._kept: OrderedDict[Any, tuple[float, T]] = OrderedDict()
        self._size = size

    def get(self, key: object) -> T | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > time.monotonic() else None

    def keep(self, key: object, value: T, seconds: float) -> None:
        self._kept[key] = (time.monotonic() + seconds, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)


@dataclass(frozen=True)
class _Claims:
    user_id: str
    client_id: str
    grant_id: str | None
    scopes: frozenset[Scope]
    expires_at: datetime


class SignIn(NamedTuple):
    """What somebody's access rests on: who they are, through which program, by which grant, and as what."""

    user_id: str
    client_id: str | None
    grant_id: str | None
    """None: the client acts for its owner by credentials of its own."""
    is_admin: bool


@dataclass(frozen=True)
class _Standing:
    is_admin: bool | None
    """None: the user, the client or the grant is gone, revoked or signed out."""


class TokenVerifier:
    """Turns bearer tokens into viewers. One for each process: it remembers what it checked."""

    def __init__(self, database: Database, settings: Settings, keys: SigningKeys) -> None:
        """Accept only tokens that this installation issued for itself."""
        self._database = database
        self._keys = keys
        ours: Any = {"essential": True, "value": settings.public_url}
        a_must: Any = {"essential": True}
        self._rules = JWTClaimsRegistry(
            iss=ours, aud=ours, exp=a_must, iat=a_must, sub=a_must, jti=a_must, client_id=a_must
        )
        self._checked: _Recent[_Claims] = _Recent()
        self._standings: _Recent[_Standing] = _Recent()
        self._watch = Watch(self.fallen)

    async def viewer(self, token: str) -> Viewer | None:
        """Who holds the token, or None if it is worth nothing, whatever the reason."""
        claims = await self._claims(token)
        if claims is None or claims.expires_at <= datetime.now(UTC):
            return None
        standing = await self._standing(claims.user_id, claims.client_id, claims.grant_id)
        if standing.is_admin is None:
            return None
        return Viewer(
            user_id=claims.user_id,
            scopes=claims.scopes,
            is_admin=standing.is_admin and Scope.ADMIN in claims.scopes,
            session_id=claims.grant_id,
            client_id=claims.client_id,
            expires_at=claims.expires_at,
        )

    def stays(self, viewer: Viewer, ended: Callable[[], None]) -> Callable[[], None]:
        """Watch a viewer's sign-in, past their token's expiry, until what is returned is called.

        `ended` is called within two seconds of a sign-out, a revocation, the deletion of the user or the client, and
        when an administrator is one no more.
        """
        return self._watch.add(SignIn(viewer.user_id, viewer.client_id, viewer.session_id, viewer.is_admin), ended)

    async def fallen(self, sign_ins: Sequence[SignIn]) -> list[SignIn]:
        """Those of these that do not stand any more, found in one query."""
        kinds = zip(SignIn._fields, (String, String, String, Boolean), strict=True)
        asked = func.unnest(*(literal([getattr(each, name) for each in sign_ins], ARRAY(kind)) for name, kind in kinds))
        it = asked.table_valued(
            "user_id", "client_id", "grant_id", column("is_admin", Boolean), with_ordinality="number"
        ).render_derived()
        stands = exists().where(User.id == it.c.user_id, or_(User.is_admin, ~it.c.is_admin))
        stands = stands.where(_vouched(it.c.client_id, it.c.grant_id))
        async with self._database.statements() as session:
            return [sign_ins[number - 1] for number in await session.scalars(select(it.c.number).where(~stands))]

    async def _claims(self, token: str) -> _Claims | None:
        if len(token) > _LONGEST or not token.isascii():
            return None
        key = sha256(token.encode()).digest()
        if known := self._checked.get(key):
            return known
        try:
            claims = await self._checked_claims(token)
        except (JoseError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None  # and say nothing of it: what is in a token is no business of the log
        self._checked.keep(key, claims, _CHECKED)
        return claims

    async def _checked_claims(self, token: str) -> _Claims:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
        if not isinstance(kid, str):
            raise TypeError(kid)
        decoded = jwt.decode(token, await self._keys.verifying(kid), algorithms=[ALGORITHM])
        if decoded.header.get("typ") != TYPE:
            raise ValueError(decoded.header)
        self._rules.validate(decoded.claims)
        text = {name: decoded.claims.get(name) for name in ("sub", "client_id", "sid", "scope")}
        if not all(value is None or isinstance(value, str) for value in text.values()):
            raise TypeError(text)
        return _Claims(
            user_id=decoded.claims["sub"],
            client_id=decoded.claims["client_id"],
            grant_id=decoded.claims.get("sid"),
            scopes=scopes_in(decoded.claims.get("scope") or ""),
            expires_at=datetime.fromtimestamp(decoded.claims["exp"], UTC),
        )

    async def _standing(self, user_id: str, client_id: str, grant_id: str | None) -> _Standing:
        key = (user_id, client_id, grant_id)
        if known := self._standings.get(key):
            return known
        query = select(User.is_admin).where(User.id == user_id)
        query = query.where(_vouched(literal(client_id), literal(grant_id, String)))
        async with self._database.statements() as session:
            standing = _Standing(await session.scalar(query))
        self._standings.keep(key, standing, _STANDING)
        return standing


def _vouched(client_id: ColumnElement[str], grant_id: ColumnElement[str | None]) -> ColumnElement[bool]:
    """Whether the client may act for the user: by a grant that holds, or, without one, because it is theirs."""
    owned = exists().where(OAuthClient.id == client_id, OAuthClient.owner_id == User.id)
    granted = exists().where(
        Grant.id == grant_id, Grant.client_id == client_id, Grant.user_id == User.id, Grant.revoked_at.is_(None)
    )
    granted = granted.where(SignInSession.id == Grant.session_id, SignInSession.ended_at.is_(None))
    # Whatever else they name belongs to the query around them, however far out.
    owned, granted = owned.correlate_except(OAuthClient), granted.correlate_except(Grant, SignInSession)
    return or_(and_(grant_id.is_(None), owned), granted)
