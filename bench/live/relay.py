"""What we compare with: a relay that knows nothing. What is published on a channel of Redis goes to its sockets.

    python -m bench.live.relay REDIS_URL

Written as one would: Starlette and uvicorn set up as ours are, one pub/sub connection for the process, and for each
socket a bounded queue and a task that sends, so that a slow client holds up nobody else. No authentication, no
database, no protocol: whoever opens /relay/CHANNEL gets every message as it is.
"""

import asyncio
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from reelgraph.process import LISTENING

WAITING = 64
"""Messages that may wait for one client; one more, and it is too slow."""


class Relay:
    def __init__(self, redis: Redis) -> None:
        self._pubsub = redis.pubsub()
        self._channels: defaultdict[bytes, set[asyncio.Queue[str]]] = defaultdict(set)
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        await self._pubsub.subscribe("keeps the connection subscribed")
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()

    async def answer(self, websocket: WebSocket) -> None:
        channel = websocket.path_params["channel"].encode()
        await websocket.accept()
        queue: asyncio.Queue[str] = asyncio.Queue(WAITING)
        async with self._changing:
            if channel not in self._channels:
                await self._pubsub.subscribe(channel)
            self._channels[channel].add(queue)
        sending = asyncio.create_task(_send(websocket, queue))
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            sending.cancel()
            async with self._changing:
                self._channels[channel].discard(queue)
                if not self._channels[channel]:
                    del self._channels[channel]
                    await self._pubsub.unsubscribe(channel)

    async def _listen(self) -> None:
        async for message in self._pubsub.listen():
            if message["type"] == "message":
                text = message["data"].decode()
                for queue in tuple(self._channels.get(message["channel"], ())):
                    try:
                        queue.put_nowait(text)
                    except asyncio.QueueFull:
                        self._channels[message["channel"]].discard(queue)


async def _send(websocket: WebSocket, queue: asyncio.Queue[str]) -> None:
    while True:
        await websocket.send_text(await queue.get())


def main(redis_url: str) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with Redis.from_url(redis_url) as redis:
            relay = Relay(redis)
            app.router.routes.append(WebSocketRoute("/relay/{channel}", relay.answer))
            async with relay.running():
                yield

    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        Starlette(lifespan=lifespan),
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=256 * 2**10,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        access_log=False,
        log_config=None,
        server_header=False,
    )
    print(f"{LISTENING} http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
