"""The pages people see: plain HTML that needs no script, and the headers that keep it to itself."""

import re
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import parse_qs, quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from graph.oauth.browser import Browsers
from persistence.settings import Settings

EXPIRED = "This page had been open for too long, or in another tab. Please send it again."

# An origin; or just a scheme, for an app's own one and for IPv6 addresses, which CSP has no words for.
_SOURCE = re.compile(r"https?://[A-Za-z0-9.\-]+(?::\d{1,5})?|[a-z][a-z0-9+.\-]*:")


class Pages:
    """The templates, with what all of them need."""

    def __init__(self, settings: Settings, browsers: Browsers) -> None:
        """Load the templates of this package."""
        self._browsers = browsers
        self._root = urlsplit(settings.public_url).path
        self.style = (files("graph.oauth") / "templates" / "style.css").read_bytes()
        self._templates = Environment(
            loader=PackageLoader("graph.oauth"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._shared = {
            "root": self._root,
            "open_registration": settings.open_registration,
            "style": f"{self._root}/oauth/style.css?{sha256(self.style).hexdigest()[:12]}",
        }

    def home(self) -> str:
        """The page that a signed-in person without an errand comes to."""
        return f"{self._root}/oauth/sign-out"

    def sign_in(self, onward: str | None) -> str:
        """The sign-in page, which then leads onward."""
        return f"{self._root}/oauth/sign-in{query_for(onward)}"

    def authorize(self, query: str) -> str:
        """The authorization endpoint, asked this."""
        return f"{self._root}/oauth/authorize?{query}"

    def page(
        self, request: Request, name: str, *, status: int = 200, leads_to: str | None = None, **facts: object
    ) -> HTMLResponse:
        """Render a page with a fresh form token. `leads_to`: where a form on it may end up, besides here."""
        token, visitor = self._browsers.form_token(request)
        facts |= {"form_token": token, "leads_to": leads_to, "onward": query_for(leads_to)}
        html = self._templates.get_template(f"{name}.html").render(self._shared | facts)
        response = HTMLResponse(html, status, headers=_headers(leads_to))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            response.headers["Retry-After"] = "300"
        if visitor:
            self._browsers.greet(response, visitor)
        return response

    def error(self, request: Request, message: str, status: int = 400) -> Response:
        """Say what is wrong; used where there is nobody to send the browser back to."""
        return self.page(request, "error", status=status, message=message)


def query_for(onward: str | None) -> str:
    """The query that takes the way onward along from page to page."""
    return f"?next={quote(onward, safe='')}" if onward else ""


def _headers(leads_to: str | None) -> dict[str, str]:
    # Browsers hold a form to this list even through redirects: the one that signs in ends at the client's own address.
    targets = " ".join(["'self'", *_targets(leads_to)])
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {targets}; "
        "frame-ancestors 'none'; base-uri 'none'",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _targets(leads_to: str | None) -> list[str]:
    """The origin of the redirect URI in an address of our authorization endpoint, as a CSP source."""
    for uri in parse_qs(urlsplit(leads_to or "").query).get("redirect_uri", []):
        source = _SOURCE.match(uri)
        if source:
            return [source[0]]
    return []
