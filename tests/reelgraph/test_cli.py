import asyncio
import os
import subprocess
import sys

import pytest

from graph.oauth.keys import SigningKeys
from persistence.database import Database
from persistence.settings import Settings
from reelgraph import embedded
from reelgraph.home import Home

COMPLETE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "0123456789abcdef0123456789abcdef",
}


def reelgraph(*arguments, cwd=None, **environment):
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "reelgraph", *arguments],
        check=False,
        cwd=cwd,
        env=clean | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_the_commands():
    done = reelgraph("--help")
    assert done.returncode == 0
    for command in ("up", "demo", "api", "worker", "migrate", "schema", "admin"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        *((command, missing) for command in (["api"], ["worker"]) for missing in COMPLETE),
        (["migrate"], "DATABASE_URL"),
        (["admin", "create", "a@example.com"], "DATABASE_URL"),
        (["client", "create", "A script"], "DATABASE_URL"),
    ],
)
def test_a_missing_setting_is_one_line_that_names_it(command, missing):
    done = reelgraph(*command, **{name: value for name, value in COMPLETE.items() if name != missing})
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"reelgraph: {missing} is not set; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://here"),
        ("REDIS_URL", "6379"),
        ("SECRET_KEY", "short"),
        ("PUBLIC_URL", "media.example.com"),
        ("LEASE_SECONDS", "soon"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(name, value):
    done = reelgraph("worker", **COMPLETE | {name: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"reelgraph: {name} must ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["api"], ["worker"], ["migrate"], ["admin", "create", "a@example.com"]])
def test_a_database_that_is_not_there_is_one_line_that_names_the_setting(command):
    done = reelgraph(*command, **COMPLETE)
    assert done.returncode == 2
    assert done.stderr.startswith("reelgraph: DATABASE_URL: no database at 127.0.0.1:1: ")
    assert done.stderr.count("\n") == 1


def test_what_does_not_let_us_in_is_one_line_that_tells_no_password(tmp_path):
    with embedded.running(tmp_path, fsync=False) as servers:
        right = COMPLETE | {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        guess = "not-the-password"
        for name, secret in (("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")):
            wrong = right[name].replace(Home(tmp_path).secret(secret), guess)
            done = reelgraph("worker", **right | {name: wrong})
            assert done.returncode == 2
            assert done.stderr.startswith(f"reelgraph: {name}: no ")
            assert done.stderr.count("\n") == 1
            assert guess not in done.stderr
        missing = servers.database_url.removesuffix("/reelgraph") + "/nothing"
        done = reelgraph("migrate", **right | {"DATABASE_URL": missing})
        assert done.returncode == 2
        assert 'database "nothing" does not exist' in done.stderr


def test_a_second_start_in_the_same_home_says_who_has_it(tmp_path):
    home = Home(tmp_path / "home")
    with home.held():
        home.announce("http://127.0.0.1:8123")
        done = reelgraph("up", REELGRAPH_HOME=str(home.path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"reelgraph: already running at http://127.0.0.1:8123 (process {os.getpid()}). ")
    assert done.stderr.count("\n") == 1


def test_a_database_that_was_never_migrated_and_another_secret_are_one_line_each(tmp_path):
    with embedded.running(tmp_path, fsync=False) as servers:
        right = COMPLETE | {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
        bare = reelgraph("api", "--port", "0", **right)
        assert (bare.returncode, bare.stdout) == (1, "")
        assert bare.stderr == "reelgraph: the database does not have our tables; run `reelgraph migrate` first\n"
        assert reelgraph("migrate", **right).returncode == 0
        settings = Settings.read(right)

        async def first_key() -> None:
            async with Database.opened(settings) as database:
                await SigningKeys(database, settings).ensure()

        asyncio.run(first_key())
        other = reelgraph(
            "api", "--port", "0", **right | {"SECRET_KEY": "another secret, which is as long as it must be"}
        )
        assert other.returncode == 2
        assert other.stderr.startswith("reelgraph: SECRET_KEY is not ")
        assert other.stderr.count("\n") == 1
