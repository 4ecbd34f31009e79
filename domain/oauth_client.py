"""A program that asks for tokens on somebody's behalf, and what it may ask for."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from sqlalchemy import ARRAY, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from domain.credential import DIGEST, is_secret_of
from domain.entity import Base, Entity
from domain.refusals import InvalidInput
from domain.user import NAME_LENGTH
from domain.viewer import Scope

REDIRECT_URI_LENGTH = 2000
SCOPE_LENGTH = 200

_PORT = r"(?::\d{1,5})?"
_LOOPBACK = re.compile(rf"(http://(?:127\.0\.0\.1|\[::1\]|localhost)){_PORT}(/[^\s\\#]*)?", re.ASCII)
_HTTPS = re.compile(rf"https://[A-Za-z0-9.\-]+{_PORT}(?:/[^\s\\#]*)?", re.ASCII)
# A scheme of an app's own needs a dot (com.example.app:/done), which keeps out javascript:, data: and their like.
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+\-]*(?:\.[a-z0-9+\-]+)+:/[^\s\\#]*", re.ASCII)


def scope_text(scopes: Iterable[Scope]) -> str:
    """The scopes as OAuth writes them: words with spaces between, always in the same order."""
    kept = frozenset(scopes)
    return " ".join(scope for scope in Scope if scope in kept)


def scopes_in(text: str) -> frozenset[Scope]:
    """The scopes that a text names. Words that are not (or no longer) scopes are passed over."""
    words = frozenset(text.split())
    return frozenset(scope for scope in Scope if scope in words)


def clean_redirect_uri(uri: str) -> str:
    """Return a redirect URI that may be registered: https, a loopback address, or an app's own scheme."""
    uri = uri.strip()
    if len(uri) > REDIRECT_URI_LENGTH or not uri.isascii():
        raise InvalidInput(path="redirectUri", problem=f"it must be ASCII, of {REDIRECT_URI_LENGTH} characters at most")
    if not any(pattern.fullmatch(uri) for pattern in (_HTTPS, _LOOPBACK, _PRIVATE_USE)):
        raise InvalidInput(
            path="redirectUri",
            problem="it must be an https:// address, a loopback address such as http://127.0.0.1/callback, "
            "or a scheme of your own such as com.example.app:/callback, with no fragment",
        )
    return uri


def without_loopback_port(uri: str) -> str:
    """Drop the port of a loopback URI; any other URI comes back as it is.

    A program that listens on the user's own machine takes whatever port is free (RFC 8252, section 7.3).
    """
    loopback = _LOOPBACK.fullmatch(uri)
    return f"{loopback[1]}{loopback[2] or ''}" if loopback else uri


def is_loopback(uri: str) -> bool:
    """Whether the URI leads to a program on the user's own machine."""
    return _LOOPBACK.fullmatch(uri) is not None


class OAuthClient(Entity, Base):
    """A registered program. Its id is the OAuth client_id."""

    __tablename__ = "oauth_clients"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    """What the user reads when asked to let it in."""
    redirect_uris: Mapped[list[str]] = mapped_column(ARRAY(String(REDIRECT_URI_LENGTH)))
    scope: Mapped[str] = mapped_column(String(SCOPE_LENGTH))
    """The most it may ask for."""
    secret_digest: Mapped[str | None] = mapped_column(DIGEST, default=None)
    """None for a public client (a browser, a phone, a desktop program): one that can't keep a secret."""
    first_party: Mapped[bool] = mapped_column(default=False)
    """Ours: users are not asked to consent to it."""
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), default=None, index=True)
    """Whom it acts as under client credentials; None: it cannot use them."""

    @property
    def is_public(self) -> bool:
        return self.secret_digest is None

    @property
    def scopes(self) -> frozenset[Scope]:
        """The most it may ask for."""
        return scopes_in(self.scope)

    def knows(self, secret: str) -> bool:
        """Whether this is the client's secret."""
        return self.secret_digest is not None and is_secret_of(self.secret_digest, secret)

    def may_redirect_to(self, uri: str) -> bool:
        """Whether the URI is registered: character for character, except for the port of a loopback address."""
        if uri in self.redirect_uris:
            return True
        if not is_loopback(uri):
            return False
        try:
            _ = urlsplit(uri).port  # 65536 and above are no ports
        except ValueError:
            return False
        return without_loopback_port(uri) in map(without_loopback_port, self.redirect_uris)

    def grants(self, asked: frozenset[Scope] | None, *, to_admin: bool) -> frozenset[Scope]:
        """What the client gets of what it asks for; asking for nothing means all it may have, but never admin.

        The admin scope is left out for users who are no administrators: a client can't know beforehand who signs in.
        """
        if asked is None:
            asked = self.scopes - {Scope.ADMIN}
        granted = asked & self.scopes
        return granted if to_admin else granted - {Scope.ADMIN}
