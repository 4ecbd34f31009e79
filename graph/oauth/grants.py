"""The three ways to a token."""
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# Authlib types its hooks by the widest class there is; ours take the rows and the request that we ourselves hand in.

import re
from typing import ClassVar

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from sqlalchemy import select

from domain.credential import digest_of, new_secret
from domain.sign_in import CODE_LIFE, AuthorizationCode, Grant, RefreshToken, SignInSession
from domain.user import User
from graph.oauth.faces import CodeFace, Program, RefreshFace, Subject
from graph.oauth.request import OAuthRequest

SECRET_METHODS = ["client_secret_basic", "client_secret_post"]
AUTH_METHODS = [*SECRET_METHODS, "none"]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


class CodeGrant(AuthorizationCodeGrant):
    """A user let a client in: a code for its browser's redirect, tokens for the code."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = AUTH_METHODS
    request: OAuthRequest

    def generate_authorization_code(self) -> str:
        return new_secret()

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        if request.session_id is None:
            raise InvalidRequestError("Nobody is signed in.")
        request.db.add(
            AuthorizationCode(
                digest=digest_of(code),
                session_id=request.session_id,
                client_id=request.program.client.id,
                redirect_uri=request.asked["redirect_uri"],
                scope=request.program.get_allowed_scope(request.asked.get("scope")) or "",
                challenge=request.asked["code_challenge"],
                expires_at=request.now + CODE_LIFE,
            )
        )

    def query_authorization_code(self, code: str, client: Program) -> CodeFace | None:
        query = select(AuthorizationCode).where(
            AuthorizationCode.digest == digest_of(code), AuthorizationCode.client_id == client.client.id
        )
        row = self.request.db.scalar(query.with_for_update())
        if row is None or (row.grant_id is None and row.expires_at <= self.request.now):
            return None
        return CodeFace(row)

    def authenticate_user(self, authorization_code: CodeFace) -> Subject:
        """Turn the code into a grant. Runs after the PKCE check: only those who know the verifier get here."""
        db, code = self.request.db, authorization_code.row
        if code.grant_id is not None:
            db.get_one(Grant, code.grant_id).revoke(self.request.now)
            raise InvalidGrantError("The 'code' has been used before: what it gave is revoked.")
        session = db.get_one(SignInSession, code.session_id)
        if session.ended_at is not None:
            raise InvalidGrantError("The user has signed out.")
        user = db.get_one(User, session.user_id)
        grant = Grant(user_id=user.id, client_id=code.client_id, session_id=session.id, scope=code.scope)
        db.add(grant)
        db.flush()
        code.grant_id = grant.id
        self.request.program.to_admin = user.is_admin
        return Subject(user, grant)

    def delete_authorization_code(self, authorization_code: CodeFace) -> None:
        """Keep it: its second use must be noticed."""


class S256(CodeChallenge):
    """PKCE for everybody, and S256 only: with `plain`, whoever sees the request can redeem the code."""

    def validate_code_challenge(self, grant: CodeGrant, _redirect_uri: str) -> None:
        asked = grant.request.asked
        if not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
            raise InvalidRequestError("A 'code_challenge' of 43 characters is required (PKCE).")
        if asked.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The 'code_challenge_method' must be S256.")

    def validate_code_verifier(self, grant: CodeGrant, result: object) -> None:
        if not _VERIFIER.fullmatch(grant.request.asked.get("code_verifier", "")):
            raise InvalidRequestError("A 'code_verifier' of 43 to 128 characters is required (PKCE).")
        super().validate_code_verifier(grant, result)  # pyright: ignore[reportUnknownMemberType]  # untyped in the stubs

    def get_authorization_code_challenge(self, authorization_code: CodeFace) -> str:
        return authorization_code.row.challenge

    def get_authorization_code_challenge_method(self, _authorization_code: CodeFace) -> str:
        return "S256"


class RefreshGrant(RefreshTokenGrant):
    """New tokens for an old one, which is then spent. One that comes back spent was stolen: the family dies."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True
    request: OAuthRequest

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshFace | None:
        db, now = self.request.db, self.request.now
        row = db.scalar(select(RefreshToken).where(RefreshToken.digest == digest_of(refresh_token)).with_for_update())
        if row is None:
            return None
        token = RefreshFace(row, db.get_one(Grant, row.grant_id))
        if not token.check_client(self.request.program):
            return None
        if row.used_at is not None:
            token.grant.revoke(now)
            raise InvalidGrantError("The 'refresh_token' has been used before: its whole family is revoked.")
        session = db.get_one(SignInSession, token.grant.session_id)
        if row.expires_at <= now or token.grant.revoked_at is not None or session.ended_at is not None:
            return None
        return token

    def authenticate_user(self, refresh_token: RefreshFace) -> Subject:
        user = self.request.db.get_one(User, refresh_token.grant.user_id)
        self.request.program.to_admin = user.is_admin
        return Subject(user, refresh_token.grant)

    def revoke_old_credential(self, refresh_token: RefreshFace) -> None:
        refresh_token.row.used_at = self.request.now


class CredentialsGrant(ClientCredentialsGrant):
    """A script on its own: the client acts as its owner."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = SECRET_METHODS
    request: OAuthRequest

    def validate_token_request(self) -> None:
        super().validate_token_request()
        program = self.request.program
        program.to_admin = self.request.db.get_one(User, program.client.owner_id).is_admin
