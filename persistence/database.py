"""The engine and its sessions."""

import json
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from persistence.settings import SettingError, Settings

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
"""What a line that has gone dead without telling costs at most: no statement of ours takes so long."""
RESTED_SECONDS, PING_SECONDS = 5.0, 5.0
"""A connection that nobody used for so long is asked for an answer before it is used, which may take so long."""
IDLE_SECONDS = 15
"""A process that stops in the middle of a transaction, frozen or cut off, keeps its locks no longer than this."""
OUTAGE = (DBAPIError, PoolTimeout, OSError, TimeoutError)
"""What a query raises when the database is away or has no connection to spare; and for all else it minds, too."""
_PASSES = ("08", "25006", "25P03", "40", "53", "57")
"""SQLSTATE (or its class) of what passes: connections, a standby being promoted, a transaction that we left idle,
broken-up deadlocks, resources, and the operator's intervention, which is how a shutdown shows."""


def will_pass(error: BaseException) -> bool:
    """Whether another try may do better than the one that raised this OUTAGE."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return not isinstance(error, DBAPIError) or state is None or state.startswith(_PASSES)


_RESTING = "resting since"
_NOT_FOR_US = frozenset(
    {"channel_binding", "connect_timeout", "gssencmode", "requirepeer", "sslcompression", "sslsni"}
    | {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
)
"""Parameters that only libpq knows. asyncpg would hand them to the server, which refuses what is no setting of its."""


def database_engine(
    database_url: str, *, prepared: bool = True, patience: float | None = None, **options: Any
) -> AsyncEngine:
    """Return an engine on the address; the first query connects. Raises SettingError.

    asyncpg reads the address itself: it knows libpq's parameters (sslmode, sslrootcert, several hosts and more).
    Without `prepared` no statement has a name, so whatever sits between may give each transaction another connection.
    With `patience` a statement that takes longer (in seconds) is given up.
    """
    arguments = _connecting(database_url) | {"command_timeout": patience}
    if not prepared:
        # Without a cache asyncpg sends a nameless statement together with its execution, again each time.
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        }
    # An error must not carry what was written, a password's hash say, into the log.
    return create_async_engine("postgresql+asyncpg://", connect_args=arguments, hide_parameters=True, **options)


@dataclass(frozen=True)
class Database:
    """One engine for each process. A session is one transaction, or one batch of reads; nobody keeps one."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    statements: async_sessionmaker[AsyncSession]
    """Sessions in which each statement is a transaction of its own, at the cost of one round trip instead of three."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncGenerator["Database"]:
        """Open the pool (lazily: the first query connects) and close it at the end. Raises SettingError."""
        engine = database_engine(
            settings.database_url,
            prepared=settings.database_prepared,
            patience=COMMAND_SECONDS,
            pool_size=settings.database_pool,
            max_overflow=0,
            json_serializer=_json,
        )
        listen(engine.sync_engine, "checkout", _alive)
        listen(engine.sync_engine, "checkin", _rests)
        if settings.database_prepared:
            listen(engine.sync_engine, "connect", _bound_idling)
        alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            yield cls(
                engine,
                async_sessionmaker(engine, expire_on_commit=False),
                async_sessionmaker(alone, expire_on_commit=False),
            )
        finally:
            await engine.dispose()


def _connecting(database_url: str) -> dict[str, Any]:
    """What asyncpg is to connect with."""
    parts = urlsplit(database_url)
    parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    arguments: dict[str, Any] = {"timeout": float(parameters.get("connect_timeout") or CONNECT_SECONDS)}
    authority = parameters.get("sslrootcert")
    if parameters.get("sslmode") == "verify-full" and authority in {None, "system"}:
        # As libpq does with sslrootcert=system: what the machine trusts is enough for a name that anybody can check.
        arguments["ssl"] = ssl.create_default_context()
        parameters.pop("sslrootcert", None)
    elif authority is not None and not Path(authority).is_file():
        raise SettingError(f"DATABASE_URL: there is no file {authority}; sslrootcert names the authority's certificate")
    kept = {name: value for name, value in parameters.items() if name not in _NOT_FOR_US}
    return {"dsn": urlunsplit(parts._replace(query=urlencode(kept))), **arguments}


def _alive(connection: Any, record: Any, _proxy: Any) -> None:
    """Do not hand out a dead line. Whether it was closed is known at once; only one that has rested is asked more."""

    async def ask(driver: Any) -> None:
        await driver.execute("SELECT 1", timeout=PING_SECONDS)

    if connection.driver_connection.is_closed():
        raise InvalidatePoolError
    if time.monotonic() - record.info.get(_RESTING, time.monotonic()) > RESTED_SECONDS:
        try:
            connection.run_async(ask)
        except Exception as error:  # whatever it is, the line is of no use
            raise InvalidatePoolError from error


def _rests(_connection: Any, record: Any) -> None:
    record.info[_RESTING] = time.monotonic()


def _bound_idling(connection: Any, _record: Any) -> None:
    """As a statement of its own: a pooler would refuse to know it as a parameter of the connection."""

    async def bound(driver: Any) -> None:
        await driver.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")

    connection.run_async(bound)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
