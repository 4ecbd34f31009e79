"""A child reads hostile input: it is limited, alone, and never outlives us."""

import asyncio
import contextlib
import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tasks.launch import LANDLOCK_CREATE_RULESET
from tasks.process import GRACE_SECONDS, OPEN_FILES, Ended, Limits, run

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
    assert (ended.code, ended.tail) == (3, ("oops",))


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
    await shell("env; cat; set -- /proc/self/fd/*; echo $#", tmp_path, lines=lines)
    names = {line.partition("=")[0] for line in lines[:-1]}
    assert names <= {"PATH", "LANG", "FONTCONFIG_FILE", "PWD", "OLDPWD", "SHLVL", "_"}
    assert int(lines[-1]) in {3, 4}  # its own, and perhaps the folder that the shell reads


async def test_a_child_gives_way_to_others(tmp_path: Path) -> None:
    lines: list[str] = []
    await python("import os; print(os.nice(0))", tmp_path, lines=lines)
    assert int(lines[0]) >= min(os.nice(0) + 10, 19)


NAMESPACES = subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True).returncode == 0
LANDLOCK = ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) > 0
confined = pytest.mark.skipif(not LANDLOCK, reason="this kernel has no Landlock")


@pytest.mark.skipif(not (NAMESPACES or LANDLOCK), reason="neither namespaces nor Landlock here")
async def test_a_child_has_no_network(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2); print('in')"
        lines: list[str] = []
        ended = await python(connect, tmp_path, lines=lines)
    assert lines == []
    assert re.search("Network is unreachable|Permission denied", ended.tail[-1])


@confined
@pytest.mark.parametrize("way", ["{secret}", "link", "../secret", "/proc/{us}/environ", "/etc/passwd"])
async def test_a_child_reads_nothing_outside_its_folder(tmp_path: Path, way: str) -> None:
    folder, secret = tmp_path / "job", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("a secret")
    (folder / "link").symlink_to(secret)
    lines: list[str] = []
    ended = await shell(f"cat {way.format(secret=secret, us=os.getpid())}", folder, lines=lines)
    assert (ended.code, lines) == (1, [])
    assert "Permission denied" in ended.tail[-1]


@confined
async def test_a_child_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "precious").write_text("precious")
    for harm in ("echo gone > ../precious", "rm ../precious", "mv ../precious .", "touch ../new", "ln -s x y"):
        assert (await shell(harm, folder)).code != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job", "precious"]
    assert (tmp_path / "precious").read_text() == "precious"


@confined
async def test_a_child_signals_nobody_outside(tmp_path: Path) -> None:
    assert "not permitted" in (await shell(f"kill -0 {os.getpid()}", tmp_path)).tail[-1]


async def test_a_child_works_in_its_folder_and_reads_what_it_is_given(tmp_path: Path) -> None:
    folder, given, whole = tmp_path / "job", tmp_path / "given", tmp_path / "whole"
    for each in (folder, whole):
        each.mkdir()
    for path in (given, whole / "file"):
        path.write_text(path.name)
    (folder / "linked").hardlink_to(given)
    lines: list[str] = []
    work = f"mkdir a && cat linked {given} {whole}/file > a/b && mv a/b c && rmdir a && cat c && echo again > c && rm c"
    ended = await run(
        [SHELL, "-c", work], folder=folder, limits=Limits(), on_line=lines.append, readable=[given, whole]
    )
    assert (ended.code, lines) == (0, ["givengivenfile"])


@pytest.mark.parametrize("script", ["while :; do :; done", "sleep 100", "trap '' TERM; sleep 100 & sleep 100"])
async def test_a_child_that_takes_too_long_is_ended(tmp_path: Path, script: str) -> None:
    lines: list[str] = []
    with pytest.raises(TimeoutError):
        await shell(f"echo $$; {script}", tmp_path, Limits(wall_seconds=0.3), lines)
    assert gone(int(lines[0]), within=0.1)


async def test_what_a_child_costs_is_told(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    worked = await python(busy, tmp_path)
    assert 0.4 <= worked.cpu_seconds < 2
    assert worked.wall_seconds >= 0.4
    with_help = await shell(f"{sys.executable} -c '{busy}'; {sys.executable} -c '{busy}'", tmp_path)
    assert with_help.cpu_seconds >= 0.8
    idle = await shell("sleep 0.3", tmp_path)
    assert (idle.cpu_seconds < 0.3, idle.wall_seconds >= 0.3) == (True, True)


async def test_a_child_leaves_no_core_and_opens_a_bounded_number_of_files(tmp_path: Path) -> None:
    lines: list[str] = []
    await shell("ulimit -c; ulimit -n", tmp_path, lines=lines)
    assert lines == ["0", str(OPEN_FILES)]


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
