"""The authorization endpoint: a client sends the browser here, and it goes back with a code."""

from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from domain.oauth_client import OAuthClient, is_loopback, scopes_in
from domain.sign_in import SignInSession
from domain.user import User
from domain.viewer import Scope
from graph.oauth.browser import Browsers
from graph.oauth.faces import Program
from graph.oauth.forms import read_form, read_query
from graph.oauth.keys import SigningKeys
from graph.oauth.pages import EXPIRED, Pages
from graph.oauth.request import OAuthRequest
from graph.oauth.server import Server
from persistence.accounts import signed_in
from persistence.database import Database
from persistence.settings import Settings


class Authorize:
    """GET asks; POST is the user's answer on the consent page. The query is the request, both times."""

    def __init__(
        self, database: Database, settings: Settings, keys: SigningKeys, pages: Pages, browsers: Browsers
    ) -> None:
        """Work on these."""
        self._database = database
        self._issuer = settings.public_url
        self._keys = keys
        self._pages = pages
        self._browsers = browsers

    async def __call__(self, request: Request) -> Response:
        """Show what is wrong, send the browser to sign in, ask for consent, or send it back to the client."""
        asked = read_query(request)
        form = await read_form(request) if request.method == "POST" else None
        key = await self._keys.signing()
        async with self._database.sessions() as session, session.begin():
            found = await signed_in(session, self._browsers.session(request))
            return await session.run_sync(
                lambda db: self._decide(
                    OAuthRequest(request, asked, db),
                    Server(db, issuer=self._issuer, key=key, to_admin=found is None or found[1].is_admin),
                    http=request,
                    form=form,
                    found=found,
                )
            )

    def _decide(
        self,
        asked: OAuthRequest,
        server: Server,
        *,
        http: Request,
        form: dict[str, str] | None,
        found: tuple[SignInSession, User] | None,
    ) -> Response:
        redirect_uri = asked.asked.get("redirect_uri", "")
        program = server.query_client(asked.asked.get("client_id", ""))
        if program is None or not program.client.may_redirect_to(redirect_uri):
            # Nobody is sent to an address that is not registered, not even with an error.
            return self._pages.error(http, _unknown(program))
        try:
            grant = server.consent(asked)
        except OAuth2Error as error:
            return server.refuse(asked, error)
        address = self._pages.authorize(urlencode(asked.asked))
        if found is None:
            return RedirectResponse(self._pages.sign_in(address), status_code=303)
        session, user = found
        if form is None and self._asks(program.client, redirect_uri):
            return self._consent(http, program.client, user, asked, address)
        if form is not None and not self._browsers.sent(http, form):
            return self._consent(http, program.client, user, asked, address, problem=EXPIRED, status=403)
        asked.session_id = session.id
        allowed = form is None or form.get("answer") == "allow"
        return server.answer(asked, grant, user if allowed else None)

    def _asks(self, client: OAuthClient, redirect_uri: str) -> bool:
        """Whether the user must say yes.

        For our own client on our own address: no. On a loopback address it could be any program of that machine which
        calls itself ours (RFC 8252, section 8.6), so there the user is asked too.
        """
        return not (client.first_party and redirect_uri.startswith(f"{self._issuer}/"))

    def _consent(
        self,
        http: Request,
        client: OAuthClient,
        user: User,
        asked: OAuthRequest,
        address: str,
        *,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        granted = scopes_in(asked.program.get_allowed_scope(asked.asked.get("scope")) or "")
        target = urlsplit(asked.asked["redirect_uri"])
        return self._pages.page(
            http,
            "consent",
            status=status,
            leads_to=address,
            client=client,
            user=user,
            scopes=[scope for scope in Scope if scope in granted],
            target="a program on this machine" if is_loopback(target.geturl()) else target.netloc or target.scheme,
            problem=problem,
        )


def _unknown(program: Program | None) -> str:
    if program is None:
        return "The program that sent you here is not registered on this server."
    return f"{program.client.name} asked to send you back to an address that is not registered for it."
