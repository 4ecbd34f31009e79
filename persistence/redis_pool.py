"""Connections to the Redis that REDIS_URL names: one server, over TLS or not, or the master that Sentinels know.

redis://user:password@host:6379/0
rediss://…                                       TLS; ?ssl_ca_certs=/path names the authority of a private one
unix:///run/redis.sock
redis+sentinel://user:password@host:26379,host2:26379/service/0
rediss+sentinel://…                              TLS to the Sentinels too; ?sentinel_password=… if they ask for one
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# redis-py leaves its keyword arguments untyped.

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Sentinel
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from persistence.settings import SettingError

_SENTINEL_PORT = 26379


@asynccontextmanager
async def pool_opened(url: str, *, connections: int, **options: Any) -> AsyncGenerator[BlockingConnectionPool]:
    """Open a pool that makes whoever wants one connection too many wait, and close it at the end.

    The options are those of each connection. Raises SettingError where the URL cannot be followed.
    """
    parts = urlsplit(url)
    _check_files(parts)
    limits: dict[str, Any] = {"max_connections": connections, "timeout": 5, **options}
    if not parts.scheme.endswith("+sentinel"):
        pool = BlockingConnectionPool.from_url(url, **limits)
        try:
            yield pool
        finally:
            await pool.disconnect()
        return
    sentinel, service, of_master = _sentinel(parts, options)
    pool = _MasterPool(service, sentinel, **limits | of_master)
    try:
        yield pool
    finally:
        await pool.disconnect()
        await sentinel.aclose()


class _MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """The pool that asks the Sentinels for each connection, and waits where it is exhausted."""


def _check_files(parts: SplitResult) -> None:
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        for file in parse_qs(parts.query).get(name, ()):
            if not Path(file).is_file():
                raise SettingError(f"REDIS_URL: there is no file {file}, which {name} names")


def _sentinel(parts: SplitResult, options: dict[str, Any]) -> tuple[Sentinel, str, dict[str, Any]]:
    """Return who knows the master, what they call it, and how to speak to it."""
    user, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise SettingError("REDIS_URL names no service that the Sentinels watch, e.g. …:26379/mymaster/0")
    # What redis-py makes of the same URL to one server: the user, TLS, and the parameters with their types.
    plain = parts._replace(
        scheme=parts.scheme.removesuffix("+sentinel"),
        netloc=f"{user}@placeholder" if user else "placeholder",
        path=f"/{database}",
    )
    of_master: dict[str, Any] = {**parse_url(urlunsplit(plain))}
    del of_master["host"]
    ssl: bool = of_master.pop("connection_class", None) is not None
    of_sentinel = {
        name.removeprefix("sentinel_"): of_master.pop(name)
        for name in ("sentinel_username", "sentinel_password")
        if name in of_master
    }
    encryption = {name: value for name, value in of_master.items() if name.startswith("ssl")} | {"ssl": ssl}
    patience = {name: value for name, value in options.items() if name.startswith("socket_connect")}
    sentinel = Sentinel(
        [_host_and_port(each) for each in hosts.split(",")],
        # A Sentinel that does not answer is passed over, not waited for: the next one knows as much.
        sentinel_kwargs={**patience, "socket_timeout": 2, "retry": Retry(NoBackoff(), 0), **encryption, **of_sentinel},
    )
    return sentinel, unquote(service), of_master | {"ssl": ssl}


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(f"//{address}")
    if not parts.hostname:
        raise SettingError("REDIS_URL names a Sentinel without a host")
    return parts.hostname, parts.port or _SENTINEL_PORT
