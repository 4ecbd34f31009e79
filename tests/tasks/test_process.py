"""A child reads hostile input: it is limited, alone, and never outlives us."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tasks.process import GRACE_SECONDS, Ended, Limits, run

pytestmark = pytest.mark.anyio

SHELL = Path("/bin/sh")


async def shell(script: str, folder: Path, limits: Limits | None = None, lines: list[str] | None = None) -> Ended:
    return await run(
        [SHELL, "-c", script],
        folder=folder,
        limits=limits or Limits(),
        on_line=[].append if lines is None else lines.append,
    )


async def python(script: str, folder: Path, limits: Limits | None = None, lines: list[str] | None = None) -> Ended:
    return await run(
        [sys.executable, "-c", script],
        folder=folder,
        limits=limits or Limits(),
        on_line=[].append if lines is None else lines.append,
    )


def gone(pid: int, *, within: float = 5.0) -> bool:
    """Whether a process, anybody's child, ends in time."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], within)[0])
    finally:
        os.close(watched)


async def started(script: str, folder: Path, *, lines: int) -> tuple["asyncio.Task[Ended]", list[int]]:
    """A running script, once it has told the pids of what it started, one on each line."""
    told: list[str] = []
    enough = asyncio.Event()

    def on_line(line: str) -> None:
        told.append(line)
        if len(told) == lines:
            enough.set()

    task = asyncio.create_task(run([SHELL, "-c", script], folder=folder, limits=Limits(), on_line=on_line))
    await asyncio.wait_for(enough.wait(), 10)
    return task, [int(each) for each in told]


async def test_a_child_hands_over_its_lines_and_its_exit_status(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = await shell("pwd; printf 'a\\rb\\n\\nc'; echo oops >&2; exit 3", tmp_path, lines=lines)
    assert lines == [str(tmp_path), "a", "b", "c"]
    assert ended == Ended(code=3, tail=("oops",))


async def test_only_the_last_lines_of_its_complaints_are_kept(tmp_path: Path) -> None:
    ended = await shell("seq 1 100000 >&2", tmp_path)
    assert ended.tail == tuple(str(each) for each in range(99_961, 100_001))


async def test_a_line_without_end_does_not_fill_our_memory(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = await shell("head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2", tmp_path, lines=lines)
    assert ended.code == 0
    assert max(map(len, lines)) <= 2 * 64 * 1024
    assert sum(map(len, ended.tail)) <= 40 * 2 * 64 * 1024


async def test_cancelling_kills_the_whole_tree_before_it_goes_on(tmp_path: Path) -> None:
    task, pids = await started(
        "echo $$; sleep 100 & echo $!; (echo $(exec sh -c 'echo $PPID'); sleep 100)", tmp_path, lines=3
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [gone(pid, within=0.2) for pid in pids] == [True] * 3


async def test_who_will_not_stop_is_killed_after_a_moment_of_grace(tmp_path: Path) -> None:
    task, pids = await started("trap '' TERM; echo $$; while :; do sleep 1; done", tmp_path, lines=1)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(pids[0], within=0.1)
    assert GRACE_SECONDS <= time.monotonic() - begun < GRACE_SECONDS + 1


async def test_cancelling_again_while_it_dies_leaves_nothing_alive(tmp_path: Path) -> None:
    task, pids = await started("trap '' TERM; echo $$; while :; do sleep 1; done", tmp_path, lines=1)
    task.cancel()
    for _ in range(3):
        await asyncio.wait([task], timeout=0.05)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(pids[0], within=0.1)


async def test_a_listener_that_fails_ends_the_child(tmp_path: Path) -> None:
    def on_line(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError) as caught:
        await run([SHELL, "-c", "echo $$; sleep 100"], folder=tmp_path, limits=Limits(), on_line=on_line)
    assert gone(int(str(caught.value)), within=0.1)


async def test_what_a_child_leaves_running_ends_with_it(tmp_path: Path) -> None:
    lines: list[str] = []
    await shell("sleep 100 >/dev/null 2>&1 & echo $!", tmp_path, lines=lines)
    assert gone(int(lines[0]), within=1)


PARENT = """
import asyncio
from pathlib import Path
from tasks.process import Limits, run

asyncio.run(run(["/bin/sh", "-c", "echo $$; exec sleep 100"], folder=Path("."), limits=Limits(),
                on_line=lambda line: print(line, flush=True)))
"""


def test_a_child_dies_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        assert gone(child, within=2)


async def test_a_child_sees_none_of_our_environment_and_nothing_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "never to be seen by a decoder")
    lines: list[str] = []
    await shell("env; cat; ls /proc/self/fd | wc -l", tmp_path, lines=lines)
    names = {line.partition("=")[0] for line in lines[:-1]}
    assert names <= {"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}
    assert int(lines[-1]) == 4  # three of its own, and the folder that ls reads


async def test_a_child_gives_way_to_others(tmp_path: Path) -> None:
    lines: list[str] = []
    await python("import os; print(os.nice(0))", tmp_path, lines=lines)
    assert int(lines[0]) >= min(os.nice(0) + 10, 19)


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode != 0,
    reason="namespaces are refused here",
)
async def test_a_child_has_no_network(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2); print('in')"
        lines: list[str] = []
        ended = await python(connect, tmp_path, lines=lines)
    assert lines == []
    assert "Network is unreachable" in ended.tail[-1]


@pytest.mark.parametrize(
    ("limits", "script", "ends"),
    [
        (Limits(cpu_seconds=1), "while True: pass", lambda ended: ended.code == -signal.SIGXCPU),
        (
            Limits(file_bytes=1000),
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('a', 'wb').write(bytes(2000))",
            lambda ended: ended.code == -signal.SIGXFSZ,
        ),
        (Limits(memory_bytes=2**29), "bytes(2**30)", lambda ended: ended.tail[-1] == "MemoryError"),
    ],
)
async def test_a_child_stays_within_its_limits(
    tmp_path: Path, limits: Limits, script: str, ends: Callable[[Ended], bool]
) -> None:
    assert ends(await python(script, tmp_path, limits))


@pytest.mark.parametrize("command", [["/no/such/program"], ["sh"]])
async def test_a_program_that_is_not_there_is_an_end_with_a_reason(tmp_path: Path, command: Sequence[str]) -> None:
    ended = await run(command, folder=tmp_path, limits=Limits(), on_line=[].append)
    assert ended.code == 1
    assert ended.tail[-1].startswith("FileNotFoundError")
