"""The whole of Reelgraph on this machine: the embedded servers, one API process and its workers, as our children."""

import http.client
import os
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Never

from persistence.settings import Settings
from reelgraph import embedded, postgres_server, redis_server
from reelgraph.home import Home, StartError
from reelgraph.process import LISTENING, WORKING, Process, command, ending, tethered

_OURS_BY_FILE = {"DATABASE_URL_FILE", "REDIS_URL_FILE", "SECRET_KEY_FILE"}
"""The other spelling of what the home decides itself."""
USUAL_PORT = 8000
_LOOK_AGAIN = 0.2  # seconds between two looks at the children
_STEADY = 60.0  # seconds after which a death is forgotten
_LONGEST_PAUSE = 30.0

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Stack:
    """A running Reelgraph."""

    url: str
    settings: Settings
    environment: Mapping[str, str]
    """What every process of this stack is started with; for one more of them, see `reelgraph.process.command`."""
    servers: embedded.Servers
    api: Process
    workers: list[Process]
    say: Say

    def first_admin(self, email: str) -> str | None:
        """Make an administrator if there is none, and return the random password, which nobody can read again."""
        done = subprocess.run(
            tethered(command("admin", "create", "--first", email)),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartError(f"the first administrator cannot be made: {done.stderr.strip()}")
        return done.stdout.strip() or None

    def watch(self) -> Never:
        """Start again whatever ends by itself, later each time. Returns only by an exception, say a Ctrl-C."""
        watched = [
            _Watched(process) for process in (self.servers.postgres, self.servers.redis, self.api, *self.workers)
        ]
        while True:
            time.sleep(_LOOK_AGAIN)
            for each in watched:
                each.look(time.monotonic(), self.say)


@contextmanager
def stack(
    home: Home,
    *,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    workers: int = 1,
    say: Say = lambda _: None,
) -> Generator[Stack]:
    """Run everything on the data of this home, healthy before the block begins and stopped after it.

    The environment (ours by default) may set whatever Settings know; where the servers, the secret and the files are
    is the home's to say. The API listens on 127.0.0.1: on `port`, else where it did last time, else on 8000, else on
    any free port. Raises StartError or SettingError.
    """
    with ExitStack() as running:
        started = time.monotonic()
        servers = running.enter_context(embedded.running(home))
        say(f"PostgreSQL and Redis answer after {time.monotonic() - started:.1f} s")
        port = port or home.port("api", wanted=USUAL_PORT)
        environment = _environment(
            os.environ if environment is None else environment,
            home,
            port,
            database_url=servers.database_url,
            redis_url=servers.redis_url,
        )
        settings = Settings.read(environment)
        _migrate(home, environment)
        say("The database is at its newest version")
        api = Process(
            name="The API",
            argv=command("api", "--host", "127.0.0.1", "--port", str(port)),
            log=home.log("api"),
            environment=environment,
            # Its own word first: on a port that it could not have, somebody else may answer.
            answers=lambda process: LISTENING in process.said() and _is_ready(port),
        )
        workers_ = [
            Process(
                name="The worker" if workers == 1 else f"Worker {number}",
                argv=command("worker"),
                log=home.log("worker" if workers == 1 else f"worker-{number}"),
                environment=environment,
                grace=settings.drain_seconds + 5,
                answers=lambda process: WORKING in process.said(),
            )
            for number in range(1, workers + 1)
        ]
        for process in (api, *workers_):
            running.callback(process.stop)
            process.start()
        for process in (api, *workers_):
            process.wait()
        say(f"The API and {workers} worker{'s'[: workers != 1]} run after {time.monotonic() - started:.1f} s")
        running.callback(say, "Stopping")
        home.announce(settings.public_url)
        yield Stack(
            url=settings.public_url,
            settings=settings,
            environment=environment,
            servers=servers,
            api=api,
            workers=workers_,
            say=say,
        )


@dataclass
class _Watched:
    process: Process
    pause: float = 0.0
    started_at: float = field(default_factory=time.monotonic)
    due_at: float | None = None
    """When to start it again, once it has ended."""
    awaited: bool = False
    """It was started again and has not answered yet."""

    def look(self, now: float, say: Say) -> None:
        if self.due_at is not None:
            if now >= self.due_at:
                self.process.start()
                self.started_at, self.due_at, self.awaited = now, None, True
        elif (code := self.process.ended) is not None:
            self.pause = 0.5 if now - self.started_at > _STEADY else min(max(0.5, self.pause * 2), _LONGEST_PAUSE)
            self.due_at = now + self.pause
            say(f"{self.process.name} is gone ({ending(code)}), see {self.process.log}; again in {self.pause:g} s")
        elif self.awaited and self.process.answers(self.process):
            self.awaited = False
            say(f"{self.process.name} is up again")


def environment_of(home: Home) -> dict[str, str]:
    """What the processes of this home are configured with, for one more beside them. Raises StartError."""
    ports = {name: home.last_port(name) for name in ("postgres", "redis", "api")}
    if not all(ports.values()):
        raise StartError(f"nothing was ever started in {home.path}; `make up` starts it")
    environment = _environment(
        {},
        home,
        ports["api"],
        database_url=postgres_server.url(home, ports["postgres"]),
        redis_url=redis_server.url(home, ports["redis"]),
    )
    del environment["DRAIN_SECONDS"]  # not the home's to say
    return environment


def _environment(
    environment: Mapping[str, str], home: Home, port: int, *, database_url: str, redis_url: str
) -> dict[str, str]:
    return {
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DRAIN_SECONDS": "2",  # whoever pressed Ctrl-C is waiting; a job handed back goes on at the next start
        **{name: value for name, value in environment.items() if name not in _OURS_BY_FILE},
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": home.secret("key"),
        "STORAGE_PATH": str(home.media),
        "SCRATCH_PATH": str(home.scratch),
    }


def _migrate(home: Home, environment: Mapping[str, str]) -> None:
    """In a process of its own, so that this one, which only watches, need not carry the database's machinery."""
    migration = Process(
        name="The migration",
        argv=command("migrate"),
        log=home.log("migrate"),
        environment=environment,
        answers=lambda process: process.ended == 0,
    )
    try:
        migration.start()
        migration.wait(seconds=600)
    finally:
        migration.stop()


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
