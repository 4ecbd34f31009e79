import subprocess
import sys
from signal import Signals

import pytest

from reelgraph.home import StartError
from reelgraph.process import Process, ending

OBEDIENT = (
    "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print('up', flush=True); signal.pause()"
)
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def python(tmp_path, code, **more):
    log = tmp_path / "log"
    return Process(
        name="It", argv=[sys.executable, "-c", code], log=log, answers=lambda _: "up" in log.read_text(), **more
    )


def test_it_stops_when_asked_and_can_be_started_again(tmp_path):
    process = python(tmp_path, OBEDIENT)
    pids = []
    for _ in range(2):
        process.log.unlink(missing_ok=True)
        process.start()
        process.wait()
        pids.append(process.pid)
        assert process.ended is None
        process.stop()
        assert process.ended == 3
    assert pids[0] != pids[1]


def test_one_that_does_not_heed_is_ended(tmp_path):
    process = python(tmp_path, DEAF, grace=0.1)
    process.start()
    process.wait()
    process.stop()
    assert process.ended == -Signals.SIGKILL


def test_one_that_does_not_start_says_why(tmp_path):
    process = python(tmp_path, "raise SystemExit('there is no such thing')")
    process.start()
    with pytest.raises(StartError) as error:
        process.wait()
    assert str(error.value) == f"It did not start (exit code 1). The end of {tmp_path}/log:\n  there is no such thing"


def test_one_that_never_answers_is_stopped_and_told(tmp_path):
    process = Process(name="It", argv=["sleep", "60"], log=tmp_path / "log", answers=lambda _: False)
    process.start()
    with pytest.raises(StartError, match=r"It does not answer after 0\.1 s"):
        process.wait(seconds=0.1)
    assert process.ended == -Signals.SIGTERM


def test_stopping_what_never_started_does_nothing(tmp_path):
    Process(name="It", argv=["true"], log=tmp_path / "log").stop()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_has_grown_large_is_turned_at_the_next_start(tmp_path):
    log = tmp_path / "it.log"
    log.write_bytes(b"x" * (10 * 2**20 + 1))
    process = Process(name="It", argv=["echo", "new"], log=log, answers=lambda it: it.ended == 0)
    process.start()
    process.wait()
    assert log.read_text() == "new\n"
    assert (tmp_path / "it.log.1").stat().st_size == 10 * 2**20 + 1


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_child(tmp_path):
    process = Process(name="It", argv=["sleep", "60"], log=tmp_path / "log")
    process.start()
    try:
        group = subprocess.run(
            ["ps", "-o", "pgid=", "-p", str(process.pid)], check=True, capture_output=True, text=True
        )
        assert int(group.stdout) == process.pid
    finally:
        process.stop()


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (-9, "ended by SIGKILL"), (-40, "ended by signal 40")])
def test_an_ending_in_words(code, words):
    assert ending(code) == words
