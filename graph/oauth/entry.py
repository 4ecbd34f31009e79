"""The pages on which people sign in, register and sign out."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from domain.credential import digest_of, new_secret
from domain.refusals import InvalidInput
from domain.sign_in import SESSION_LIFE, SignInSession
from domain.user import User, clean_email, clean_name, clean_password
from graph.oauth.browser import Browsers
from graph.oauth.forms import read_form, read_query, safe_path
from graph.oauth.pages import EXPIRED, Pages
from graph.oauth.throttle import Throttle
from persistence.accounts import Passwords, create_user, signed_in, user_with_email
from persistence.database import Database
from persistence.settings import Settings

_TOO_MANY = "Too many tries. Please wait a few minutes."
_WRONG = "The e-mail address or the password is wrong."


class Entry:
    """Sign in, register, sign out."""

    def __init__(
        self, database: Database, settings: Settings, pages: Pages, browsers: Browsers, passwords: Passwords
    ) -> None:
        """Work on these; the counters of tries begin at zero."""
        self._database = database
        self._open = settings.open_registration
        self._pages = pages
        self._browsers = browsers
        self._passwords = passwords
        self._throttle = Throttle()

    async def sign_in(self, request: Request) -> Response:
        """GET the form; POST it and go on to `next`."""
        if request.method != "POST":
            onward = safe_path(read_query(request).get("next"))
            if await self._who(request):
                return self._go(onward)
            return self._sign_in_form(request, onward)
        form = await read_form(request)
        onward, email = safe_path(form.get("next")), form.get("email", "")
        if not self._browsers.sent(request, form):
            return self._sign_in_form(request, onward, email=email, problem=EXPIRED, status=403)
        if not await self._throttle.may_sign_in(request, email):
            return self._sign_in_form(request, onward, email=email, problem=_TOO_MANY, status=429)
        user = await self._authenticated(email, form.get("password", ""))
        if user is None:
            return self._sign_in_form(request, onward, email=email, problem=_WRONG, status=400)
        await self._throttle.signed_in(request, email)
        return await self._enter(request, user, onward)

    async def register(self, request: Request) -> Response:
        """GET the form; POST it, be signed in, and go on to `next`."""
        if not self._open:
            return self._pages.error(request, "New accounts are made by the administrators of this server.", 403)
        if request.method != "POST":
            return self._register_form(request, safe_path(read_query(request).get("next")))
        form = await read_form(request)
        onward = safe_path(form.get("next"))
        if not self._browsers.sent(request, form):
            return self._register_form(request, onward, form, problem=EXPIRED, status=403)
        if not await self._throttle.may_register(request):
            return self._register_form(request, onward, form, problem=_TOO_MANY, status=429)
        made = await self._made(form.get("name", ""), form.get("email", ""), form.get("password", ""))
        if not isinstance(made, User):
            return self._register_form(request, onward, form, problems=made, status=400)
        return await self._enter(request, made, onward)

    async def sign_out(self, request: Request) -> Response:
        """GET who is signed in; POST to sign out: this browser, and every client it let in."""
        if request.method != "POST":
            return await self._signed_in(request)
        form = await read_form(request)
        if not self._browsers.sent(request, form):
            return await self._signed_in(request, problem=EXPIRED, status=403)
        await self._end(request)
        response = self._to_sign_in(safe_path(form.get("next")))
        self._browsers.sign_out(response)
        return response

    async def _signed_in(self, request: Request, *, problem: str = "", status: int = 200) -> Response:
        user = await self._who(request)
        if user is None:
            return self._to_sign_in(None)
        return self._pages.page(request, "signed_in", status=status, user=user, problem=problem)

    async def _made(self, name: str, email: str, password: str) -> User | dict[str, str]:
        """The new user, or what is wrong, by field."""
        if problems := _problems(name, email, password):
            return problems
        try:
            async with self._database.sessions() as session, session.begin():
                return await create_user(session, self._passwords, name=name, email=email, password=password)
        except InvalidInput as refusal:
            return {refusal.path: refusal.problem}

    async def _authenticated(self, email: str, password: str) -> User | None:
        async with self._database.sessions() as session:
            user = await user_with_email(session, email)
        # Between the two look-ups, so that no connection waits for Argon2.
        kept = user.password_hash if user else None
        if not await self._passwords.verify(kept, password) or user is None:
            return None
        if kept and self._passwords.is_outdated(kept):
            renewed = await self._passwords.hash(password)
            async with self._database.sessions() as session, session.begin():
                (await session.get_one(User, user.id)).password_hash = renewed
        return user

    async def _enter(self, request: Request, user: User, onward: str | None) -> Response:
        """Begin a session under a fresh secret: whatever the browser held before is worth nothing now."""
        secret = new_secret()
        await self._end(request)
        async with self._database.sessions() as session, session.begin():
            expires_at = datetime.now(UTC) + SESSION_LIFE
            session.add(SignInSession(user_id=user.id, cookie_digest=digest_of(secret), expires_at=expires_at))
        response = self._go(onward)
        self._browsers.sign_in(response, secret)
        return response

    async def _end(self, request: Request) -> None:
        async with self._database.sessions() as session, session.begin():
            if found := await signed_in(session, self._browsers.session(request)):
                found[0].end(datetime.now(UTC))

    async def _who(self, request: Request) -> User | None:
        async with self._database.sessions() as session:
            found = await signed_in(session, self._browsers.session(request))
        return found[1] if found else None

    def _go(self, onward: str | None) -> Response:
        return RedirectResponse(onward or self._pages.home(), status_code=303)

    def _to_sign_in(self, onward: str | None) -> Response:
        return RedirectResponse(self._pages.sign_in(onward), status_code=303)

    def _sign_in_form(
        self, request: Request, onward: str | None, *, email: str = "", problem: str = "", status: int = 200
    ) -> Response:
        return self._pages.page(request, "sign_in", status=status, leads_to=onward, email=email, problem=problem)

    def _register_form(
        self,
        request: Request,
        onward: str | None,
        form: dict[str, str] | None = None,
        *,
        problem: str = "",
        problems: dict[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        return self._pages.page(
            request,
            "register",
            status=status,
            leads_to=onward,
            typed=form or {},
            problem=problem,
            problems=problems or {},
        )


def _problems(name: str, email: str, password: str) -> dict[str, str]:
    """Everything that is wrong, by field, so that it is said at once."""
    problems: dict[str, str] = {}
    for clean, value in ((clean_name, name), (clean_email, email), (clean_password, password)):
        try:
            clean(value)
        except InvalidInput as refusal:
            problems[refusal.path] = refusal.problem
    return problems
