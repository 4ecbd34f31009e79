import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reelgraph.home import Home
from reelgraph.process import Process
from reelgraph.stack import _Watched, stack


@contextmanager
def up(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`reelgraph up` on this home, and what it printed until it was ready."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    own_port(home)
    with subprocess.Popen(
        [sys.executable, "-m", "reelgraph", "up", *arguments],
        env=clean | {"REELGRAPH_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process, until(process, "Ctrl-C")
        finally:
            process.kill()


def own_port(home: Path) -> None:
    """Let the home remember a free port, as from an earlier start: other tests start stacks on the usual one."""
    home.mkdir(exist_ok=True)
    if not Home(home).last_port("api"):
        Home(home).port("api")


def until(process: subprocess.Popen[str], words: str) -> str:
    """What it prints up to and with the line that holds these words."""
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"it never said {words!r}:\n{''.join(lines)}")


def url_in(text: str) -> str:
    return re.search(r"http://127\.0\.0\.1:\d+", text).group()


def test_up_tells_where_it_is_mends_what_ends_and_stops_when_told(tmp_path, gone, descendants):
    with up(tmp_path) as (process, said):
        assert re.search(r"Sign in as +admin@localhost with \S{20} \(shown only this once\)", said)
        url = url_in(said)
        assert urllib.request.urlopen(f"{url}/healthz").status == 200
        process.send_signal(signal.SIGINT)
        assert until(process, "Stopped.").splitlines() == ["Stopping", "Stopped."]
        assert process.wait(10) == 0
    with up(tmp_path) as (process, said):
        assert "Sign in as" not in said
        assert url_in(said) == url
        [api] = [pid for pid in descendants(process.pid) if "reelgraph\0api\0" in command_of(pid)]
        all_end = gone([api])
        os.kill(api, signal.SIGKILL)
        assert all_end(within=5)
        assert "The API is gone (ended by SIGKILL)" in until(process, "The API is gone")
        until(process, "The API is up again")
        assert urllib.request.urlopen(f"{url}/healthz").status == 200
        process.terminate()
        assert process.wait(20) == 0


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def test_a_killed_parent_leaves_nothing_behind_and_its_neighbour_alone(tmp_path, gone, descendants):
    own_port(tmp_path / "a")
    with stack(Home(tmp_path / "a"), environment={}, workers=2) as neighbour, up(tmp_path / "b") as (process, said):
        assert url_in(said) != neighbour.url
        below = descendants(process.pid)
        for part in ("/postgres\0", "redis-server", "reelgraph\0api\0", "reelgraph\0worker\0"):
            assert any(part in command_of(pid) for pid in below), part
        all_end = gone(below)
        process.kill()
        assert all_end(within=5)
        ours = (neighbour.servers.postgres, neighbour.servers.redis, neighbour.api, *neighbour.workers)
        assert [process.ended for process in ours] == [None] * 5
        assert urllib.request.urlopen(f"{neighbour.url}/healthz").status == 200
    assert None not in [process.ended for process in ours]


def test_make_killed_outright_takes_everything_along(tmp_path, gone, descendants):
    root = Path(__file__).parents[2]
    if not (root / ".venv" / ".ready").exists():
        pytest.skip("only in a checkout whose virtual environment make has made")
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        ["make", "--no-print-directory", "up"],
        cwd=root,
        env=clean | {"REELGRAPH_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        until(process, "Ctrl-C")
        all_end = gone(descendants(process.pid))
        process.kill()
        assert all_end(within=5)


def test_restarts_come_later_and_later_until_it_stays(tmp_path):
    said: list[str] = []
    process = Process(name="It", argv=["false"], log=tmp_path / "log")
    process.start()
    watched = _Watched(process)
    now = watched.started_at
    pauses = []
    for _ in range(9):
        process._child.wait(5)
        watched.look(now, said.append)
        pauses.append(watched.pause)
        now += watched.pause
        watched.look(now, said.append)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    process._child.wait(5)
    watched.look(now + 61, said.append)
    assert watched.pause == 0.5
    assert said[0] == f"It is gone (exit code 1), see {tmp_path}/log; again in 0.5 s"
