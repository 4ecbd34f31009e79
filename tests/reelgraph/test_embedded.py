import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio as redis

from reelgraph import embedded
from reelgraph.home import AlreadyRunningError, Home, StartError
from reelgraph.process import tethered

pytestmark = pytest.mark.anyio

STARTER = """
import json, sys
from pathlib import Path
from reelgraph import embedded
with embedded.running(Path(sys.argv[1]), fsync=False) as servers:
    print(json.dumps([servers.database_url, servers.redis_url]), flush=True)
    sys.stdin.read()
"""


@contextmanager
def starter(home: Path, *, identity: str = "-") -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Another process that runs the servers of this home until its stdin closes."""
    argv = tethered([sys.executable, "-c", STARTER, str(home)], identity=identity)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, *json.loads(process.stdout.readline())
        finally:
            process.kill()


async def write(database_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('Äther')")
    await connection.close()
    async with redis.Redis.from_url(redis_url) as client:
        await client.set("kept", "too")


async def read(database_url: str, redis_url: str) -> tuple[str, bytes]:
    connection = await asyncpg.connect(database_url)
    word = await connection.fetchval("SELECT lower(word) FROM kept")
    await connection.close()
    async with redis.Redis.from_url(redis_url) as client:
        return word, await client.get("kept")


async def test_a_restart_finds_everything_again_at_the_same_address(tmp_path):
    with embedded.running(tmp_path) as servers:
        await write(servers.database_url, servers.redis_url)
        before = servers.database_url, servers.redis_url
    with embedded.running(tmp_path) as servers:
        assert (servers.database_url, servers.redis_url) == before
        assert await read(*before) == ("äther", b"too")


async def test_a_restart_after_a_kill_finds_everything_again(tmp_path):
    with starter(tmp_path) as (process, *urls):
        await write(*urls)
        process.kill()
        process.wait()
        # At once: the old servers may still be on their way out.
        with embedded.running(tmp_path) as servers:
            assert await read(servers.database_url, servers.redis_url) == ("äther", b"too")


async def test_a_killed_parent_leaves_no_server_behind(tmp_path, gone, descendants):
    with starter(tmp_path) as (process, database_url, _):
        connection = await asyncpg.connect(database_url)
        busy = connection.execute("SELECT pg_sleep(60)")
        below = descendants(process.pid)
        assert len(below) >= 6  # Redis, the postmaster, and its own
        all_end = gone(below)
        process.kill()
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await busy
        assert all_end(within=5)
        connection.terminate()


async def test_a_killed_server_can_be_started_again(tmp_path, gone):
    with embedded.running(tmp_path) as servers:
        await write(servers.database_url, servers.redis_url)
        # As their parent's death does; how soon they are gone then is another test's to say.
        for server, number in ((servers.postgres, signal.SIGQUIT), (servers.redis, signal.SIGKILL)):
            ends = gone([server.pid])
            os.kill(server.pid, number)
            assert ends(within=60)
            assert server.ended is not None
            server.start()
            server.wait()
        assert await read(servers.database_url, servers.redis_url) == ("äther", b"too")


async def test_two_homes_run_side_by_side(tmp_path):
    with embedded.running(tmp_path / "a", fsync=False) as one, embedded.running(tmp_path / "b", fsync=False) as two:
        await write(one.database_url, one.redis_url)
        connection = await asyncpg.connect(two.database_url)
        assert await connection.fetchval("SELECT to_regclass('kept')") is None
        await connection.close()


async def test_one_home_runs_once(tmp_path):
    with embedded.running(tmp_path, fsync=False) as servers:
        with pytest.raises(AlreadyRunningError), embedded.running(tmp_path, fsync=False):
            pass
        await write(servers.database_url, servers.redis_url)


async def test_a_taken_port_is_given_up_for_another(tmp_path):
    with embedded.running(tmp_path) as servers:
        await write(servers.database_url, servers.redis_url)
    port = int((tmp_path / "ports" / "postgres").read_text())
    with socket.create_server(("127.0.0.1", port)), embedded.running(tmp_path) as servers:
        assert f":{port}/" not in servers.database_url
        assert await read(servers.database_url, servers.redis_url) == ("äther", b"too")


async def test_nobody_enters_without_the_password(tmp_path):
    with embedded.running(tmp_path, fsync=False) as servers:
        secret = Home(tmp_path).secret("postgres")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(servers.database_url.replace(secret, "guess"))
        with pytest.raises(redis.AuthenticationError):
            async with redis.Redis.from_url(
                servers.redis_url.split("@")[0][:8] + servers.redis_url.split("@")[1]
            ) as client:
                await client.ping()


def listening() -> set[tuple[str, int]]:
    """Every address and port that this machine listens on, as the kernel writes them."""
    lines = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    sockets = [local.split(":") for _, local, _, state, *_ in lines if state == "0A"]
    return {(address, int(port, 16)) for address, port in sockets}


async def test_the_servers_listen_on_loopback_only(tmp_path):
    with embedded.running(tmp_path, fsync=False):
        ports = {int((tmp_path / "ports" / name).read_text()) for name in ("postgres", "redis")}
        assert {each for each in listening() if each[1] in ports} == {("0100007F", port) for port in ports}


async def test_data_and_passwords_are_private(tmp_path):
    with embedded.running(tmp_path, fsync=False):
        for private in ("postgres", "redis", "secrets"):
            assert stat.S_IMODE((tmp_path / private).stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "redis" / "redis.conf").stat().st_mode) == 0o600
        assert not (tmp_path / "postgres" / "password").exists()


@pytest.fixture
def stranger():
    """The process id of a program that has nothing to do with us."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


