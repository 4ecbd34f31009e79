"""Follow a project: print what happens in it, whatever breaks on the way.

    TOKEN=… python3 docs/follow.py http://127.0.0.1:8000 PROJECT [CURSOR]

Needs the package websockets. Begins behind the cursor (0: with the first entry), else with what happens from now on;
started again with the last cursor it printed, it goes on where it was.
"""  # noqa: INP001 - a program to read and to run by itself

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

WATCH = """subscription ($project: ID!, $after: String) {
  projectEvents(projectId: $project, after: $after) { cursor kind at subjectId }
}"""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
SIGNED_OUT = 4403
"""How a socket is closed whose token is not valid, or whose sign-in has ended."""


class RefusedError(Exception):
    """The server says no: trying again will not help."""


async def follow(
    url: str, project: str, after: str | None, token: Callable[[], Awaitable[str]]
) -> AsyncGenerator[dict[str, Any]]:
    """Every entry of the project's log behind this one, none of them twice; ends when the project is gone.

    `token` is asked for an access token that is good now, once for each connection.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            async with aclosing(_connected(url, project, after, await token())) as events:
                async for event in events:
                    after, pause = event["cursor"], FIRST_PAUSE
                    yield event
        except ConnectionClosed as closed:
            if closed.rcvd and closed.rcvd.code == SIGNED_OUT:
                raise RefusedError("the token is not valid, or its sign-in has ended") from closed
        except (OSError, TimeoutError, WebSocketException):
            pass  # the server is away, or a new one is on its way
        else:
            return
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # so that not all come back at once
        pause = min(pause * 2, LONGEST_PAUSE)


async def _connected(url: str, project: str, after: str | None, token: str) -> AsyncGenerator[dict[str, Any]]:
    address = f"ws{url.removeprefix('http')}/graphql"
    async with connect(address, subprotocols=["graphql-transport-ws"]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        asked = {"query": WATCH, "variables": {"project": project, "after": after}}
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "connection_ack":
                await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": asked}))
            elif message["type"] == "next":
                yield message["payload"]["data"]["projectEvents"]
            elif message["type"] == "error":
                raise RefusedError(message["payload"][0]["message"])
            elif message["type"] == "complete":
                return
        raise ConnectionError("the server closed the connection")


async def main(url: str, project: str, after: str | None = None) -> None:
    """Print the entries, one line of JSON each."""

    async def token() -> str:
        return os.environ["TOKEN"]  # a program that runs for long refreshes it: see docs/sign-in.md

    async for event in follow(url, project, after, token):
        print(json.dumps(event), flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except RefusedError as refused:
        sys.exit(f"refused: {refused}")
    except KeyboardInterrupt:
        pass
