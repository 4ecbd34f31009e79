"""Coroutines that are run at once, and become tasks only where they have to wait."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


def started(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run a coroutine up to where it has to wait; return the task that runs the rest, if there is any.

    A send to a client that reads never waits, and a task for each would cost as much as the sending: thousands at once
    are also what the garbage collector then goes through. The part that runs at once must not ask for its task.
    """
    try:
        waiting = coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.create_task(_finished(_Rest(coroutine, waiting)))


async def _finished(rest: "_Rest") -> None:
    await rest


class _Rest:
    """What is left of a coroutine that waits for this future."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], waiting: object) -> None:
        self._coroutine = coroutine
        self._waiting = waiting

    def __await__(self) -> Generator[object, None, None]:
        while True:
            try:
                yield self._waiting
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, None)
            try:
                self._waiting = step()
            except StopIteration:
                return
