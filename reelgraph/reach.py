"""Whether the servers that the settings name are there: asked at a start, so that a wrong one is a line of text."""

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from persistence.database import Database
from persistence.settings import SettingError, Settings


async def reach(settings: Settings, *, redis: bool) -> None:
    """Speak once to PostgreSQL and, if wanted, to Redis. Raises SettingError."""
    await _reach_database(settings)
    if redis:
        await _reach_redis(settings)


async def _reach_database(settings: Settings) -> None:
    try:
        async with Database.opened(settings) as database, database.engine.connect():
            return
    except (SQLAlchemyError, OSError) as error:
        url = make_url(settings.database_url)
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise SettingError(f"DATABASE_URL: no database at {url.host}:{url.port or 5432}: {_line(reason)}") from None


async def _reach_redis(settings: Settings) -> None:
    try:
        async with Redis.from_url(settings.redis_url, retry=None, socket_connect_timeout=10) as client:  # pyright: ignore[reportUnknownMemberType]  # its keyword arguments have no types
            await client.ping()  # pyright: ignore[reportUnknownMemberType]  # nor have these
    except (RedisError, OSError) as error:
        raise SettingError(f"REDIS_URL: no Redis there: {_line(error)}") from None


def _line(error: BaseException | None) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
