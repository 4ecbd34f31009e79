"""`reelgraph doctor` is green where all is well; where it is not, one line names what is wrong and what to do."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from rich.console import Console

from domain.entity import new_id
from reelgraph.doctor import examine
from reelgraph.home import Home
from reelgraph.process import command, tethered
from reelgraph.stack import environment_of, stack
from tasks.ffmpeg import find_ffmpeg
from tests.s3 import ON_S3

NOBODY = "namespace:65534:65534"
SUMMARY = "1 failure, 1 warning."
NO_API = "warning  PUBLIC_URL: nobody answers at http://127.0.0.1:1: "


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Nothing runs at the public address of the tests."""
    return environment | {"PUBLIC_URL": "http://127.0.0.1:1"}


async def lines(environment: dict[str, str]) -> list[str]:
    said = StringIO()
    healthy = await examine(environment, Console(file=said, width=40))
    told = said.getvalue().splitlines()
    assert healthy == (not any(line.startswith("failure") for line in told[:-1]))
    for secret in (environment["SECRET_KEY"], urlsplit(environment["DATABASE_URL"]).password or ""):
        assert secret not in said.getvalue()
    assert "\x1b" not in said.getvalue()
    return told


async def failing(environment: dict[str, str]) -> str:
    """The one line that is a failure, in a report of which nothing else is lost."""
    told = await lines(environment)
    *found, api, summary = told
    assert api.startswith(NO_API)
    assert summary == SUMMARY
    (failure,) = [line for line in found if not line.startswith("ok ")]
    return failure


def address(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def test_the_demo_stack_is_green(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    home.port("api")  # a free one, remembered: other tests start stacks on the usual one
    with stack(home, environment={"PATH": os.environ["PATH"]}):
        done = subprocess.run(
            command("doctor"),
            env={"PATH": os.environ["PATH"], **environment_of(home)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    *found, summary = done.stdout.splitlines()
    assert summary == "no failures, no warnings."
    assert {line[:9] for line in found} == {"ok       "}
    subjects = {line[9:].partition(":")[0] for line in found}
    assert subjects == {
        *("settings", "PostgreSQL", "migrations", "SECRET_KEY", "Redis", "clocks"),
        *("FFmpeg", "fonts", "sandbox", "scratch", "storage", "PUBLIC_URL"),
    }


async def test_a_wrong_password(environment: dict[str, str]) -> None:
    url = environment["DATABASE_URL"]
    wrong = url.replace(urlsplit(url).password or "", "a-guess")
    assert await failing(environment | {"DATABASE_URL": wrong}) == (
        f"failure  PostgreSQL: DATABASE_URL: no database at {address(url)}: "
        'password authentication failed for user "reelgraph"; put the right user and password into DATABASE_URL'
    )


async def test_an_old_schema(environment: dict[str, str]) -> None:
    async with an_empty_database(environment["DATABASE_URL"]) as url:
        assert await failing(environment | {"DATABASE_URL": url}) == (
            "failure  migrations: the database is without our tables; run `reelgraph migrate`"
        )


async def test_a_missing_encoder(environment: dict[str, str], tmp_path: Path) -> None:
    binary = tmp_path / "ffmpeg"
    whole = shlex.quote(str(find_ffmpeg(None)))
    binary.write_text(f'#!/bin/sh\n{whole} "$@" | grep -v libx265\n')
    binary.chmod(0o755)
    assert await failing(environment | {"FFMPEG_BINARY": str(binary)}) == (
        f"failure  FFmpeg: no usable FFmpeg: FFMPEG_BINARY ({binary}) lacks libx265; "
        "install FFmpeg 7.1 or newer with libx264 and libx265, or name one in FFMPEG_BINARY"
    )


def test_a_storage_that_is_read_only(environment: dict[str, str], tmp_path: Path) -> None:
    media = tmp_path / "read-only"
    media.mkdir(mode=0o500)
    argv = command("doctor")
    if os.geteuid() == 0:  # whom no mode stops, but in a namespace of its own, where it is nobody
        argv = tethered(argv, identity=NOBODY)
        if subprocess.run(tethered([sys.executable, "-c", ""], identity=NOBODY), check=False).returncode:
            pytest.skip("root may write everywhere, and cannot be another user here")
    done = subprocess.run(
        argv,
        env={"PATH": os.environ["PATH"], **environment, "STORAGE_PATH": str(media)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    remedy = "give this user the folder, or set STORAGE_PATH"
    assert [line for line in done.stdout.splitlines() if line.startswith("failure")] == [
        f"failure  storage: {media} cannot be written: Permission denied; {remedy}"
    ]


async def test_redis_is_down(environment: dict[str, str]) -> None:
    failure = await failing(environment | {"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert re.fullmatch(
        r"failure  Redis: REDIS_URL: no Redis there: Error 111 connecting to 127\.0\.0\.1:1\. Connect[^;]+; "
        "start it, or correct REDIS_URL",
        failure,
    )


async def test_another_secret_key(environment: dict[str, str]) -> None:
    from graph.oauth.keys import SigningKeys
    from persistence.database import Database
    from persistence.settings import Settings

    settings = Settings.read(environment)
    async with Database.opened(settings) as database:
        await SigningKeys(database, settings).ensure()
    assert await failing(environment | {"SECRET_KEY": "k" * 40}) == (
        "failure  SECRET_KEY: SECRET_KEY is not the one that this database was set up with; give every process that one"
    )


async def test_a_setting_that_cannot_be_read_ends_it_at_once(environment: dict[str, str]) -> None:
    assert await lines(environment | {"LEASE_SECONDS": "soon"}) == [
        "failure  settings: LEASE_SECONDS must be a number, not 'soon'",
        "1 failure, no warnings.",
    ]


async def test_a_database_newer_than_the_code_is_a_warning(environment: dict[str, str]) -> None:
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    await connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
    await connection.close()
    told = await lines(environment)
    assert "warning  migrations: the database is newer than this code; deploy the version that migrated it" in told
    assert told[-1] == "no failures, 2 warnings."


@pytest.mark.parametrize("storage_environment", ON_S3[:1], indirect=True)
async def test_a_bucket_is_written_and_asked_whom_it_lets_in(environment: dict[str, str]) -> None:
    asked = environment | {"ALLOWED_ORIGINS": "https://app.example.org"}
    told = [line for line in await lines(asked) if " storage: " in line or " CORS: " in line]
    assert told[0] == "ok       storage: an object was written, read and deleted"
    hidden = "are not shown the headers ETag, Content-Range, Accept-Ranges, Content-Disposition"
    pages = f"pages of https://app.example.org {hidden}; pages of http://127.0.0.1:1 {hidden}"
    assert told[1:] == [f"failure  CORS: {pages}; `reelgraph storage cors --set --check` lets them in"]


@pytest.mark.parametrize("storage_environment", ON_S3[:1], indirect=True)
async def test_a_bucket_that_is_not_there(environment: dict[str, str]) -> None:
    failure = await failing(environment | {"S3_BUCKET": "nobody-has-this"})
    assert failure.startswith("failure  storage: the S3 storage answers ")
    assert failure.endswith("; look at the S3_… settings and at its policy")


@asynccontextmanager
async def an_empty_database(url: str) -> AsyncGenerator[str]:
    name = f"empty_{new_id()}"
    administrator = await asyncpg.connect(url)
    await administrator.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await administrator.close()
