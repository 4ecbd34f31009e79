"""The checker's judgement, tried on histories with a fault planted in each."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.history import JobHistory, Seen, Sitting, Watch, goals

SEEN = [
    Seen(state="QUEUED", version=1, attempt=0, fraction=0),
    Seen(state="PROCESSING", version=2, attempt=1, fraction=0),
    Seen(state="PROCESSING", version=2, attempt=1, fraction=0.5),
    Seen(state="QUEUED", version=3, attempt=1, fraction=0),
    Seen(state="PROCESSING", version=4, attempt=2, fraction=0),
    Seen(state="COMPLETED", version=5, attempt=2, fraction=1),
]
TOLD = ["JOB_QUEUED", "JOB_STARTED", "JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"]


def watch(*sittings: list[Seen], completed: bool = True, life: int = 0, eras: tuple[int, ...] = ()) -> Watch:
    kept = [Sitting(seen=seen, era=eras[index] if eras else 0) for index, seen in enumerate(sittings)]
    return Watch(sittings=kept, completed=completed, life=life)


GOOD = JobHistory(
    watches=[watch(SEEN)], told=TOLD, outcomes=["HANDED_BACK", "COMPLETED"], state="COMPLETED", attempt=2, version=5
)
CANCELLED = replace(
    GOOD,
    watches=[watch([*SEEN[:2], replace(SEEN[2], state="CANCELLED", version=4)])],
    told=["JOB_QUEUED", "JOB_STARTED", "JOB_CANCELLED"],
    cancels=1,
    ends=frozenset({"CANCELLED"}),
    outcomes=["CANCELLED"],
    state="CANCELLED",
    attempt=1,
    version=4,
)
RETRIED = replace(
    CANCELLED,
    watches=[*CANCELLED.watches, watch([Seen(state="COMPLETED", version=7, attempt=2, fraction=1)], life=1)],
    told=[*CANCELLED.told, "JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"],
    retries=1,
    ends=frozenset({"COMPLETED"}),
    outcomes=["CANCELLED", "COMPLETED"],
    state="COMPLETED",
    attempt=2,
    version=7,
)
CHILD = JobHistory(outcomes=["COMPLETED"], state="COMPLETED", attempt=1)
FLOW = replace(GOOD, outcomes=["FORKED", "COMPLETED"], told=[*TOLD[:2], TOLD[-1]], children=[CHILD, CHILD])


def short(*jobs: JobHistory) -> list[tuple[str, float]]:
    return [(goal.name, goal.value) for goal in goals(jobs) if not goal.is_met]


def test_jobs_that_were_interrupted_cancelled_retried_or_forked_are_as_they_should_be() -> None:
    assert short(GOOD, CANCELLED, RETRIED, FLOW) == []


def test_a_run_in_which_nothing_was_interrupted_proves_nothing() -> None:
    assert short(CANCELLED) == [("jobs interrupted", 0)]


@pytest.mark.parametrize(
    ("name", "good", "fault"),
    [
        ("jobs lost", GOOD, {"state": "PROCESSING"}),
        ("jobs completed twice", GOOD, {"told": [*TOLD, "JOB_COMPLETED"]}),
        ("jobs completed twice", GOOD, {"outcomes": ["COMPLETED", "COMPLETED"]}),
        ("jobs completed twice", FLOW, {"children": [CHILD, replace(CHILD, outcomes=["COMPLETED", "COMPLETED"])]}),
        ("jobs that ended other than once", GOOD, {"told": [*TOLD, "JOB_COMPLETED"]}),
        ("jobs that ended other than once", GOOD, {"told": [*TOLD, "JOB_STARTED"]}),
        ("jobs that ended other than once", GOOD, {"told": TOLD[:-1]}),
        ("jobs that ended other than once", GOOD, {"told": [*TOLD[:-1], "JOB_FAILED"]}),
        ("jobs that ended other than once", GOOD, {"version": 6}),
        ("jobs that ended other than once", GOOD, {"version": 4}),
        ("jobs that ended other than once", GOOD, {"attempt": 3}),
        ("jobs that ended other than once", CANCELLED, {"version": 5}),
        ("jobs that ended other than once", RETRIED, {"retries": 0}),
        ("jobs that ended other than once", RETRIED, {"retries": 2}),
        ("jobs that ended other than once", RETRIED, {"told": [*TOLD, "JOB_QUEUED", "JOB_STARTED", "JOB_COMPLETED"]}),
        ("jobs whose children did not end with them", FLOW, {"children": [replace(CHILD, state="PROCESSING")]}),
        ("jobs whose children did not end with them", FLOW, {"children": [CHILD, replace(CHILD, state="CANCELLED")]}),
        ("jobs whose children did not end with them", CANCELLED, {"children": [replace(CHILD, state="QUEUED")]}),
        ("jobs that ended for no reason", CANCELLED, {"ends": frozenset({"COMPLETED"})}),
        ("jobs that ended for no reason", GOOD, {"ends": frozenset({"CANCELLED"})}),
        ("jobs that ended for no reason", GOOD, {"state": "FAILED", "error": "INTERNAL"}),
        (
            "jobs that ended for no reason",
            GOOD,
            {"state": "FAILED", "ends": frozenset({"FAILED"}), "error": "INTERNAL"},
        ),
        ("subscribers without the end", GOOD, {"watches": []}),
        ("subscribers without the end", GOOD, {"watches": [watch([])]}),
        ("subscribers without the end", GOOD, {"watches": [watch(SEEN[:-1])]}),
        ("subscribers without the end", GOOD, {"watches": [watch(SEEN, completed=False)]}),
        ("subscribers without the end", GOOD, {"watches": [watch(SEEN), watch(SEEN[:-1])]}),
        ("subscribers without the end", GOOD, {"state": "CANCELLED"}),
        ("subscribers without the end", RETRIED, {"watches": CANCELLED.watches}),
        ("subscribers shown a step backwards", GOOD, {"watches": [watch([*SEEN, SEEN[-1]])]}),
        ("subscribers shown a step backwards", GOOD, {"watches": [watch([SEEN[1], SEEN[0], SEEN[-1]])]}),
        ("subscribers shown a step backwards", GOOD, {"watches": [watch([SEEN[2], SEEN[1], SEEN[-1]])]}),
        ("subscribers shown a step backwards", GOOD, {"watches": [watch([SEEN[2]], [SEEN[1], SEEN[-1]])]}),
        ("subscribers shown a step backwards", GOOD, {"watches": [watch([SEEN[2]], [], SEEN)]}),
        (
            "subscribers shown a step backwards",
            GOOD,
            {"watches": [watch([SEEN[1], replace(SEEN[1], state="QUEUED"), SEEN[-1]])]},
        ),
        (
            "subscribers shown a step backwards",
            GOOD,
            {"watches": [watch([SEEN[4], replace(SEEN[4], version=5, attempt=1), SEEN[-1]])]},
        ),
    ],
)
def test_each_fault_is_found(name: str, good: JobHistory, fault: dict[str, Any]) -> None:
    assert (name, 1) in short(GOOD, replace(good, **fault))


def test_a_subscriber_who_comes_again_may_be_shown_the_same_state_and_what_is_newer() -> None:
    assert short(replace(GOOD, watches=[watch(SEEN[:3], [], SEEN[2:5], SEEN[4:])])) == []


def test_a_heartbeat_may_be_forgotten_with_the_database_that_was_killed_and_a_change_of_state_may_not() -> None:
    forgotten = [watch(SEEN[:3], SEEN[1:], eras=eras) for eras in ((0, 2), (0, 1), (1, 1))]
    assert short(replace(GOOD, watches=forgotten)) == []
    lost = replace(GOOD, watches=[watch(SEEN[:4], SEEN[1:], eras=(0, 2))])
    assert short(lost) == [("subscribers shown a step backwards", 1)]


def test_a_job_whose_workers_vanished_too_often_ended_for_a_reason() -> None:
    end = replace(SEEN[-1], state="FAILED")
    told = [*TOLD[:-1], "JOB_FAILED"]
    lost = replace(GOOD, watches=[watch([*SEEN[:-1], end])], told=told, state="FAILED", error="WORKER_LOST")
    lost.outcomes, lost.losers, lost.attempt, lost.version = ["LOST"] * 4, [1, 2, 3, 4], 4, 9
    assert short(lost) == []
    assert (lost.was_given_up, lost.vanished) == (True, [2, 3, 4])


def test_a_job_may_be_given_up_for_the_workers_of_its_child() -> None:
    child = replace(CHILD, outcomes=["LOST"] * 3, losers=[1, 2, 3], state="FAILED", error="WORKER_LOST", attempt=3)
    assert replace(FLOW, children=[CHILD, child], state="FAILED", error="WORKER_LOST").vanished == [1, 2, 3]


def test_a_wait_in_between_is_a_change_that_the_log_does_not_tell() -> None:
    waited = replace(GOOD, outcomes=["LOST", "COMPLETED"], version=6)
    assert short(waited, replace(GOOD, is_scheduled=True, version=6)) == []
