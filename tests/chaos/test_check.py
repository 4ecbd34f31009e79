"""The small checker, run small."""

import subprocess
import sys


def test_thirty_jobs_survive_what_is_killed_around_them() -> None:
    command = [sys.executable, "-m", "tests.chaos.check", "--jobs", "30", "--seconds", "15", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()[1:]] == ["ok"] * 10
