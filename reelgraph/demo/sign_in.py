"""What a person with a browser does: fill in the registration form; then sign in for a program, which gets a token."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import httpx

from reelgraph.demo.client import Json
from reelgraph.demo.failure import DemoFailed

CLIENT_ID = "reelgraph-console"
REDIRECT_URI = "http://127.0.0.1:53682/callback"
"""Where a program on this machine would listen. There is no browser to be sent there: we read the address instead."""
SCOPES = "projects:write uploads:write renders:write"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody to register."""

    name: str
    email: str
    password: str

    @classmethod
    def new(cls) -> "Person":
        """Somebody nobody knows yet."""
        return cls(name="Demo", email=f"demo-{secrets.token_hex(4)}@example.org", password=secrets.token_urlsafe(12))


async def register(url: str, person: Person) -> None:
    """Make an account by the form that everybody uses."""
    async with _browser(url) as browser:
        page = await browser.get("/oauth/register")
        answer = await _submit(browser, page, name=person.name, email=person.email, password=person.password)
    _expect(answer, 303, "the registration")


async def sign_in(url: str, person: Person) -> str:
    """The authorization-code flow with PKCE, start to end; return the access token."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    async with _browser(url) as browser:
        found = await browser.get("/.well-known/oauth-authorization-server")
        _expect(found, 200, "the discovery document")
        server: Json = found.json()
        page = await browser.get(
            server["authorization_endpoint"],
            params={
                "response_type": "code",
                "client_id": CLIENT_ID,
                "redirect_uri": REDIRECT_URI,
                "scope": SCOPES,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            follow_redirects=True,
        )
        answer = await _submit(browser, page, email=person.email, password=person.password)
        while answer.has_redirect_location and not answer.headers["location"].startswith(REDIRECT_URI):
            answer = await browser.get(answer.headers["location"])
        if answer.status_code == HTTPStatus.OK:  # the page that asks whether the program may act for the user
            answer = await _submit(browser, answer, answer="allow")
        _expect(answer, (302, 303), "the sign-in")
        returned = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
        if returned.get("state") != state or returned.get("iss") != server["issuer"] or "code" not in returned:
            raise DemoFailed(f"the sign-in came back without the code, state and issuer asked for: {returned}")
        answer = await browser.post(
            server["token_endpoint"],
            data={
                "grant_type": "authorization_code",
                "code": returned["code"],
                "redirect_uri": REDIRECT_URI,
                "client_id": CLIENT_ID,
                "code_verifier": verifier,
            },
        )
        _expect(answer, 200, "the exchange of the code")
        return answer.json()["access_token"]


def _browser(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)


class _Page(HTMLParser):
    """The first form of a page, and what the page complains about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self.complaints: list[str] = []
        self._complains = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._complains = given.get("class") in {"alert", "problem"}
        if tag == "form" and not self.action:
            self.action = given["action"]
        elif tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given["value"]

    def handle_data(self, data: str) -> None:
        if self._complains and data.strip():
            self.complaints.append(data.strip())

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - whichever it is
        self._complains = False


async def _submit(browser: httpx.AsyncClient, response: httpx.Response, **fields: str) -> httpx.Response:
    """Fill in the form of a page and send it, with what the page hid in it: the proof that it came from there."""
    _expect(response, 200, f"the page {response.url.path}")
    page = _Page(response.text)
    return await browser.post(page.action, data=page.hidden | fields)


def _expect(response: httpx.Response, status: int | tuple[int, ...], what: str) -> None:
    if response.status_code in ((status,) if isinstance(status, int) else status):
        return
    is_page = response.headers.get("content-type", "").startswith("text/html")
    said = " ".join(_Page(response.text).complaints) if is_page else response.text[:300]
    raise DemoFailed(f"{what} was answered with {response.status_code}: {said or 'no reason given'}")
