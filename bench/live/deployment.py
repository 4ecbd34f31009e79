"""What is measured: one process of ours, or one of the raw relay, on the same PostgreSQL and Redis."""

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from reelgraph.process import LISTENING, Process, command

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server process."""

    process: Process

    @property
    def url(self) -> str:
        """Where it answers."""
        return _url(self.process)

    def cpu(self) -> float:
        """Seconds of processor time it has used, in user and system mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Bytes of it that lie in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def reelgraph(environment: Mapping[str, str], log: Path) -> Generator[Server]:
    """Our API, as `reelgraph api` runs it."""
    process = Process(
        name="The API", argv=command("api", "--port", "0"), log=log, environment=environment, answers=_is_healthy
    )
    with _running(process) as server:
        yield server


@contextmanager
def relay(redis_url: str, log: Path) -> Generator[Server]:
    """The raw relay."""
    argv = [sys.executable, "-m", "bench.live.relay", redis_url]
    with _running(Process(name="The relay", argv=argv, log=log, answers=lambda it: bool(_url(it)))) as server:
        yield server


@contextmanager
def _running(process: Process) -> Generator[Server]:
    try:
        process.start()
        process.wait()
        yield Server(process)
    finally:
        process.stop()


def _url(process: Process) -> str:
    return next((line.split()[-1] for line in process.said().splitlines() if line.startswith(LISTENING)), "")


def _is_healthy(process: Process) -> bool:
    try:
        return (
            bool(_url(process)) and httpx.get(f"{_url(process)}/readyz", trust_env=False).status_code == httpx.codes.OK
        )
    except httpx.TransportError:
        return False
