"""Our rows, in the words Authlib asks in."""
# pyright: reportIncompatibleMethodOverride=false
# Authlib's stubs say less than its code: a scope may be None on both sides, and a token's client is our own class.

from dataclasses import dataclass

from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin

from domain.oauth_client import OAuthClient, scope_text, scopes_in
from domain.sign_in import AuthorizationCode, Grant, RefreshToken
from domain.user import User


@dataclass
class Program(ClientMixin):
    """A registered client."""

    client: OAuthClient
    to_admin: bool = True
    """Whether the user it acts for is an administrator; as long as nobody has signed in yet, that stays open."""

    def get_client_id(self) -> str:
        return self.client.id

    def get_default_redirect_uri(self) -> str:
        return ""  # every request names its own: fewer ways to be wrong

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Give what is granted of what is asked; None if that is nothing at all: invalid_scope."""
        asked = None if scope is None else scopes_in(scope)
        granted = self.client.grants(asked, to_admin=self.to_admin)
        return None if asked and not granted else scope_text(granted)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return self.client.may_redirect_to(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        return self.client.knows(client_secret)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return (method == "none") == self.client.is_public

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and bool(self.client.redirect_uris)

    def check_grant_type(self, grant_type: str) -> bool:
        if grant_type == "client_credentials":
            return not self.client.is_public and self.client.owner_id is not None
        return bool(self.client.redirect_uris)


@dataclass
class Subject:
    """Whom a token is for, and the grant it is born from."""

    user: User
    grant: Grant

    def get_user_id(self) -> str:
        return self.user.id


@dataclass
class CodeFace(AuthorizationCodeMixin):
    """A code that is being redeemed."""

    row: AuthorizationCode

    def get_redirect_uri(self) -> str:
        return self.row.redirect_uri

    def get_scope(self) -> str:
        return self.row.scope


@dataclass
class RefreshFace(TokenMixin):
    """A refresh token that is being used."""

    row: RefreshToken
    grant: Grant

    def check_client(self, client: Program) -> bool:
        return self.grant.client_id == client.client.id

    def get_scope(self) -> str:
        return self.grant.scope
