"""Redis watched by Sentinels: when another server takes over, rings and wake-ups find it."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import RedisError

from domain.kinds import Pool
from persistence.feed import Doorbells, redis_opened
from persistence.queue import Queue
from persistence.settings import SettingError, Settings
from reelgraph import redis_server
from reelgraph.process import Process
from reelgraph.reach import reach_redis
from tests.installation import kill

SECRET, OF_SENTINEL = "of the servers/", "of-the-sentinel"
ENCODED = "of%20the%20servers%2F"


@dataclass
class Watched:
    """A master with its replica, and one Sentinel that moves the role when the master is gone."""

    url: str
    master: Process
    replica_port: int


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    master, replica, sentinel = (free_port() for _ in range(3))
    every = f'bind 127.0.0.1\nsave ""\nrequirepass "{SECRET}"\nmasterauth "{SECRET}"\n'
    with ExitStack() as running:

        def started(name: str, port: int, config: str, ready: Callable[[Redis], bool], *arguments: str) -> Process:
            folder = tmp_path / name
            folder.mkdir()
            (folder / "redis.conf").write_text(f"port {port}\n{config}")
            password = OF_SENTINEL if arguments else SECRET
            client = running.enter_context(Redis(port=port, password=password, retry=None))
            process = Process(
                name=name,
                argv=[redis_server._binary(), "redis.conf", *arguments],
                log=tmp_path / f"{name}.log",
                folder=folder,
                answers=lambda _: is_ready(client, ready),
            )
            running.callback(process.stop)
            process.start()
            process.wait()
            return process

        first = started("master", master, every, lambda it: it.ping())
        started("replica", replica, f"{every}replicaof 127.0.0.1 {master}\n", is_replicating)
        config = f"""bind 127.0.0.1
requirepass {OF_SENTINEL}
sentinel monitor films 127.0.0.1 {master} 1
sentinel auth-pass films "{SECRET}"
sentinel down-after-milliseconds films 300
sentinel failover-timeout films 2000
"""
        started("sentinel", sentinel, config, lambda it: it.sentinel_slaves("films") != [], "--sentinel")
        servers = f"127.0.0.1:1,127.0.0.1:{sentinel}"
        url = f"redis+sentinel://:{ENCODED}@{servers}/films/0?sentinel_password={OF_SENTINEL}"
        yield Watched(url, first, replica)


async def test_a_failover_loses_neither_rings_nor_wake_ups(watched: Watched) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    woken = asyncio.Event()

    async def work() -> None:
        woken.set()

    async def rung(bells: Doorbells) -> None:
        """Until it is heard: while the line is down bells ring by themselves, which tells nothing."""
        while not heard.empty():
            heard.get_nowait()
        await bells.ring(["a"])
        await heard.get()

    async with redis_opened(watched.url, connections=6) as redis, asyncio.timeout(30):
        bells, queue = Doorbells(redis, url=watched.url, namespace="x"), Queue(redis, namespace="x")
        receiving = asyncio.create_task(queue.receive(Pool.LIGHT, 1, work))
        async with bells.listening():
            with bells.hung("a", heard.put_nowait):
                await rung(bells)
                await queue.wake({Pool.LIGHT: 1})
                await woken.wait()
                kill(watched.master)
                while not (await redis_role(watched)):
                    await asyncio.sleep(0.05)
                await rung(bells)
                woken.clear()
                while not woken.is_set():
                    await queue.wake({Pool.LIGHT: 1})
                    await asyncio.sleep(0.05)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        while True:
            try:
                await redis.set("x", "1")
            except MasterNotFoundError:  # the sentinel has not made up its mind for good yet
                await asyncio.sleep(0.05)
            else:
                break
    with Redis(port=watched.replica_port, password=SECRET) as client:
        assert client.get("x") == b"1"


async def test_a_sentinel_that_knows_nothing_is_a_line_that_names_the_setting(settings: Settings) -> None:
    def named(url: str) -> Settings:
        given = {"DATABASE_URL": settings.database_url, "REDIS_URL": url, "SECRET_KEY": "k" * 32}
        return Settings.read(given)

    with pytest.raises(SettingError, match=r"^REDIS_URL: no Redis there: No master found for 'films'"):
        await reach_redis(named("redis+sentinel://127.0.0.1:1/films"))
    with pytest.raises(SettingError, match=r"^REDIS_URL names no service that the Sentinels watch, e\.g\. "):
        await reach_redis(named("redis+sentinel://127.0.0.1:1"))


async def redis_role(watched: Watched) -> bool:
    """Whether the replica has become the master."""

    def ask() -> bool:
        with Redis(port=watched.replica_port, password=SECRET) as client:
            return client.info("replication")["role"] == "master"

    return await asyncio.to_thread(ask)


def is_ready(client: Redis, ready: Callable[[Redis], bool]) -> bool:
    try:
        return ready(client)
    except (RedisError, OSError):
        return False


def is_replicating(client: Redis) -> bool:
    return client.info("replication")["master_link_status"] == "up"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
