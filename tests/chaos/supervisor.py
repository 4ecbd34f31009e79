"""One machine of the checker's deployment: an API process and workers, started again whenever they end.

    python -m tests.chaos.supervisor NAME PORT WORKERS FOLDER

They are its children as they are of `reelgraph up`: if it dies, so do they. The logs lie in FOLDER.
"""

import os
import signal
import sys
import time
from pathlib import Path

from reelgraph.process import Process, command

_LOOK_AGAIN = 0.1
_PAUSE = 0.5
"""Between the end of a process and its next start, in seconds."""


def address(database_url: str, name: str) -> str:
    """The database's address for a process that is to be known by this name there, and in its environment."""
    return f"{database_url}?application_name={name}"


def members(name: str, port: int, workers: int, folder: Path) -> list[Process]:
    """The processes of the machine, not started yet."""
    kinds = {f"{name}-api": command("api", "--port", str(port))}
    kinds |= {f"{name}-worker-{number}": command("worker") for number in range(1, workers + 1)}
    return [
        Process(
            name=member,
            argv=argv,
            log=folder / f"{member}.log",
            environment={**os.environ, "DATABASE_URL": address(os.environ["DATABASE_URL"], member)},
        )
        for member, argv in kinds.items()
    ]


def supervise(processes: list[Process]) -> None:
    """Keep them running until somebody asks us to stop."""
    due = dict.fromkeys(range(len(processes)), 0.0)
    try:
        while True:
            for index, process in enumerate(processes):
                if process.ended is not None and index not in due:
                    due[index] = time.monotonic() + _PAUSE
                if due.get(index, float("inf")) <= time.monotonic():
                    process.start()
                    del due[index]
            time.sleep(_LOOK_AGAIN)
    finally:
        for process in processes:
            if process.ended is None:
                os.kill(process.pid, signal.SIGTERM)
        for process in processes:
            process.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    supervise(members(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
