"""What may come back of a request, as a client program sees it."""

import asyncio
import random
from typing import Any

import httpx
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException

BROKEN = (OSError, TimeoutError, httpx.TransportError, WebSocketException, InvalidHandshake, InvalidMessage)
"""What the libraries raise when a connection breaks, or there is none."""
_AGAIN = frozenset({"INTERNAL", "TOO_MANY_OPERATIONS"})


class Broken(Exception):
    """The connection broke: come again."""


class Unwell(Broken):
    """The server says that it is not well: come again."""


class Unexpected(Exception):
    """An answer that a client has no reason to expect."""


class Patience:
    """Waits longer and longer, with jitter."""

    def __init__(self) -> None:
        self._pause = 0.1

    async def wait(self) -> None:
        await asyncio.sleep(self._pause * random.uniform(0.5, 1))
        self._pause = min(self._pause * 2, 2)

    def renew(self) -> None:
        self._pause = 0.1


def data_of(response: Any) -> Any:
    """What a response says. Raises Broken where the server was not well, Unexpected for any other error."""
    if errors := response.get("errors"):
        codes = {error.get("extensions", {}).get("code", error["message"]) for error in errors}
        if codes <= _AGAIN:
            raise Unwell(", ".join(codes))
        raise Unexpected(str(errors))
    return response["data"]
