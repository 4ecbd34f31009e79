"""What the transports' tests share: an engine over a test's tiny schema, and a real server for it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import strawberry
import uvicorn
from starlette.applications import Starlette

from domain.viewer import Viewer
from graph.transport import Engine, Limits, routes

ANN = Viewer(user_id="ann", scopes=frozenset())


@dataclass(eq=False)
class Context:
    """One operation's context; its test can see when it is closed."""

    viewer: Viewer | None
    request_id: str
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class House:
    """An engine that remembers every context it opened."""

    engine: Engine
    contexts: list[Context]
    draining: asyncio.Event

    def app(self, allowed_origins: tuple[str, ...] = ()) -> Starlette:
        return Starlette(routes=routes(self.engine, draining=self.draining, allowed_origins=allowed_origins))

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app())
        return httpx.AsyncClient(transport=transport, base_url="http://reelgraph.test")

    @asynccontextmanager
    async def served(self, allowed_origins: tuple[str, ...] = ()) -> AsyncGenerator[str]:
        """Serve on a free port of the loopback; the value is host:port."""
        draining = self.draining

        class Server(uvicorn.Server):
            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                draining.set()
                await super().shutdown(sockets)

            def capture_signals(self) -> contextlib.AbstractContextManager[None]:
                return contextlib.nullcontext()

        config = uvicorn.Config(
            self.app(allowed_origins),
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
        )
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()  # who connects before the server is up waits here
            server = Server(config)
            serving = asyncio.create_task(server.serve([listening]))
            try:
                host, port = listening.getsockname()
                yield f"{host}:{port}"
            finally:
                server.should_exit = True
                await serving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house() -> Callable[..., House]:
    """An engine over a schema. The token `ann` is Ann's; `broken` is one that cannot be looked up at all."""

    def build(query: type, *, limits: Limits | None = None, **schema: object) -> House:
        contexts: list[Context] = []

        async def authenticate(token: str) -> Viewer | None:
            if token == "broken":
                raise ConnectionError("the database is gone: password hunter2")
            return ANN if token == "ann" else None

        def open_context(viewer: Viewer | None, request_id: str) -> AbstractAsyncContextManager[Context]:
            @asynccontextmanager
            async def opened() -> AsyncGenerator[Context]:
                context = Context(viewer, request_id)
                contexts.append(context)
                try:
                    yield context
                finally:
                    await asyncio.sleep(0)  # a real one closes with an await too
                    context.closed.set()

            return opened()

        engine = Engine(
            strawberry.Schema(query=query, **schema),
            authenticate=authenticate,
            open_context=open_context,
            limits=limits or Limits(),
        )
        return House(engine, contexts, asyncio.Event())

    return build
