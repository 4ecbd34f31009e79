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


def test_up_tells_the_url_and_once_the_first_administrator(tmp_path):
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
        process.terminate()
        assert process.wait(20) == 0


def test_a_killed_parent_leaves_nothing_behind(tmp_path, gone, descendants):
    with up(tmp_path) as (process, _):
        below = descendants(process.pid)
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in below]
        for part in ("/postgres\0", "redis-server", "reelgraph\0api\0", "reelgraph\0worker\0"):
            assert any(part in command for command in commands), part
        all_end = gone(below)
        process.kill()
        assert all_end(within=5)


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


def test_what_ends_by_itself_is_started_again(tmp_path, gone):
    with up(tmp_path) as (process, said):
        api = next(
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if f"PPid:\t{process.pid}\n" in (entry / "status").read_text()
            and b"\0api\0" in (entry / "cmdline").read_bytes()
        )
        all_end = gone([api])
        os.kill(api, signal.SIGKILL)
        assert all_end(within=5)
        assert "The API is gone (ended by SIGKILL)" in until(process, "The API is gone")
        assert "The API is up again" in until(process, "The API is up again")
        assert urllib.request.urlopen(f"{url_in(said)}/healthz").status == 200
        process.terminate()
        assert process.wait(20) == 0


def test_two_stacks_run_side_by_side_and_the_block_ends_them(tmp_path, gone, descendants):
    with (
        stack(Home(tmp_path / "a"), environment={}) as one,
        stack(Home(tmp_path / "b"), environment={}, workers=2) as two,
    ):
        assert one.url != two.url
        assert len(two.workers) == 2
        for each in (one, two):
            assert urllib.request.urlopen(f"{each.url}/healthz").status == 200
            assert each.settings.public_url == each.url
        pids = [process.pid for each in (one, two) for process in (each.api, *each.workers, each.servers.postgres)]
        all_end = gone(pids)
    assert all_end(within=0.1)


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
