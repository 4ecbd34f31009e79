"""The browser at the other end: its cookies, and the proof that a form was sent from our own page."""

from hashlib import sha256
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from domain.credential import digest_of, is_secret_of, new_secret
from domain.sign_in import SESSION_LIFE
from persistence.settings import Settings

_FORM_SECONDS = 12 * 3600
"""How long a page may lie open before its form must be sent again."""


class Browsers:
    """The two cookies: `session` after sign-in, `visitor` before it. Both hold 256 random bits and nothing else."""

    def __init__(self, settings: Settings) -> None:
        """Name the cookies so that two installations on one host don't take each other's."""
        address = urlsplit(settings.public_url)
        self._secure = address.scheme == "https"
        prefix, suffix = ("__Host-", "") if self._secure else ("", f"-{address.port}" if address.port else "")
        self._session = f"{prefix}reelgraph-session{suffix}"
        self._visitor = f"{prefix}reelgraph-visitor{suffix}"
        self._forms = URLSafeTimedSerializer(
            settings.secret_key, salt="reelgraph forms", signer_kwargs={"digest_method": sha256}
        )

    def session(self, request: Request) -> str | None:
        """The secret of the sign-in session."""
        return _held(request, self._session)

    def sign_in(self, response: Response, secret: str) -> None:
        """Let the browser hold a session from now on."""
        self._set(response, self._session, secret, int(SESSION_LIFE.total_seconds()))

    def sign_out(self, response: Response) -> None:
        """Let the browser forget its session."""
        self._set(response, self._session, "", 0)

    def form_token(self, request: Request) -> tuple[str, str | None]:
        """A token for a form on this browser's page, and a visitor's cookie to set if it has none yet."""
        held = self._holding(request)
        secret = held or new_secret()
        return self._forms.dumps(digest_of(secret)), None if held else secret

    def greet(self, response: Response, visitor: str) -> None:
        """Let the browser hold a visitor's cookie."""
        self._set(response, self._visitor, visitor, None)

    def sent(self, request: Request, form: dict[str, str]) -> bool:
        """Whether the form comes from a page that this browser got from us, not from somebody else's."""
        held = self._holding(request)
        try:
            digest = self._forms.loads(form.get("form_token", ""), max_age=_FORM_SECONDS)
        except BadSignature:
            return False
        return held is not None and isinstance(digest, str) and is_secret_of(digest, held)

    def _holding(self, request: Request) -> str | None:
        return self.session(request) or _held(request, self._visitor)

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax")


def _held(request: Request, name: str) -> str | None:
    value = request.cookies.get(name, "")
    return value if 0 < len(value) <= 100 and value.isascii() else None  # noqa: PLR2004 - ours have 43 characters
