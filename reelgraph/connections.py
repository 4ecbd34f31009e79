"""uvicorn's protocols, with the one thing more that our transports ask of a server."""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from graph.transport.connections import ABORT


class HttpConnection(HttpToolsProtocol):
    """HTTP, whose connections can be cut."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {ABORT: {"abort": self.transport.abort}}


class WebSocketConnection(WebSocketsSansIOProtocol):
    """WebSocket, whose connections can be cut."""

    async def run_asgi(self) -> None:
        """Hand the connection to the application."""
        cast("dict[str, Any]", self.scope)["extensions"][ABORT] = {"abort": self.transport.abort}
        await super().run_asgi()
