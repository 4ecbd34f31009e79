"""The checker's eye for processes that outlive their worker or their job."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.strays import Overdue, Strays

# Starts a child in a folder, says its id and waits for its own end.
PARENT = """
import subprocess, sys
print(subprocess.Popen(["sleep", "60"], cwd=sys.argv[1]).pid, flush=True)
sys.stdin.read()
"""
AT_ONCE, NEVER = -1, 60


@dataclass
class Family:
    """A process that may be called as a worker is, and its child in the folder of an attempt."""

    worker: "subprocess.Popen[str]"
    child: int
    ended_jobs: set[str]
    attempts: Path

    def eye(self, *, orphans: float = AT_ONCE, idlers: float = AT_ONCE) -> Strays:
        has_ended = self.ended_jobs.__contains__
        return Strays(self.attempts, has_ended, orphans=Overdue(orphans), idlers=Overdue(idlers))


@pytest.fixture
def family(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Family]:
    folder = tmp_path / "job-1"
    folder.mkdir()
    command = [sys.executable, "-c", PARENT, folder, *getattr(request, "param", ["reelgraph", "worker"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        yield Family(parent, child, set(), tmp_path)
        os.kill(child, signal.SIGKILL)
        parent.kill()


def found(eye: Strays) -> tuple[list[int], list[int]]:
    """The orphans and the idlers, when looked for twice."""
    eye.look()
    eye.look()
    return [each.pid for each in eye.orphans.found], [each.pid for each in eye.idlers.found]


def test_a_child_at_work_is_neither(family: Family) -> None:
    assert found(family.eye()) == ([], [])


def test_a_child_whose_worker_is_gone_is_found_when_it_stays(family: Family) -> None:
    family.worker.kill()
    family.worker.wait()
    assert found(family.eye()) == ([family.child], [])
    assert found(family.eye(orphans=NEVER)) == ([], [])


@pytest.mark.parametrize("family", [["somebody", "else"]], indirect=True)
def test_a_child_of_somebody_else_was_taken_in_by_them(family: Family) -> None:
    assert found(family.eye()) == ([family.child], [])


def test_a_child_whose_job_has_ended_is_found_when_it_stays(family: Family) -> None:
    family.ended_jobs.add("job")
    assert found(family.eye()) == ([], [family.child])
    assert found(family.eye(idlers=NEVER)) == ([], [])


def test_a_frozen_worker_is_not_to_blame_for_its_child(family: Family) -> None:
    family.ended_jobs.add("job")
    family.worker.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, family.worker.pid, os.WSTOPPED | os.WNOWAIT)
    assert found(family.eye()) == ([], [])
    family.worker.send_signal(signal.SIGCONT)
