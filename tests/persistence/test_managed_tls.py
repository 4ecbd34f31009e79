"""PostgreSQL and Redis as a provider runs them: encrypted, with certificates of a private authority."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from domain.entity import new_id
from persistence.database import Database
from persistence.feed import Doorbells, redis_opened
from persistence.settings import SettingError, Settings
from reelgraph.reach import reach
from tests.tls import Certificates, certificates, front

PASSWORD = "sl/ash @t #hash ?mark :colon %percent [bracket]"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


def moved(url: str, port: int, *, host: str = "localhost", query: str = "", scheme: str = "") -> str:
    """The same address behind a front."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@{host}:{port}", query=query, scheme=scheme or parts.scheme).geturl()


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


async def reached(settings: Settings, database_url: str, redis_url: str = "") -> None:
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url or settings.redis_url, "SECRET_KEY": "k" * 32}
    await reach(Settings.read(given), redis=bool(redis_url))


async def test_a_database_is_spoken_to_over_tls_and_its_certificate_is_checked(
    settings: Settings, tls: Certificates, tmp_path: Path
) -> None:
    authority = quote(str(tls.authority))
    async with front(port_of(settings.database_url), tls, postgresql=True) as port:

        def url(query: str, host: str = "localhost") -> str:
            return moved(settings.database_url, port, host=host, query=query)

        for fine in (
            url("sslmode=require"),
            url(f"sslmode=verify-full&sslrootcert={authority}"),
            url(f"sslmode=verify-ca&sslrootcert={authority}", host="127.0.0.1"),
            # What providers put into the URLs they hand out.
            url("sslmode=require&channel_binding=require&connect_timeout=5&application_name=reelgraph"),
        ):
            await reached(settings, fine)
        with pytest.raises(SettingError, match=r"no database at 127.0.0.1:.*certificate"):
            await reached(settings, url(f"sslmode=verify-full&sslrootcert={authority}", host="127.0.0.1"))
        with pytest.raises(SettingError, match=r"no database at .*certificate"):
            await reached(settings, url("sslmode=verify-full"))  # the machine does not know this authority
        with pytest.raises(SettingError, match="no database at "):
            await reached(settings, url("sslmode=disable"))
        nothing = tmp_path / "nothing.pem"
        with pytest.raises(SettingError, match=f"^DATABASE_URL: there is no file {nothing}; sslrootcert names "):
            await reached(settings, url(f"sslmode=verify-full&sslrootcert={nothing}"))


async def test_a_server_without_tls_is_refused_where_tls_is_asked_for(settings: Settings) -> None:
    with pytest.raises(SettingError, match=r"no database at .*SSL"):
        await reached(settings, f"{settings.database_url}?sslmode=require")


async def test_a_password_may_have_any_characters(settings: Settings) -> None:
    user = f"user_{new_id()}"
    administrator = await asyncpg.connect(settings.database_url)
    await administrator.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
    try:
        parts = urlsplit(settings.database_url)
        netloc = f"{user}:{quote(PASSWORD, safe='')}@{parts.hostname}:{parts.port}"
        await reached(settings, parts._replace(netloc=netloc).geturl())
    finally:
        await administrator.execute(f"DROP ROLE {user}")
        await administrator.close()


async def test_the_first_host_that_answers_is_the_database(settings: Settings) -> None:
    parts = urlsplit(settings.database_url)
    user, _, host = parts.netloc.rpartition("@")
    url = parts._replace(netloc=f"{user}@127.0.0.1:1,{host}", query="target_session_attrs=read-write").geturl()
    given = Settings.read({"DATABASE_URL": url}, needless=("redis_url", "secret_key"))
    async with Database.opened(given) as database, database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_redis_is_spoken_to_over_tls_and_its_certificate_is_checked(
    settings: Settings, tls: Certificates, tmp_path: Path
) -> None:
    redis_url = settings.redis_url
    async with front(port_of(redis_url), tls) as port:

        def url(query: str, host: str = "localhost") -> str:
            return moved(redis_url, port, host=host, query=query, scheme="rediss")

        trusted = f"ssl_ca_certs={quote(str(tls.authority))}"
        await reached(settings, settings.database_url, url(trusted))
        for wrong in (url(trusted, host="127.0.0.1"), url("")):
            with pytest.raises(SettingError, match=r"^REDIS_URL: no Redis there: .*certificate"):
                await reached(settings, settings.database_url, wrong)
        nothing = tmp_path / "nothing.pem"
        with pytest.raises(SettingError, match=f"^REDIS_URL: there is no file {nothing}, which ssl_ca_certs names$"):
            await reached(settings, settings.database_url, url(f"ssl_ca_certs={nothing}"))
        rings: asyncio.Queue[str] = asyncio.Queue()
        async with redis_opened(url(trusted), connections=4) as redis:
            bells = Doorbells(redis, url=url(trusted), namespace=settings.redis_namespace)
            async with bells.listening(), asyncio.timeout(10):
                with bells.hung("a", rings.put_nowait):
                    assert await rings.get() == "a"  # the line is up
                    await bells.ring(["a"])
                    assert await rings.get() == "a"
