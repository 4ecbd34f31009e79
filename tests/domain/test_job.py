"""The rules of a job's life, without a database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from domain.job import FIRST_BACKOFF, MOST_FAILURES, MOST_LOSSES, Failure, Job, JobState, LeaseLost, Order
from domain.kinds import PauseSpec
from domain.refusals import JobAlreadyEnded, JobNotRetryable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=10)
UNLUCKY = Failure(code="BAD_LUCK", message="It did not work.")
HOPELESS = Failure(code="BAD_INPUT", message="It cannot work.", hopeless=True)


def _queued() -> Job:
    job, _ = Order(spec=PauseSpec(seconds=1), project_id="p", user_id="u").place(NOW)
    return job


def _running() -> tuple[Job, str]:
    job = _queued()
    job.claim("worker", NOW, LEASE)
    assert job.token
    return job, job.token


def test_a_claim_is_a_new_attempt_with_a_token_and_a_lease_of_its_own() -> None:
    job, first = _running()
    assert (job.state, job.attempt, job.worker, job.lease_expires_at) == (JobState.PROCESSING, 1, "worker", NOW + LEASE)
    job.hand_back(first, NOW)
    job.claim("other", NOW, LEASE)
    assert (job.attempt, job.worker, job.token != first) == (2, "other", True)


def test_whoever_lost_the_lease_has_no_say() -> None:
    job, stale = _running()
    job.lose(NOW)
    job.claim("other", NOW, LEASE)
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
    waits: list[timedelta | None] = []
    for _ in range(MOST_FAILURES):
        job.claim("worker", NOW, LEASE)
        assert job.token
        job.fail(job.token, UNLUCKY, NOW)
        waits.append(job.not_before - NOW if job.not_before else None)
    assert waits == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, None]
    assert (job.state, job.failures, job.error_code) == (JobState.FAILED, MOST_FAILURES, "BAD_LUCK")


def test_a_hopeless_job_is_never_tried_again() -> None:
    job, token = _running()
    job.fail(token, HOPELESS, NOW)
    assert (job.state, job.failures, job.error_message) == (JobState.FAILED, 1, "It cannot work.")


def test_the_first_loss_waits_for_nothing_and_no_loss_spends_a_failure() -> None:
    job = _queued()
    waits: list[timedelta | None] = []
    for _ in range(MOST_LOSSES):
        job.claim("worker", NOW, LEASE)
        job.lose(NOW)
        waits.append(job.not_before - NOW if job.not_before else None)
    assert waits == [None, FIRST_BACKOFF, None]
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
    job.claim("worker", NOW, LEASE)
    assert job.attempt == 2


def test_a_new_attempt_forgets_the_progress_of_the_one_before() -> None:
    job, token = _running()
    job.stage, job.fraction, job.frames = "encoding", 0.7, 70
    job.fail(token, UNLUCKY, NOW)
    assert (job.stage, job.fraction, job.frames, job.speed) == ("queued", 0.0, None, None)
