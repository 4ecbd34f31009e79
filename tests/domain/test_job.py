"""The rules of a job's life, without a database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from domain.attempt import Attempt, Failure, Outcome
from domain.job import FIRST_BACKOFF, JITTER, MOST_FAILURES, MOST_LOSSES, Job, JobState, LeaseLost, Priority, Terms
from domain.kinds import PauseSpec
from domain.order import FARTHEST, Child, Order
from domain.refusals import InvalidInput, JobAlreadyEnded, JobNotRetryable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=10)
TERMS = Terms(lease=LEASE, attempt=timedelta(hours=1), job=timedelta(hours=2))
UNLUCKY = Failure(code="BAD_LUCK", message="It did not work.")
HOPELESS = Failure(code="BAD_INPUT", message="It cannot work.", hopeless=True)


def _queued() -> Job:
    job, _ = Order(spec=PauseSpec(seconds=1), project_id="p", user_id="u").place(NOW)
    return job


def _running() -> tuple[Job, str]:
    job = _queued()
    job.claim("worker", NOW, TERMS)
    assert job.token
    return job, job.token


def test_a_claim_is_a_new_attempt_with_a_token_and_a_lease_of_its_own() -> None:
    job, first = _running()
    assert (job.state, job.attempt, job.worker, job.lease_expires_at) == (JobState.PROCESSING, 1, "worker", NOW + LEASE)
    job.hand_back(first, NOW)
    job.claim("other", NOW, TERMS)
    assert (job.attempt, job.worker, job.token != first) == (2, "other", True)


def test_whoever_lost_the_lease_has_no_say() -> None:
    job, stale = _running()
    job.lose(NOW)
    job.claim("other", NOW, TERMS)
    says: list[Callable[[], None]] = [
        lambda: job.complete(stale, NOW),
        lambda: job.fail(stale, UNLUCKY, NOW),
        lambda: job.stopped(stale, NOW),
        lambda: job.hand_back(stale, NOW),
    ]
    for say in says:
        with pytest.raises(LeaseLost):
            say()
    assert (job.state, job.worker) == (JobState.PROCESSING, "other")


def test_a_completed_job_is_whole_and_holds_no_lease() -> None:
    job, token = _running()
    job.complete(token, NOW, asset_id="a")
    assert (job.state, job.asset_id, job.fraction, job.ended_at) == (JobState.COMPLETED, "a", 1.0, NOW)
    assert (job.token, job.lease_expires_at) == (None, None)


def test_bad_luck_is_tried_again_later_and_later_and_then_given_up() -> None:
    job = _queued()
    waits: list[int | None] = []
    for _ in range(MOST_FAILURES):
        job.claim("worker", NOW, TERMS)
        assert job.token
        job.fail(job.token, UNLUCKY, NOW)
        waits.append(_backoffs(job))
    assert waits == [1, 2, None]
    assert (job.state, job.failures, job.error_code) == (JobState.FAILED, MOST_FAILURES, "BAD_LUCK")


def test_a_hopeless_job_is_never_tried_again() -> None:
    job, token = _running()
    job.fail(token, HOPELESS, NOW)
    assert (job.state, job.failures, job.error_message) == (JobState.FAILED, 1, "It cannot work.")


def test_the_first_loss_waits_for_nothing_and_no_loss_spends_a_failure() -> None:
    job = _queued()
    waits: list[int | None] = []
    for _ in range(MOST_LOSSES):
        job.claim("worker", NOW, TERMS)
        job.lose(NOW)
        waits.append(_backoffs(job))
    assert waits == [None, 1, None]
    assert (job.state, job.failures, job.error_code) == (JobState.FAILED, 0, "WORKER_LOST")


def test_a_waiting_job_is_cancelled_at_once_a_running_one_by_its_worker() -> None:
    waiting = _queued()
    waiting.cancel(NOW)
    assert (waiting.state, waiting.ended_at) == (JobState.CANCELLED, NOW)
    running, token = _running()
    running.cancel(NOW)
    assert (running.state, running.cancel_requested) == (JobState.PROCESSING, True)
    running.stopped(token, NOW)
    assert running.state == JobState.CANCELLED


@pytest.mark.parametrize("end", ["fail", "lose", "hand_back"])
def test_a_job_that_was_to_be_cancelled_is_never_queued_again(end: str) -> None:
    job, token = _running()
    job.cancel(NOW)
    if end == "fail":
        job.fail(token, UNLUCKY, NOW)
    elif end == "lose":
        job.lose(NOW)
    else:
        job.hand_back(token, NOW)
    assert job.state == JobState.CANCELLED


def test_what_is_done_before_the_cancel_is_heard_is_kept() -> None:
    job, token = _running()
    job.cancel(NOW)
    job.complete(token, NOW)
    assert job.state == JobState.COMPLETED
    with pytest.raises(JobAlreadyEnded):
        job.cancel(NOW)


def test_a_retry_starts_over_with_a_fresh_budget_and_counts_attempts_on() -> None:
    job, token = _running()
    with pytest.raises(JobNotRetryable):
        job.retry(NOW)
    job.fail(token, HOPELESS, NOW)
    job.retry(NOW)
    assert (job.state, job.failures, job.losses, job.error_code, job.ended_at) == (JobState.QUEUED, 0, 0, None, None)
    job.claim("worker", NOW, TERMS)
    assert job.attempt == 2


def test_a_new_attempt_forgets_the_progress_of_the_one_before() -> None:
    job, token = _running()
    job.stage, job.fraction, job.frames = "encoding", 0.7, 70
    job.fail(token, UNLUCKY, NOW)
    assert (job.stage, job.fraction, job.frames, job.speed) == ("queued", 0.0, None, None)


def test_what_comes_later_waits_out_of_line_until_it_is_due() -> None:
    later = NOW + timedelta(hours=1)
    job, _ = Order(spec=PauseSpec(seconds=1), project_id="p", user_id="u", not_before=later).place(NOW)
    assert (job.state, job.in_line, job.not_before) == (JobState.QUEUED, False, later)
    job.due()
    assert (job.state, job.in_line, job.not_before) == (JobState.QUEUED, True, None)


def test_a_time_that_has_passed_means_at_once() -> None:
    job, _ = Order(spec=PauseSpec(seconds=1), project_id="p", user_id="u", not_before=NOW).place(NOW)
    assert (job.in_line, job.not_before) == (True, None)


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        (datetime(2026, 1, 2), "it must say its offset from UTC, such as Z or +02:00"),  # noqa: DTZ001
        (NOW + FARTHEST + timedelta(seconds=1), "it must be within 366 days"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(when: datetime, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Order(spec=PauseSpec(seconds=1), project_id="p", user_id="u", not_before=when).place(NOW)
    assert (refused.value.path, refused.value.problem) == ("notBefore", problem)


def test_priorities_rank_low_normal_high() -> None:
    assert [each.rank for each in (Priority.LOW, Priority.NORMAL, Priority.HIGH)] == [-1, 0, 1]


def test_each_attempt_is_kept_with_its_worker_its_times_and_how_it_ended() -> None:
    job = _queued()
    ends: list[Callable[[str], None]] = [
        lambda token: job.hand_back(token, NOW + LEASE),
        lambda token: job.fail(
            token, Failure(code="FFMPEG_FAILED", message="It\0ended.", exit_code=-9, tail=("a", "b")), NOW + LEASE
        ),
        lambda _: job.lose(NOW + LEASE),
        lambda token: job.complete(token, NOW + LEASE),
    ]
    for number, end in enumerate(ends, start=1):
        job.claim(f"worker {number}", NOW, TERMS)
        assert job.token
        end(job.token)
    kept = _attempts(job)
    assert [(each.number, each.worker, each.started_at, each.ended_at, each.outcome) for each in kept] == [
        (1, "worker 1", NOW, NOW + LEASE, Outcome.HANDED_BACK),
        (2, "worker 2", NOW, NOW + LEASE, Outcome.FAILED),
        (3, "worker 3", NOW, NOW + LEASE, Outcome.LOST),
        (4, "worker 4", NOW, NOW + LEASE, Outcome.COMPLETED),
    ]
    assert (kept[1].error_code, kept[1].error_message, kept[1].exit_code, kept[1].tail) == (
        "FFMPEG_FAILED",
        "Itended.",
        -9,
        ["a", "b"],
    )
    assert [each.error_code for each in kept] == [None, "FFMPEG_FAILED", None, None]


def test_waits_grow_by_a_little_chance_that_stays_within_its_bounds() -> None:
    waits: set[timedelta] = set()
    for _ in range(50):
        job, token = _running()
        job.fail(token, UNLUCKY, NOW)
        assert job.not_before
        waits.add(job.not_before - NOW)
    assert FIRST_BACKOFF <= min(waits) < max(waits) <= FIRST_BACKOFF * (1 + JITTER)


def test_an_attempt_must_end_in_time_and_all_of_them_too() -> None:
    job, _ = _running()
    assert (job.attempt_ends_at, job.ends_by) == (NOW + TERMS.attempt, NOW + TERMS.job)
    later = NOW + timedelta(minutes=90)
    job.overrun(later)
    assert (job.state, job.failures, job.error_code) == (JobState.QUEUED, 1, "OVERDUE")
    job.claim("other", later, TERMS)
    assert (job.attempt_ends_at, job.ends_by) == (NOW + TERMS.job, NOW + TERMS.job)
    job.overrun(NOW + TERMS.job)
    assert (job.state, job.failures) == (JobState.FAILED, 2)


def test_a_job_is_suspect_when_one_more_loss_would_be_its_last() -> None:
    job = _queued()
    suspect: list[bool] = []
    for _ in range(MOST_LOSSES - 1):
        job.claim("worker", NOW, TERMS)
        job.lose(NOW)
        suspect.append(job.is_suspect)
    assert suspect == [False, True]


def test_a_job_that_forks_is_nobodys_and_goes_on_a_step_further_when_its_children_are_done() -> None:
    job, token = _running()
    job.fraction = 0.1
    job.fork(token, NOW, stage="encoding", share=0.8)
    assert (job.state, job.token, job.in_line, job.waits_for_children) == (JobState.PROCESSING, None, False, True)
    assert (job.step, job.stage, job.fraction) == (1, "encoding", 0.1)
    job.children_ended(NOW)
    assert (job.state, job.in_line, job.waits_for_children) == (JobState.PROCESSING, True, False)
    assert round(job.fraction, 6) == 0.9
    job.claim("other", NOW, TERMS)
    assert (job.attempt, job.step, round(job.fraction, 6)) == (2, 1, 0.9)
    assert [each.outcome for each in _attempts(job)] == [Outcome.FORKED]


def test_a_parent_fails_for_the_reason_of_its_first_failed_child_once_the_others_have_stopped() -> None:
    job, token = _running()
    job.fork(token, NOW, stage="encoding", share=1)
    job.child_failed(UNLUCKY)
    job.child_failed(HOPELESS)
    assert job.state == JobState.PROCESSING
    job.children_ended(NOW)
    assert (job.state, job.error_code, job.error_message) == (JobState.FAILED, "BAD_LUCK", "It did not work.")


def test_a_parent_that_is_cancelled_ends_when_its_children_have() -> None:
    job, token = _running()
    job.fork(token, NOW, stage="encoding", share=1)
    job.cancel(NOW)
    assert (job.state, job.cancel_requested) == (JobState.PROCESSING, True)
    job.children_ended(NOW)
    assert job.state == JobState.CANCELLED


def test_a_parent_that_is_in_line_for_its_next_step_is_cancelled_at_once() -> None:
    job, token = _running()
    job.fork(token, NOW, stage="encoding", share=1)
    job.children_ended(NOW)
    job.cancel(NOW)
    assert (job.state, job.in_line) == (JobState.CANCELLED, False)


def test_a_parent_whose_children_take_too_long_will_fail() -> None:
    job, token = _running()
    job.fork(token, NOW, stage="encoding", share=1)
    assert job.attempt_ends_at == job.ends_by
    job.overrun(NOW + TERMS.job)
    job.children_ended(NOW + TERMS.job)
    assert (job.state, job.error_code) == (JobState.FAILED, "OVERDUE")


def test_a_parent_that_is_in_line_has_no_attempt_that_could_be_overdue() -> None:
    job, token = _running()
    job.fork(token, NOW, stage="encoding", share=1)
    job.children_ended(NOW)
    assert (job.attempt_ends_at, job.ends_by) == (None, NOW + TERMS.job)
    job.claim("other", NOW + TERMS.job, TERMS)
    assert job.attempt_ends_at == NOW + TERMS.job, "too late, and its worker ends it at once"


def test_a_retried_family_begins_with_its_first_step() -> None:
    job, token = _running()
    job.fork(token, NOW, stage="encoding", share=1)
    job.cancel(NOW)
    job.children_ended(NOW)
    job.retry(NOW)
    assert (job.state, job.in_line, job.step, job.floor, job.share, job.fraction) == (JobState.QUEUED, True, 0, 0, 0, 0)
    assert (job.turn, job.ends_by, job.cancel_requested) == (None, None, False)


def test_a_child_is_of_its_parents_family_priority_and_deadline() -> None:
    job, token = _running()
    job.priority = Priority.HIGH.rank
    child, payload = Child(spec=PauseSpec(seconds=2), weight=3).place(job, 0, NOW)
    assert (child.parent_id, child.root_id, child.priority, child.ends_by) == (job.id, job.id, 1, job.ends_by)
    assert (child.weight, payload.spec["seconds"], child.user_id) == (3, 2, "u")
    child.claim("other", NOW, TERMS)
    grandchild, _ = Child(spec=PauseSpec(seconds=1)).place(child, 0, NOW)
    assert (grandchild.parent_id, grandchild.root_id) == (child.id, job.id)
    job.held(token)


def _backoffs(job: Job) -> int | None:
    """How many times the first wait it waits, but for the little that chance adds; None if it may go on at once."""
    assert job.in_line == (job.not_before is None and job.state == JobState.QUEUED)
    return (job.not_before - NOW) // FIRST_BACKOFF if job.not_before else None


def _attempts(job: Job) -> list[Attempt]:
    return job.ended_attempts
