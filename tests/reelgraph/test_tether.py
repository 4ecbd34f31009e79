import os
import pwd
import select
import subprocess
import sys

import pytest

from reelgraph.process import tethered

STARTER = """
import subprocess, sys, time
from pathlib import Path
from reelgraph.process import Process
log, identity, by = sys.argv[1:]
sleeper = Process(
    name="sleeper", argv=["sleep", "60"], log=Path(log), identity=identity, by_watcher=by == "watcher"
)
sleeper.start()
sleeper.answers = lambda it: Path(f"/proc/{it.pid}/comm").read_text().strip() == "sleep"
sleeper.wait(seconds=20)
print(sleeper.pid, flush=True)
sys.stdin.read()
"""
NOBODY = pwd.getpwnam("nobody")
NAMESPACE = f"namespace:{NOBODY.pw_uid}:{NOBODY.pw_gid}"
USER = f"user:{NOBODY.pw_uid}:{NOBODY.pw_gid}"

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def namespaces_work() -> bool:
    return subprocess.run(tethered(["true"], identity=NAMESPACE), check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("by", ["kernel", "watcher"])
@pytest.mark.parametrize("identity", ["-", NAMESPACE, pytest.param(USER, marks=only_root)])
def test_a_child_dies_with_its_parent_whoever_it_has_become(tmp_path, gone, identity, by):
    if identity == NAMESPACE and not namespaces_work():
        pytest.skip("user namespaces are refused here")
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, tmp_path / "log", identity, by],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        all_end = gone([int(starter.stdout.readline())])
        starter.kill()
        assert all_end(within=5)


def test_a_child_whose_parent_is_already_gone_does_not_begin(tmp_path):
    argv = tethered(["touch", str(tmp_path / "begun")])
    stranger = subprocess.Popen(["sleep", "60"])
    argv[4] = str(stranger.pid)  # not the parent
    try:
        assert subprocess.run(argv, check=False).returncode == 1
    finally:
        stranger.kill()
        stranger.wait()
    assert not (tmp_path / "begun").exists()


def test_a_watched_child_that_ends_takes_its_watcher_along(tmp_path, gone):
    reading, writing = os.pipe()
    try:
        child = subprocess.Popen(
            [*tethered(["cat"], lifeline=str(reading))],
            stdin=subprocess.PIPE,
            pass_fds=[reading],
            start_new_session=True,
        )
        os.close(reading)
        child.stdin.close()
        assert child.wait(10) == 0
        # The watcher holds the last reading end: once it is gone, writing breaks.
        poll = select.poll()
        poll.register(writing, 0)
        assert poll.poll(5000) != []
    finally:
        os.close(writing)


@only_root
def test_the_other_user_has_none_of_roots_rights():
    status = subprocess.run(
        tethered(["cat", "/proc/self/status"], identity=USER), check=True, capture_output=True, text=True
    )
    fields = dict(line.split(":\t", 1) for line in status.stdout.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(NOBODY.pw_uid)] * 4
    assert fields["Gid"].split() == [str(NOBODY.pw_gid)] * 4
    assert fields["Groups"].split() == []
    assert int(fields["CapEff"], 16) == 0


@only_root
def test_a_namespace_changes_the_name_and_not_what_may_be_read(tmp_path):
    if not namespaces_work():
        pytest.skip("user namespaces are refused here")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "file").write_text("still readable")
    (private / "file").chmod(0o600)
    done = subprocess.run(
        tethered(["sh", "-c", 'id -u && cat "$1"', "-", private / "file"], identity=NAMESPACE),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{NOBODY.pw_uid}\nstill readable"


def test_a_program_that_is_not_there_is_one_line():
    done = subprocess.run(tethered(["/no/such/program"]), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (126, "/no/such/program: No such file or directory\n")
