"""A request as Authlib wants it, with the transaction it is decided in."""

from base64 import b64decode
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy.orm import Session
from starlette.requests import Request

from graph.oauth.faces import Program, Subject


class OAuthRequest(OAuth2Request):
    """What a client asks: of the authorization endpoint by query, of the token endpoint by form."""

    def __init__(self, http: Request, asked: dict[str, str], db: Session) -> None:
        """Take the parameters, each of them once."""
        # Authlib insists on https. Whether plain http will do is decided by whoever sets PUBLIC_URL: TLS ends at a
        # proxy, and the address we see here says nothing.
        super().__init__(http.method, "https://localhost/", headers=_credentials(http))  # pyright: ignore[reportUnknownMemberType]  # the stub of a deprecated overload
        self.payload = BasicOAuth2Payload(asked)
        self.asked = asked
        self.db = db
        self.now = datetime.now(UTC)
        self.session_id: str | None = None
        """The sign-in session of whoever lets the client in."""

    @property
    def form(self) -> dict[str, str]:
        """The parameters of the token endpoint."""
        return self.asked

    @property
    def program(self) -> Program:
        """The client, once Authlib has authenticated it."""
        assert isinstance(self.client, Program)  # noqa: S101 - for the type checker: query_client makes no other
        return self.client

    @property
    def subject(self) -> Subject:
        """Whom the tokens are for, once Authlib has asked the grant."""
        assert isinstance(self.user, Subject)  # noqa: S101 - for the type checker: authenticate_user makes no other
        return self.user


def _credentials(http: Request) -> dict[str, str]:
    """The Authorization header, if it can be read at all: Authlib trips over one that is not base64 of UTF-8."""
    header = http.headers.get("authorization", "")
    try:
        unquote_to_bytes(b64decode(header.partition(" ")[2].strip(), validate=True).decode()).decode()
    except ValueError:
        return {}
    return {"Authorization": header}
