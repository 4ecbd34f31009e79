"""PostgreSQL and Redis: whether they are there, new enough, as we need them, and of the same time as this machine."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# redis-py leaves its keyword arguments untyped.

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entity import new_id
from graph.oauth.keys import SigningKeys
from persistence.database import Database
from persistence.feed import redis_line, redis_opened
from persistence.migrate import Standing, standing
from persistence.settings import SettingError, Settings
from reelgraph.doctor.finding import Finding, Verdict, failure, ok, warning
from reelgraph.reach import database_address, line, reach_database, reach_redis

OLDEST_POSTGRESQL = 14
OLDEST_REDIS = (6, 2)
_SKEW, _GRAVE_SKEW = timedelta(seconds=2), timedelta(seconds=60)
_ELSEWHERE = 10
"""Seconds in which a doorbell must have rung."""


async def postgresql(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the database, and at what is in it."""
    try:
        await reach_database(settings)
    except SettingError as error:
        yield failure("PostgreSQL", f"{error}; {_database_remedy(str(error))}")
        return
    try:
        async with Database.opened(replace(settings, database_pool=2)) as database:
            async with database.engine.connect() as connection:
                yield await _postgresql_server(settings, connection)
                yield await _capacity(settings, connection)
                yield await _database_clock(connection)
                found = await standing(connection)
            yield await _pooler(settings, database)
            yield _migrations(found)
            if found in {Standing.CURRENT, Standing.AHEAD}:
                yield await _secret_key(settings, database)
    except (SQLAlchemyError, OSError) as error:
        yield failure("PostgreSQL", f"gives up half-way: {line(_reason(error))}; its log says why")


async def redis(settings: Settings) -> AsyncIterator[Finding]:
    """Look at Redis: whether rings and wake-ups go through."""
    try:
        await reach_redis(settings)
    except SettingError as error:
        yield failure("Redis", f"{error}; {_redis_remedy(str(error))}")
        return
    try:
        async with redis_opened(settings.redis_url, connections=4) as client:
            server = await _redis_server(client)
            yield server
            if server.verdict is Verdict.FAILURE:
                return
            yield await _redis_clock(client)
            yield await _doorbell(settings, client)
    except (RedisError, OSError) as error:
        yield failure("Redis", f"refuses what we need: {line(error)}; allow its user all keys, channels and commands")


async def _postgresql_server(settings: Settings, connection: AsyncConnection) -> Finding:
    version, encrypted = (
        await connection.execute(
            text(
                "SELECT current_setting('server_version'),"
                " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)"
            )
        )
    ).one()
    said = f"{version.split()[0]} at {database_address(settings)}"
    if int(re.sub(r"\D.*", "", version) or 0) < OLDEST_POSTGRESQL:
        return failure("PostgreSQL", f"{said}: too old; upgrade it to {OLDEST_POSTGRESQL} or newer")
    asked = "sslmode=require" in settings.database_url or "sslmode=verify" in settings.database_url
    if not encrypted and not asked and not _is_near(settings.database_url):
        return warning("PostgreSQL", f"{said}, without TLS; unless the network is private, add ?sslmode=require")
    return ok("PostgreSQL", f"{said}{', over TLS' * bool(encrypted)}")


async def _capacity(settings: Settings, connection: AsyncConnection) -> Finding:
    query = "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    room = (await connection.execute(text(query))).scalar_one()
    said = f"{room} connections for all; each of our processes may hold {settings.database_pool}"
    if settings.database_pool > room:
        return warning("PostgreSQL", f"{said}; lower DATABASE_POOL, or raise max_connections there")
    return ok("PostgreSQL", said)


async def _database_clock(connection: AsyncConnection) -> Finding:
    before = datetime.now(UTC)
    there = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return _clock("PostgreSQL", there, before, datetime.now(UTC))


async def _pooler(settings: Settings, database: Database) -> Finding:
    """Tell whether somebody between us and PostgreSQL hands its connections around, and whether we can bear it.

    Ours is idle while another of our connections has a transaction: when that one has our server connection, then what
    we prepared there is out of our reach.
    """
    pid = text("SELECT pg_backend_pid()")
    async with database.engine.connect() as ours, database.engine.connect() as other:
        mine = (await ours.execute(pid)).scalar_one()
        await ours.rollback()
        if (await other.execute(pid)).scalar_one() != mine:
            return ok("PostgreSQL", "connections are our own")
        if not settings.database_prepared:
            return ok("PostgreSQL", "a pooler shares connections between transactions; DATABASE_PREPARED is false")
        try:
            async with asyncio.timeout(5):
                await ours.execute(pid)
        except (SQLAlchemyError, TimeoutError):
            return failure(
                "PostgreSQL", "a pooler shares connections between transactions; set DATABASE_PREPARED=false"
            )
    return ok("PostgreSQL", "a pooler shares connections between transactions, and keeps prepared statements")


