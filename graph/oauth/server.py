"""The authorization server: Authlib's rules over our rows.

Authlib decides synchronously. One server is made for each request, inside `AsyncSession.run_sync`, so that all it reads
and writes is one transaction; and the transaction is committed also when the answer is an error, since a refusal may
have revoked what was stolen.
"""
# pyright: reportIncompatibleMethodOverride=false
# Authlib types its hooks by the widest class there is; ours take the rows and the request that we ourselves hand in.

import re
from collections.abc import Mapping
from typing import cast

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidRequestError,
    OAuth2Error,
    UnsupportedResponseTypeError,
)
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc.jwk import KeySet
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, RedirectResponse, Response

from domain.credential import digest_of, new_secret
from domain.oauth_client import OAuthClient
from domain.sign_in import ACCESS_TOKEN_LIFE, REFRESH_TOKEN_LIFE, RefreshToken
from domain.user import User
from domain.viewer import Scope
from graph.oauth.faces import Program, Subject
from graph.oauth.grants import S256, CodeGrant, CredentialsGrant, RefreshGrant
from graph.oauth.request import OAuthRequest
from graph.oauth.tokens import ALGORITHM

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def _refresh_token(**_: object) -> str:
    return new_secret()


def _seconds(*_: object) -> int:
    return int(ACCESS_TOKEN_LIFE.total_seconds())


class _AccessTokens(JWTBearerTokenGenerator):
    """Five-minute JWTs for the one audience there is: ourselves."""

    def __init__(self, issuer: str, key: KeySet) -> None:
        super().__init__(issuer, ALGORITHM, _refresh_token, _seconds)  # pyright: ignore[reportUnknownMemberType]  # untyped in the stubs
        self._issuer = issuer
        self._key = key

    def get_jwks(self) -> KeySet:
        return self._key

    def get_audiences(self, _client: Program, _user: Subject | None, _scope: str) -> str:
        return self._issuer

    def get_extra_claims(
        self, client: Program, _grant_type: str, user: Subject | None, _scope: str
    ) -> dict[str, str | None]:
        return {"sub": client.client.owner_id} if user is None else {"sid": user.grant.id}


class Server(AuthorizationServer):
    """The rules for one request."""

    def __init__(self, db: Session, *, issuer: str, key: KeySet, to_admin: bool = True) -> None:
        """Decide inside this transaction, sign with this key. `to_admin`: whoever is signed in may grant admin."""
        super().__init__(scopes_supported=list(Scope))
        self._db = db
        self._issuer = issuer
        self._to_admin = to_admin
        self.register_token_generator("default", _AccessTokens(issuer, key))
        self.register_grant(CodeGrant, [S256()])
        self.register_grant(RefreshGrant)
        self.register_grant(CredentialsGrant)

    def consent(self, asked: OAuthRequest) -> CodeGrant:
        """Check an authorization request, up to the user's answer; raise OAuth2Error if it is wrong."""
        kind = asked.asked.get("response_type")
        if not kind:
            raise InvalidRequestError("The parameter 'response_type' is missing.")
        if kind != "code":  # said here, for Authlib puts the word into its answer, and some words are no answer
            raise UnsupportedResponseTypeError("")
        return cast(CodeGrant, self.get_consent_grant(asked))  # pyright: ignore[reportUnknownMemberType]  # untyped in the stubs

    def answer(self, asked: OAuthRequest, grant: CodeGrant, user: User | None) -> Response:
        """Send the browser back with a code, or, without a user, with the news that access was denied."""
        response = self.create_authorization_response(asked, grant_user=user, grant=grant)  # pyright: ignore[reportUnknownMemberType]  # untyped in the stubs
        return cast(Response, response)

    def refuse(self, asked: OAuthRequest, error: OAuth2Error) -> Response:
        """Send the browser back to a redirect URI that is known to be right, with an error."""
        error.redirect_uri = asked.asked["redirect_uri"]
        error.state = asked.asked.get("state")
        return cast(Response, self.handle_error_response(asked, error))

    def token(self, asked: OAuthRequest) -> Response:
        """Answer the token endpoint, with tokens or with an error."""
        return cast(Response, self.create_token_response(asked))  # pyright: ignore[reportUnknownMemberType]  # untyped in the stubs

    # What Authlib asks of us

    def query_client(self, client_id: str) -> Program | None:
        client = self._db.get(OAuthClient, client_id) if _CLIENT_ID.fullmatch(client_id) else None
        return Program(client, self._to_admin) if client else None

    def save_token(self, token: Mapping[str, object], request: OAuthRequest) -> None:
        """Keep the digest of the refresh token; access tokens are not kept at all."""
        if secret := token.get("refresh_token"):
            self._db.add(
                RefreshToken(
                    digest=digest_of(str(secret)),
                    grant_id=request.subject.grant.id,
                    expires_at=request.now + REFRESH_TOKEN_LIFE,
                )
            )

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        return request

    def handle_response(self, status: int, body: object, headers: list[tuple[str, str]]) -> Response:
        named = dict(headers)
        if location := named.get("Location"):
            # Naming ourselves defeats mix-ups between servers (RFC 9207); 303, so that no form is sent on (RFC 9700).
            return RedirectResponse(add_params_to_uri(location, [("iss", self._issuer)]), status_code=303)
        return JSONResponse(body, status, named)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""
