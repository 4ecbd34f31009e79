"""The deployment that is put to the test: machines, each a supervisor with an API process and workers, on real servers.

Each machine reaches Redis through a proxy of its own.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from persistence.migrate import upgrade
from reelgraph import embedded
from reelgraph.home import is_free
from reelgraph.process import Process
from tests.chaos.proxy import Proxy
from tests.chaos.scenario import Scenario
from tests.installation import Installation
from tests.wire import http

SLOTS = 3
"""Of the light pool, for each worker."""
_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to whoever connects: a port must still be free after its owner was killed."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A supervisor and what runs below it."""

    name: str
    url: str
    supervisor: Process
    redis: Proxy

    @property
    def members(self) -> dict[str, int]:
        """The process ids of what runs there now, by name."""
        found: dict[str, int] = {}
        for pid in _children(self.supervisor.pid):
            name = _name(pid)
            if name.startswith(f"{self.name}-"):
                found[name] = pid
        return found

    @property
    def api(self) -> int | None:
        return self.members.get(f"{self.name}-api")

    @property
    def workers(self) -> dict[str, int]:
        return {name: pid for name, pid in self.members.items() if name.startswith(f"{self.name}-worker-")}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """All of it."""

    folder: Path
    installation: Installation
    servers: embedded.Servers
    machines: list[Machine]

    @property
    def urls(self) -> list[str]:
        """Where the API processes answer."""
        return [machine.url for machine in self.machines]

    @property
    def scratch(self) -> Path:
        """Where the attempts have their folders."""
        return Path(self.installation.environment["SCRATCH_PATH"]) / "jobs"

    @property
    def workers(self) -> dict[str, int]:
        return {name: pid for machine in self.machines for name, pid in machine.workers.items()}

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, scenario: Scenario) -> AsyncGenerator["Deployment"]:
        """Everything up and answering; stopped at the end of the block."""
        async with AsyncExitStack() as stack:
            servers = stack.enter_context(embedded.running(folder / "home", fsync=False))
            await asyncio.to_thread(upgrade, servers.database_url)
            installation = Installation(
                {
                    "DATABASE_URL": servers.database_url,
                    "REDIS_URL": servers.redis_url,
                    "SECRET_KEY": "a secret of the checker, long enough to be one",
                    "STORAGE_PATH": str(folder / "media"),
                    "SCRATCH_PATH": str(folder / "scratch"),
                    "LEASE_SECONDS": str(scenario.lease_seconds),
                    "DRAIN_SECONDS": str(scenario.drain_seconds),
                    "LIGHT_SLOTS": str(SLOTS),
                    "DATABASE_POOL": "8",
                },
                folder / "logs",
            )
            free = [port for port in random.sample(_PORTS, 4 * scenario.machines) if is_free(port)]
            installation.environment["PUBLIC_URL"] = f"http://127.0.0.1:{free[0]}"
            proxies = [
                await stack.enter_async_context(Proxy.running(urlsplit(servers.redis_url).port or 0))
                for _ in range(scenario.machines)
            ]
            # In a thread: the proxies are to go on meanwhile.
            stack.push_async_callback(asyncio.to_thread, installation.close)
            machines = [
                _machine(installation, folder / "logs", f"machine-{number}", port, scenario.workers, proxy)
                for number, (port, proxy) in enumerate(zip(free, proxies, strict=False), 1)
            ]
            installation.urls += [machine.url for machine in machines]
            deployment = cls(folder=folder, installation=installation, servers=servers, machines=machines)
            async with asyncio.timeout(120):
                await asyncio.gather(*(_is_up(machine, scenario.workers) for machine in machines))
            yield deployment


def _machine(installation: Installation, logs: Path, name: str, port: int, workers: int, proxy: Proxy) -> Machine:
    settings = urlsplit(installation.environment["REDIS_URL"])
    redis_url = settings._replace(netloc=f"{settings.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
    supervisor = Process(
        name=name,
        argv=[sys.executable, "-m", "tests.chaos.supervisor", name, str(port), str(workers), str(logs)],
        log=logs / f"{name}.log",
        environment={"PATH": os.environ["PATH"], **installation.environment, "REDIS_URL": redis_url},
        grace=30,
    )
    installation.processes.append(supervisor)
    supervisor.start()
    return Machine(name=name, url=f"http://127.0.0.1:{port}", supervisor=supervisor, redis=proxy)


async def _is_up(machine: Machine, workers: int) -> None:
    async with http() as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"{machine.url}/readyz")).is_success and len(machine.workers) == workers:
                    return
            await asyncio.sleep(0.1)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def _name(pid: int) -> str:
    """What a process of ours was told to be called; nothing for one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            key, _, value = line.partition(b"=")
            if key == b"DATABASE_URL":
                return parse_qs(urlsplit(value.decode()).query).get("application_name", [""])[0]
    return ""


def signalled(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False if there is nobody any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