def _migrations(found: Standing) -> Finding:
    if found is Standing.CURRENT:
        return ok("migrations", "the database is at the newest revision")
    if found is Standing.AHEAD:
        return warning("migrations", "the database is newer than this code; deploy the version that migrated it")
    return failure("migrations", f"the database is {found.value}; run `reelgraph migrate`")


async def _secret_key(settings: Settings, database: Database) -> Finding:
    try:
        keys = (await SigningKeys(database, settings).public())["keys"]
    except SettingError as error:
        return failure("SECRET_KEY", str(error))
    if not keys:
        return ok("SECRET_KEY", "not used on this database yet")
    return ok("SECRET_KEY", "opens the signing keys in the database")


async def _redis_server(client: "Redis") -> Finding:
    told: dict[str, Any] = {**await client.info("server"), **await client.info("replication")}
    version = str(told["redis_version"])
    said = f"{version}{', over TLS' * _is_encrypted(client)}"
    if tuple(int(each) for each in version.split(".")[:2]) < OLDEST_REDIS:
        return failure("Redis", f"{said}: too old; upgrade it to {'.'.join(map(str, OLDEST_REDIS))} or newer")
    if told.get("redis_mode") == "cluster":
        return failure(
            "Redis", f"{said}, a cluster, which we do not speak to; name a server with cluster mode disabled"
        )
    if told.get("role") != "master":
        return failure("Redis", f"{said}, a replica, which takes no messages; name the primary in REDIS_URL")
    return ok("Redis", said)


async def _redis_clock(client: "Redis") -> Finding:
    before = datetime.now(UTC)
    seconds, microseconds = await client.time()
    there = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
    return _clock("Redis", there, before, datetime.now(UTC))


async def _doorbell(settings: Settings, client: "Redis") -> Finding:
    """Ring as a process does, hear it as another does, and send a wake-up through a list."""
    name = f"{settings.redis_namespace}:doctor:{new_id()}"
    try:
        async with asyncio.timeout(_ELSEWHERE), redis_line(settings.redis_url) as heard:
            await heard.subscribe(name)
            await heard.get_message(timeout=None)
            await client.publish(name, b"1")
            await heard.get_message(timeout=None)
            await client.lpush(name, b"1")
            await client.brpop([name], timeout=1)
    except TimeoutError:
        return failure(
            "Redis", "doorbells do not ring: it takes messages, but none arrives; do not put a proxy before it"
        )
    return ok("Redis", "doorbells ring, and wake-ups arrive")


def _is_encrypted(client: "Redis") -> bool:
    return "ssl" in client.connection_pool.connection_class.__name__.lower()


def _clock(server: str, there: datetime, before: datetime, after: datetime) -> Finding:
    """Compare the server's clock with ours, which stood between `before` and `after` when it was read."""
    skew = max(there - after, before - there, timedelta())
    if skew <= _SKEW:
        return ok("clocks", f"this machine and {server} agree")
    said = f"this machine and {server} are {skew.total_seconds():.0f} s apart"
    remedy = "let both keep time by NTP: leases, sign-ins and signed URLs count seconds"
    return (failure if skew > _GRAVE_SKEW else warning)("clocks", f"{said}; {remedy}")


def _is_near(url: str) -> bool:
    """Whether the host is this machine, or by its looks one of a private network: a name without dots, say."""
    first = urlsplit(url).netloc.rpartition("@")[2].split(",")[0]
    host = urlsplit(f"//{first}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host


def _reason(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _database_remedy(said: str) -> str:
    if "password" in said or "no pg_hba.conf entry" in said:
        return "put the right user and password into DATABASE_URL"
    if "does not exist" in said:
        return "create it there, or name another in DATABASE_URL"
    if "certificate" in said.lower() or "ssl" in said.lower():
        return "look at sslmode and sslrootcert in DATABASE_URL"
    return "start it, or correct DATABASE_URL"


def _redis_remedy(said: str) -> str:
    if any(each in said.lower() for each in ("password", "auth", "permission")):
        return "put the right user and password into REDIS_URL"
    if "certificate" in said.lower() or "ssl" in said.lower():
        return "look at rediss:// and ssl_ca_certs in REDIS_URL"
    return "start it, or correct REDIS_URL"
