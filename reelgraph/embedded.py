"""Real PostgreSQL and Redis with nothing installed: the servers that come inside two wheels, run as our children.

Only the wheels' binaries are used. Their Python launchers stay untouched (and unimported): one opens its server to
everybody on the machine, the other keeps nothing across restarts.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reelgraph import postgres_server, redis_server
from reelgraph.home import Home, StartError, is_free
from reelgraph.process import Process

_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Servers:
    """A running PostgreSQL and a running Redis, and where they answer."""

    database_url: str
    redis_url: str
    postgres: Process
    redis: Process


@contextmanager
def running(home: Home | Path, *, fsync: bool = True) -> Generator[Servers]:
    """Run both servers on the data of this home, made if there is none; stop them at the end.

    They listen on 127.0.0.1, on ports kept across restarts, and ask for random passwords. Nobody else can use the home
    meanwhile. With `fsync=False` nothing waits for the disk: for tests. Raises StartError.
    """
    home = home if isinstance(home, Home) else Home(home)
    with (
        home.held(),
        _listening(home, "postgres", postgres_server.prepared(home, fsync=fsync)) as (postgres, postgres_port),
        _listening(home, "redis", redis_server.prepared(home, fsync=fsync)) as (redis, redis_port),
    ):
        yield Servers(
            database_url=postgres_server.url(home, postgres_port),
            redis_url=redis_server.url(home, redis_port),
            postgres=postgres,
            redis=redis,
        )


@contextmanager
def _listening(home: Home, name: str, on_port: Callable[[int], Process]) -> Generator[tuple[Process, int]]:
    server, port = _started(home, name, on_port)
    try:
        yield server, port
    finally:
        server.stop()


def _started(home: Home, name: str, on_port: Callable[[int], Process]) -> tuple[Process, int]:
    """Start a server on a free port; on another if somebody takes the port between our look and its bind."""
    for _ in range(_ATTEMPTS):
        port = home.port(name)
        server = on_port(port)
        try:
            server.start()
            server.wait()
        except StartError:
            if is_free(port):
                raise
        except BaseException:
            server.stop()
            raise
        else:
            return server, port
    raise StartError(f"somebody else takes every port {name} is given; try again")
