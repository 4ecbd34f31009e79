"""How often one may try: counted before the work is done, so that the work can't be had for nothing.

In the memory of one process: with several, an attacker gets that many times more tries, which Argon2 bears.
"""

from contextlib import suppress
from ipaddress import IPv6Network

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

ACCOUNT_TRIES = 10
"""Sign-ins to one account from one address in five minutes. A stranger elsewhere can't lock anybody out."""
ADDRESS_TRIES = 100
"""Sign-ins from one address, whatever the account: a school shares one."""
REGISTRATIONS = 60
"""New accounts from one address in an hour."""


class Throttle:
    """The counters of one process."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._account = RateLimitItemPerMinute(ACCOUNT_TRIES, 5, namespace="sign-in")
        self._address = RateLimitItemPerMinute(ADDRESS_TRIES, 5, namespace="sign-ins")
        self._registrations = RateLimitItemPerMinute(REGISTRATIONS, 60, namespace="registrations")

    async def may_sign_in(self, request: Request, email: str) -> bool:
        """Charge a try to sign in."""
        address = _address(request)
        return await self._limiter.hit(self._address, address) and await self._limiter.hit(
            self._account, address, _account(email)
        )

    async def signed_in(self, request: Request, email: str) -> None:
        """Forgive the account's tries: its password was known."""
        await self._limiter.clear(self._account, _address(request), _account(email))

    async def may_register(self, request: Request) -> bool:
        """Charge a try to register."""
        return await self._limiter.hit(self._registrations, _address(request))


def _address(request: Request) -> str:
    """Who asks. An IPv6 host owns at least a /64, so all of that is one."""
    host = request.client.host if request.client else "unknown"
    if ":" not in host:
        return host
    with suppress(ValueError):
        return str(IPv6Network((host.partition("%")[0], 64), strict=False))
    return host


def _account(email: str) -> str:
    return email.strip().lower()[:254]
