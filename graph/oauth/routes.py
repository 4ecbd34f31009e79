"""The authorization server as routes: made from what a process has opened, with nothing global."""

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from graph.oauth.authorize import Authorize
from graph.oauth.browser import Browsers
from graph.oauth.endpoints import Endpoints
from graph.oauth.entry import Entry
from graph.oauth.forms import FormError
from graph.oauth.keys import SigningKeys
from graph.oauth.pages import Pages
from persistence.accounts import Passwords
from persistence.database import Database
from persistence.settings import Settings

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(database: Database, settings: Settings, keys: SigningKeys, passwords: Passwords) -> list[BaseRoute]:
    """Everything under /oauth, and the discovery document. `keys` must have been ensured before the first request."""
    # Authlib writes whole tokens into its DEBUG log.
    logging.getLogger("authlib").setLevel(logging.INFO)
    browsers = Browsers(settings)
    pages = Pages(settings, browsers)
    entry = Entry(database, settings, pages, browsers, passwords)
    authorize = Authorize(database, settings, keys, pages, browsers)
    endpoints = Endpoints(database, settings, keys)

    async def style(_: Request) -> Response:
        # Its address changes with its content.
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(pages.style, media_type="text/css", headers=headers)

    def page(path: str, endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except FormError as bad:
                return pages.error(request, str(bad), bad.status)

        return Route(path, answer, methods=["GET", "POST"])

    return [
        page("/oauth/sign-in", entry.sign_in),
        page("/oauth/register", entry.register),
        page("/oauth/sign-out", entry.sign_out),
        page("/oauth/authorize", authorize),
        Route("/oauth/style.css", style),
        Route("/oauth/token", endpoints.token, methods=["POST"]),
        Route("/oauth/jwks", endpoints.key_set),
        Route("/.well-known/oauth-authorization-server", endpoints.metadata),
    ]
