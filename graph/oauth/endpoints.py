"""What programs ask for: tokens, the key set, and the document that says where everything is."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.signing_key import KEY_SET_MAX_AGE
from domain.viewer import Scope
from graph.oauth.forms import FormError, read_form
from graph.oauth.grants import AUTH_METHODS
from graph.oauth.keys import SigningKeys
from graph.oauth.request import OAuthRequest
from graph.oauth.server import Server
from persistence.database import Database
from persistence.settings import Settings


class Endpoints:
    """The JSON side of the authorization server."""

    def __init__(self, database: Database, settings: Settings, keys: SigningKeys) -> None:
        """Work on these."""
        self._database = database
        self._issuer = settings.public_url
        self._keys = keys

    async def token(self, request: Request) -> Response:
        """Exchange a code, a refresh token or a client's own credentials for an access token."""
        try:
            asked = await read_form(request)
        except FormError as bad:
            return self._refused(str(bad), bad.status)
        if not asked.get("grant_type"):
            return self._refused("The parameter 'grant_type' is missing.", 400)
        key = await self._keys.signing()
        async with self._database.sessions() as session, session.begin():
            return await session.run_sync(
                lambda db: Server(db, issuer=self._issuer, key=key).token(OAuthRequest(request, asked, db))
            )

    async def key_set(self, _: Request) -> Response:
        """The public keys that check our tokens (RFC 7517)."""
        age = int(KEY_SET_MAX_AGE.total_seconds())
        return JSONResponse(await self._keys.public(), headers={"Cache-Control": f"public, max-age={age}"})

    async def metadata(self, _: Request) -> Response:
        """What this server can do and where (RFC 8414)."""
        return JSONResponse(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/oauth/authorize",
                "token_endpoint": f"{self._issuer}/oauth/token",
                "jwks_uri": f"{self._issuer}/oauth/jwks",
                "scopes_supported": [scope.value for scope in Scope],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
                "token_endpoint_auth_methods_supported": AUTH_METHODS,
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            },
            headers={"Cache-Control": "public, max-age=300"},
        )

    @staticmethod
    def _refused(message: str, status: int) -> Response:
        body = {"error": "invalid_request", "error_description": message}
        return JSONResponse(body, status, {"Cache-Control": "no-store", "Pragma": "no-cache"})
