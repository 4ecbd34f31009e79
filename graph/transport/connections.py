"""What the transports need of a server beyond ASGI: to cut a connection whose client reads nothing."""

from collections.abc import Callable

from starlette.types import Scope

ABORT = "reelgraph.abort"
"""An extension of ASGI's scope, under which a server hands out what cuts the connection, whatever waits to be sent."""


def abort_of(scope: Scope) -> Callable[[], None] | None:
    """What cuts the connection, where the server lets us."""
    return scope.get("extensions", {}).get(ABORT, {}).get("abort")
