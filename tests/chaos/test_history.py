"""The checker's judgement, tried on histories with a fault planted in each."""

from dataclasses import replace

import pytest

from tests.chaos.history import Goal, JobHistory, Seen, goals

SEEN = [
    Seen(state="QUEUED", version=1, attempt=0, fraction=0),
    Seen(state="PROCESSING", version=2, attempt=1, fraction=0),
    Seen(state="PROCESSING", version=2, attempt=1, fraction=0.5),
    Seen(state="QUEUED", version=3, attempt=1, fraction=0),
    Seen(state="PROCESSING", version=4, attempt=2, fraction=0),
    Seen(state="COMPLETED", version=5, attempt=2, fraction=1),
]
TOLD = ["JOB_QUEUED", "JOB_STARTED", "JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"]
GOOD = JobHistory(seen=SEEN, completed=True, told=TOLD, state="COMPLETED", attempt=2, version=5)


def short(*jobs: JobHistory) -> list[tuple[str, int]]:
    return [(goal.name, goal.value) for goal in goals(jobs) if not goal.is_met]


def test_a_job_that_was_interrupted_and_done_again_is_as_it_should_be() -> None:
    assert short(GOOD) == []


def test_a_run_in_which_nothing_was_interrupted_proves_nothing() -> None:
    assert short(replace(GOOD, attempt=1)) == [("jobs interrupted", 0)]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("jobs lost", {"state": "PROCESSING", "seen": [*SEEN[:-1], replace(SEEN[-1], state="PROCESSING")]}),
        ("jobs that ended other than once", {"told": [*TOLD, "JOB_COMPLETED"]}),
        ("jobs that ended other than once", {"told": [*TOLD, "JOB_STARTED"]}),
        ("jobs that ended other than once", {"told": TOLD[:-1]}),
        ("jobs that ended other than once", {"told": [*TOLD[:-1], "JOB_FAILED"]}),
        ("jobs that ended other than once", {"version": 6}),
        ("jobs that ended for no reason", {"state": "CANCELLED"}),
        ("jobs that ended for no reason", {"state": "FAILED", "error": "INTERNAL"}),
        ("subscribers without the end", {"seen": []}),
        ("subscribers without the end", {"seen": SEEN[:-1]}),
        ("subscribers without the end", {"completed": False}),
        ("subscribers shown a step backwards", {"seen": [*SEEN, SEEN[-1]]}),
        ("subscribers shown a step backwards", {"seen": [SEEN[1], SEEN[0], SEEN[-1]]}),
        ("subscribers shown a step backwards", {"seen": [SEEN[2], SEEN[1], SEEN[-1]]}),
        ("subscribers shown a step backwards", {"seen": [SEEN[1], replace(SEEN[1], state="QUEUED"), SEEN[-1]]}),
        ("subscribers shown a step backwards", {"seen": [SEEN[4], replace(SEEN[4], version=5, attempt=1), SEEN[-1]]}),
    ],
)
def test_each_fault_is_found(name: str, fault: dict[str, object]) -> None:
    assert (name, 1) in short(GOOD, replace(GOOD, **fault))


def test_a_job_cancelled_on_request_or_lost_too_often_ended_for_a_reason() -> None:
    for ending in ({"state": "CANCELLED", "cancelled": True}, {"state": "FAILED", "error": "WORKER_LOST"}):
        end = replace(SEEN[-1], state=ending["state"])
        told = [*TOLD[:-1], f"JOB_{ending['state']}"]
        assert short(replace(GOOD, seen=[*SEEN[:-1], end], told=told, **ending)) == []
    assert short(replace(GOOD, version=6, cancelled=True)) == []


def test_a_goal_says_what_it_wants() -> None:
    assert str(Goal(name="jobs lost", value=2)) == "goal jobs lost: 2 (wanted = 0) short"
    met = Goal(name="jobs interrupted", value=3, wanted=1, at_least=True)
    assert str(met) == "goal jobs interrupted: 3 (wanted >= 1) ok"
