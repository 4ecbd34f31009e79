"""What the transports' tests share: an engine over a test's tiny schema, and a real server for it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
import strawberry
import uvicorn
from starlette.applications import Starlette

from domain.viewer import Viewer
from graph.transport import Engine, Limits, routes
from reelgraph.connections import HttpConnection, WebSocketConnection

ANN = Viewer(user_id="ann", scopes=frozenset())


@dataclass(eq=False)
class Context:
    """The context of one operation, or of one event."""

    viewer: Viewer | None
    request_id: str
    sources: list["Context"]
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def beside(self) -> "Context":
        return replace(self)

    @contextmanager
    def source(self) -> Iterator[None]:
        """A subscription's source; its test can see when it is closed."""
        self.sources.append(self)
        try:
            yield
        finally:
            self.closed.set()


@dataclass
class House:
    """An engine that remembers every context it made, and the sign-ins it watches."""

    engine: Engine
    contexts: list[Context]
    sources: list[Context]
    """Of which operations sources were opened."""
    draining: asyncio.Event
    signed_in: list[tuple[Viewer, Callable[[], None]]]
    """Whose connections are open; call the second to end the sign-in."""

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
            http=HttpConnection,
            ws=WebSocketConnection,
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
        sources: list[Context] = []
        signed_in: list[tuple[Viewer, Callable[[], None]]] = []

        async def authenticate(token: str) -> Viewer | None:
            if token == "broken":
                raise ConnectionError("the database is gone: password hunter2")
            return ANN if token == "ann" else None

        def context(viewer: Viewer | None, request_id: str) -> Context:
            contexts.append(Context(viewer, request_id, sources))
            return contexts[-1]

        def stays(viewer: Viewer, ended: Callable[[], None]) -> Callable[[], None]:
            signed_in.append((viewer, ended))
            return lambda: signed_in.remove((viewer, ended))

        engine = Engine(
            strawberry.Schema(query=query, **schema),
            authenticate=authenticate,
            context=context,
            stays=stays,
            limits=limits or Limits(),
        )
        return House(engine, contexts, sources, asyncio.Event(), signed_in)

    return build
