"""One API process: uvicorn around the application."""

import asyncio
import ipaddress
import signal
import socket
import sys
from dataclasses import replace
from urllib.parse import urlsplit

import uvicorn

from persistence.settings import Settings
from reelgraph.home import StartError
from reelgraph.memory import settle
from reelgraph.process import LISTENING

_HOST, _PORT = "127.0.0.1", 8000
_GRACE = 5  # seconds that running requests get at a stop


def serve(settings: Settings, *, host: str | None, port: int | None, public_url_is_set: bool) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests end.

    Without host and port it listens where PUBLIC_URL points, if that is an address of a machine, else on
    127.0.0.1:8000. Port 0 takes any free one. Where PUBLIC_URL is not set, it becomes the address we listen on.
    """
    usual_host, usual_port = _address(settings.public_url)
    listener = _listen(host or usual_host, usual_port if port is None else port)
    listening_on = _url_of(*listener.getsockname()[:2])
    if not public_url_is_set:
        settings = replace(settings, public_url=listening_on)
    asyncio.run(_keys_ready(settings))
    # Late, for the application is most of the start-up time and a taken port should be told at once.
    from graph.app import create_app
    from reelgraph.connections import HttpConnection, WebSocketConnection

    draining = asyncio.Event()
    config = uvicorn.Config(
        create_app(settings, draining=draining),
        loop="uvloop",
        http=HttpConnection,
        ws=WebSocketConnection,
        ws_per_message_deflate=False,  # costs more than it saves on small messages
        ws_max_size=256 * 2**10,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    # uvicorn raises a signal it has heeded once more, when it is done: that must not look like a violent death.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    print(f"{LISTENING} {listening_on}", flush=True)
    _Server(config, draining).run(sockets=[listener])


async def _keys_ready(settings: Settings) -> None:
    """Make or open the signing keys: what stands in the way is told before anything runs. Raises SettingError."""
    from sqlalchemy.exc import ProgrammingError

    from graph.oauth.keys import SigningKeys
    from persistence.database import Database

    async with Database.opened(settings) as database:
        try:
            await SigningKeys(database, settings).ensure()
        except ProgrammingError as error:
            raise StartError("the database does not have our tables; run `reelgraph migrate` first") from error


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config)
        self._draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and settle with all that there is then."""
        await super().startup(sockets)
        settle()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell live streams, which end by no other means, before waiting for them."""
        self._draining.set()
        await super().shutdown(sockets)


def _url_of(host: str, port: int) -> str:
    """Where this machine reaches the listener; one that takes every address is reached on loopback."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")  # noqa: PLR2004 - of IP
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"  # noqa: PLR2004 - of IP


def _address(public_url: str) -> tuple[str, int]:
    parts = urlsplit(public_url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme != "http" or port is None:
        return _HOST, _PORT
    if host == "localhost":
        return _HOST, port
    try:
        ipaddress.ip_address(host)
    except ValueError:  # a name: a proxy answers to it, not we
        return _HOST, _PORT
    return host, port


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}. Choose with --host and --port") from None
