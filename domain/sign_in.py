"""A person signed in with a browser, and what they let programs do from there.

    SignInSession  a browser's cookie
      └─ Grant     what the person lets one client do; named `sid` in access tokens
           ├─ AuthorizationCode   one use, one minute
           └─ RefreshToken        one use each, a chain of them

Ending the session, or revoking the grant, kills everything below it, at once and for good.
"""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from domain.credential import DIGEST
from domain.entity import Base, Entity
from domain.oauth_client import REDIRECT_URI_LENGTH, SCOPE_LENGTH

SESSION_LIFE = timedelta(days=30)
CODE_LIFE = timedelta(seconds=60)
REFRESH_TOKEN_LIFE = timedelta(days=30)
"""A client that stays away longer than this asks its user to sign in again."""
ACCESS_TOKEN_LIFE = timedelta(minutes=5)


class SignInSession(Entity, Base):
    """A browser that a user signed in with."""

    __tablename__ = "sign_in_sessions"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    cookie_digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    expires_at: Mapped[datetime] = mapped_column()
    """When the browser must sign in again. Clients that keep refreshing their tokens go on."""
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    """When the user signed out."""

    def is_open(self, now: datetime) -> bool:
        """Whether the cookie still signs its browser in."""
        return self.ended_at is None and now < self.expires_at

    def end(self, now: datetime) -> None:
        """Sign out: the browser and every client that was let in from it."""
        self.ended_at = self.ended_at or now


class Grant(Entity, Base):
    """What a user lets one client do, from one sign-in: the family of its codes and tokens."""

    __tablename__ = "oauth_grants"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sign_in_sessions.id", ondelete="CASCADE"), index=True)
    scope: Mapped[str] = mapped_column(String(SCOPE_LENGTH))
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)

    def revoke(self, now: datetime) -> None:
        """Kill every token of the family."""
        self.revoked_at = self.revoked_at or now


class AuthorizationCode(Entity, Base):
    """A client's ticket for its first tokens: good once, for a minute, with the right verifier."""

    __tablename__ = "oauth_codes"

    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sign_in_sessions.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str] = mapped_column(String(REDIRECT_URI_LENGTH))
    """Where it was sent: the client names it again when it comes with the code."""
    scope: Mapped[str] = mapped_column(String(SCOPE_LENGTH))
    challenge: Mapped[str] = mapped_column(String(43))
    """The PKCE challenge; the method is S256, always."""
    expires_at: Mapped[datetime] = mapped_column()
    grant_id: Mapped[str | None] = mapped_column(
        ForeignKey("oauth_grants.id", ondelete="CASCADE"), default=None, index=True
    )
    """What it was exchanged for. A code with a grant is spent."""


class RefreshToken(Entity, Base):
    """A client's ticket for its next tokens: good once. Its successor belongs to the same grant."""

    __tablename__ = "oauth_refresh_tokens"

    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    grant_id: Mapped[str] = mapped_column(ForeignKey("oauth_grants.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column()
    used_at: Mapped[datetime | None] = mapped_column(default=None)
