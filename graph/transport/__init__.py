"""GraphQL on the wire: HTTP, server-sent events and WebSocket, at one path."""

import asyncio
from collections.abc import Sequence

from starlette.routing import BaseRoute, Route, WebSocketRoute

from graph.transport.engine import Engine
from graph.transport.http import HttpTransport
from graph.transport.limits import DEFAULT_LIMITS, Limits
from graph.transport.ws import WebSocketTransport

__all__ = ["DEFAULT_LIMITS", "Engine", "Limits", "routes"]


def routes(
    engine: Engine, *, draining: asyncio.Event, allowed_origins: Sequence[str] = (), path: str = "/graphql"
) -> list[BaseRoute]:
    """The routes of GraphQL.

    Set `draining` before the server waits for its connections to end: WebSockets then close with 1012 and event streams
    end without a `complete`, upon which clients connect again, elsewhere. Web pages of `allowed_origins` may open
    WebSockets; for HTTP that is CORS's business.
    """
    return [
        Route(path, HttpTransport(engine, draining).answer, methods=["GET", "POST"]),
        WebSocketRoute(path, WebSocketTransport(engine, draining, allowed_origins)),
    ]
