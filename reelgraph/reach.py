"""Whether the servers that the settings name are there: asked at a start, so that a wrong one is a line of text."""

from urllib.parse import urlsplit

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from persistence.database import Database
from persistence.feed import redis_opened
from persistence.settings import SettingError, Settings


async def reach(settings: Settings, *, redis: bool) -> None:
    """Speak once to PostgreSQL and, if wanted, to Redis. Raises SettingError."""
    await reach_database(settings)
    if redis:
        await reach_redis(settings)


async def reach_database(settings: Settings) -> None:
    """Connect to PostgreSQL. Raises SettingError."""
    try:
        async with Database.opened(settings) as database, database.engine.connect():
            return
    except (SQLAlchemyError, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise SettingError(f"DATABASE_URL: no database at {database_address(settings)}: {line(reason)}") from None


async def reach_redis(settings: Settings) -> None:
    """Ask Redis for an answer. Raises SettingError."""
    try:
        async with redis_opened(settings.redis_url, connections=1) as client:
            await client.ping()  # pyright: ignore[reportUnknownMemberType]  # its arguments have no types
    except (RedisError, OSError) as error:
        raise SettingError(f"REDIS_URL: no Redis there: {line(error)}") from None


def database_address(settings: Settings) -> str:
    """Where PostgreSQL is said to be, without who we are there."""
    hosts = urlsplit(settings.database_url).netloc.rpartition("@")[2] or "the usual socket"
    return ",".join(each if ":" in each else f"{each}:5432" for each in hosts.split(","))


def line(error: BaseException | None) -> str:
    """What an error says, in one line."""
    text = " ".join(str(error).split()).rstrip(".")
    return text or type(error).__name__
