"""Servers that outlived the process that started them: there should be none, and none may meet its successor."""

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from signal import Signals

from reelgraph.home import StartError


def end_leftovers(folder: Path, names: Collection[str], death: Signals) -> None:
    """Wait until no program of these names works in this folder; after 5 s make it so.

    Call it while holding the home. Where there is no /proc it finds nothing, and the server's own guard has to do.
    """
    for ask, seconds in ((None, 5.0), (death, 5.0), (Signals.SIGKILL, 5.0)):
        for pid in _working_in(folder, names) if ask else ():
            with suppress(ProcessLookupError):
                os.kill(pid, ask or 0)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _working_in(folder, names):
                return
            time.sleep(0.05)
    raise StartError(f"an old server in {folder} does not end: processes {_working_in(folder, names)}")


def _working_in(folder: Path, names: Collection[str]) -> list[int]:
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        # Gone meanwhile, or somebody else's: then not ours.
        with suppress(OSError):
            if (process / "comm").read_text().strip() in names and (process / "cwd").samefile(folder):
                found.append(int(process.name))
    return found
