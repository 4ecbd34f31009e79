"""One deployment on this machine: real API and worker processes, which a test starts, stops, kills and looks into."""

import asyncio
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from domain.entity import new_id
from domain.user import User
from domain.viewer import Scope
from persistence.accounts import register_client
from persistence.database import Database
from persistence.settings import Settings
from reelgraph.process import WORKING, Process, command
from tests.wire import Caller, token_for


class Installation:
    """As many API and worker processes as a story needs. The first API's address is the public one of all."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self.environment.pop("PUBLIC_URL", None)
        self.processes: list[Process] = []
        self.urls: list[str] = []
        """Where the API processes answer."""
        self._folder = folder
        folder.mkdir()

    @property
    def settings(self) -> Settings:
        return Settings.read(self.environment)

    async def api(self) -> Process:
        """One more API process, on a free port."""
        process = self._started("api", "api", "--port", "0")
        await asyncio.to_thread(process.wait)
        self.urls.append(_address(process))
        self.environment.setdefault("PUBLIC_URL", self.urls[0])
        return process

    async def worker(self) -> Process:
        """One more worker process."""
        process = self._started("worker", "worker")
        await asyncio.to_thread(process.wait)
        return process

    async def person(self, name: str = "A. User") -> Caller:
        """A new user with a program of theirs that is signed in to the first API."""
        user, client_id, secret = await self.registered(name)
        scopes = frozenset(Scope) - {Scope.ADMIN}
        return Caller(self.urls[0], user, scopes, await token_for(self.urls[0], client_id, secret))

    async def registered(self, name: str) -> tuple[User, str, str]:
        """A new user, and the id and the secret of a program of theirs."""
        async with Database.opened(self.settings) as database, database.sessions() as session, session.begin():
            user = User(email=f"{new_id()}@example.org", name=name)
            session.add(user)
            await session.flush()
            client, secret = await register_client(session, name="A script", owner=user)
        return user, client.id, secret

    def close(self) -> None:
        """Stop every process: ask all of them first, then wait."""
        for process in self.processes:
            tell_to_stop(process)
        for process in self.processes:
            process.stop()

    def _started(self, kind: str, *arguments: str) -> Process:
        process = Process(
            name=f"{kind} {len(self.processes)}",
            argv=command(*arguments),
            log=self._folder / f"{len(self.processes)}-{kind}.log",
            # Nothing of ours but where programs are: what the product needs, it is told.
            environment={"PATH": os.environ["PATH"], **self.environment},
            grace=8,
            answers=_is_healthy if kind == "api" else lambda it: WORKING in it.said(),
        )
        self.processes.append(process)
        process.start()
        return process


@contextmanager
def installed(environment: Mapping[str, str], folder: Path) -> Iterator[Installation]:
    """An installation without processes yet; those that it has at the end are stopped."""
    installation = Installation(environment, folder)
    try:
        yield installation
    finally:
        installation.close()


def tell_to_stop(process: Process) -> None:
    """Send SIGTERM, and do not wait."""
    if process.ended is None:
        os.kill(process.pid, signal.SIGTERM)


def kill(process: Process) -> None:
    """Send SIGKILL; afterwards it is gone."""
    if process.ended is None:
        os.kill(process.pid, signal.SIGKILL)
        process.stop()


class Held:
    """Processes that cannot be mistaken for later ones with the same ids."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._handles: list[int] = []
        for pid in pids:
            with suppress(ProcessLookupError):  # it has ended already
                self._handles.append(os.pidfd_open(pid))

    async def end_within(self, seconds: float) -> bool:
        """Whether all of them end in that time."""
        return await asyncio.to_thread(self._end_within, seconds)

    def close(self) -> None:
        for handle in self._handles:
            os.close(handle)

    def _end_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        poll = select.poll()
        for handle in self._handles:
            poll.register(handle, select.POLLIN)
        left = len(self._handles)
        while left:
            ended = poll.poll(max(0, deadline - time.monotonic()) * 1000)
            if not ended:
                return False
            for handle, _ in ended:
                poll.unregister(handle)
                left -= 1
        return True


@contextmanager
def held(pids: Iterable[int]) -> Iterator[Held]:
    holding = Held(pids)
    try:
        yield holding
    finally:
        holding.close()


def below(pid: int) -> list[int]:
    """All processes that this one started, theirs too."""
    children: list[int] = []
    with suppress(OSError):  # gone meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return children + [each for child in children for each in below(child)]


async def encoder(*workers: Process) -> tuple[Process, list[int]]:
    """The first of the workers that is encoding a span of a render, and the ids of the ffmpegs that do it.

    Between two spans none is there for a moment; others may be at work on what was uploaded.
    """
    async with asyncio.timeout(30):
        while True:
            for worker in workers:
                if found := [pid for pid in below(worker.pid) if "span.mp4" in _command(pid)]:
                    return worker, found
            await asyncio.sleep(0.01)


def _command(pid: int) -> list[str]:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return words if Path(words[0]).name.startswith("ffmpeg") else []
    return []


def _address(api: Process) -> str:
    return next((line.split()[-1] for line in api.said().splitlines() if line.startswith("Listening on ")), "")


def _is_healthy(api: Process) -> bool:
    url = _address(api)
    try:
        return bool(url) and httpx.get(f"{url}/healthz", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