async def test_a_stale_lock_whose_process_id_belongs_to_a_stranger_is_no_obstacle(tmp_path, stranger):
    lock = tmp_path / "postgres" / "data" / "postmaster.pid"
    with embedded.running(tmp_path) as servers:
        await write(servers.database_url, servers.redis_url)
        lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(stranger), *lines[1:], ""]))
    with embedded.running(tmp_path) as servers:
        assert await read(servers.database_url, servers.redis_url) == ("äther", b"too")


async def test_a_half_made_cluster_is_made_again(tmp_path):
    (tmp_path / "postgres" / "part" / "base").mkdir(parents=True)
    (tmp_path / "postgres" / "password").write_text("old")
    with embedded.running(tmp_path, fsync=False) as servers:
        await write(servers.database_url, servers.redis_url)


async def test_data_of_another_version_is_refused_and_left_alone(tmp_path):
    with embedded.running(tmp_path, fsync=False):
        pass
    version = tmp_path / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")
    with (
        pytest.raises(StartError, match="was made by PostgreSQL 17, this is PostgreSQL 18"),
        embedded.running(tmp_path),
    ):
        pass
    version.write_text("18\n")
    with embedded.running(tmp_path, fsync=False):
        pass


async def test_the_folder_may_have_a_long_and_odd_name(tmp_path):
    with embedded.running(tmp_path / ("ein langer Name, mit 'Zeichen' & \"mehr\" " * 4), fsync=False) as servers:
        await write(servers.database_url, servers.redis_url)


@pytest.fixture
def nobodys():
    """A folder that belongs to the user nobody, and the identity to enter it with."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests are this one already")
    nobody = pwd.getpwnam("nobody")
    identity = f"user:{nobody.pw_uid}:{nobody.pw_gid}"
    done = subprocess.run(tethered([sys.executable, "-c", "import reelgraph.embedded"], identity=identity), check=False)
    if done.returncode != 0:
        pytest.skip(f"another user cannot reach {sys.executable}")
    # Not below pytest's own folder, which is private to root.
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        yield Path(folder) / "home", identity


async def test_an_ordinary_user_needs_no_rights(nobodys, gone, descendants):
    home, identity = nobodys
    with starter(home, identity=identity) as (process, *urls):
        await write(*urls)
        assert await read(*urls) == ("äther", b"too")
        all_end = gone(descendants(process.pid))
        process.kill()
        assert all_end(within=5)
