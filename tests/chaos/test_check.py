"""The checker, run small."""

import subprocess
import sys

import pytest


@pytest.mark.timeout(400)  # a minute and a half, where nobody else wants the processors
def test_two_hundred_jobs_survive_all_that_goes_wrong_around_them() -> None:
    command = [sys.executable, "-m", "tests.chaos.check", "--scenario", "short"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    goals = [line for line in done.stdout.splitlines() if line.startswith("goal ")]
    assert goals
    assert [line for line in goals if not line.endswith(" ok")] == []
