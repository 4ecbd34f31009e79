"""The process of the clients, seen from outside."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Count:
    """What has come so far."""

    messages: int
    least: int
    """Of one client."""
    latest: str


class Crowd:
    """As many clients as are wanted, in one process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncGenerator[Self]:
        """Run it as long as the block lasts."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.live.clients"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            yield cls(process)
        finally:
            process.kill()
            await process.wait()

    async def open(self, sockets: list[dict[str, Any]]) -> Count:
        """Open these sockets (see bench.live.clients), until all are."""
        return await self._tell(sockets)

    async def count(self) -> Count:
        """What has come until now."""
        return await self._tell(None)

    async def settled(self, expected: int) -> Count:
        """What has come when all has, or nothing more comes: a state that was overtaken never does."""
        counted = await self.count()
        while counted.messages < expected:
            await asyncio.sleep(1)
            before, counted = counted, await self.count()
            if before.messages == counted.messages:
                break
        return counted

    async def _tell(self, order: list[dict[str, Any]] | None) -> Count:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        answer = await self._process.stdout.readline()
        if not answer:
            raise ConnectionError("the clients have given up; what they said is above")
        return Count(**json.loads(answer))
