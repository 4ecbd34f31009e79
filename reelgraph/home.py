"""The folder that holds everything an embedded installation keeps."""

import fcntl
import os
import pwd
import secrets
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class StartError(Exception):
    """Something cannot start; the message is one line that says what and what to do."""


class AlreadyRunningError(StartError):
    """The home is in use by another process. `url` is where it answers, or None while it is still starting."""

    def __init__(self, home: Path, pid: str, url: str | None) -> None:
        """Say who holds the home and where it answers."""
        self.url = url
        where = (
            f"at {url} (process {pid})" if url else f"in process {pid or 'unknown'}, which has not finished starting"
        )
        super().__init__(
            f"already running {where}. Stop that one first, or set REELGRAPH_HOME to a folder other than {home}"
        )


@dataclass(frozen=True)
class Home:
    """`.reelgraph/` in the current folder, or where REELGRAPH_HOME says."""

    path: Path

    @classmethod
    def chosen(cls, environment: Mapping[str, str]) -> Self:
        """Return the home the environment asks for; nothing is made yet."""
        return cls(Path(environment.get("REELGRAPH_HOME", "").strip() or ".reelgraph").expanduser().absolute())

    @property
    def media(self) -> Path:
        """The stored objects."""
        return self.path / "media"

    @property
    def scratch(self) -> Path:
        """Part files and cached originals."""
        return self.path / "scratch"

    def log(self, name: str) -> Path:
        """Where the process of that name writes what it has to say."""
        return self.path / "logs" / f"{name}.log"

    @contextmanager
    def held(self) -> Generator[None]:
        """Make the folder and keep everybody else out of it, for as long as this process lives at most.

        Raises AlreadyRunningError when somebody has it.
        """
        self._make()
        with self._lock.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, _, url = self._lock.read_text().partition(" ")
                raise AlreadyRunningError(self.path, pid, url or None) from None
            self._lock.write_text(f"{os.getpid()}")
            try:
                yield
            finally:
                self._lock.write_text("")

    def announce(self, url: str) -> None:
        """Tell whoever finds the home taken where it answers."""
        self._lock.write_text(f"{os.getpid()} {url}")

    def secret(self, name: str) -> str:
        """Return the random secret of that name (48 letters and digits), made when first asked for."""
        file = self.path / "secrets" / name
        with suppress(FileNotFoundError):
            return file.read_text()
        file.parent.mkdir(mode=0o700, exist_ok=True)
        value = secrets.token_hex(24)
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(value)
        part.replace(file)
        return value

    def port(self, name: str, *, wanted: int = 0) -> int:
        """Return a free port of 127.0.0.1 for the service: the one it had last time, else the wanted one, else any."""
        memory = self.path / "ports" / name
        memory.parent.mkdir(mode=0o700, exist_ok=True)
        last = self.last_port(name)
        port = next((port for port in (last, wanted) if port and is_free(port)), None) or _any_port()
        memory.write_text(str(port))
        return port

    def last_port(self, name: str) -> int:
        """The port the service had last time; 0 if it never had one."""
        memory = self.path / "ports" / name
        return int(memory.read_text()) if memory.exists() else 0

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = self.path.stat().st_uid
            if owner != os.geteuid():
                raise StartError(
                    f"{self.path} belongs to {_name(owner)}, you are {_name(os.geteuid())}:"
                    " run as that user, or set REELGRAPH_HOME to a folder of your own"
                )
            for folder in (self.media, self.scratch, self.path / "logs"):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"cannot keep data in {self.path}: {error.strerror}; REELGRAPH_HOME names another folder"
            ) from None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
