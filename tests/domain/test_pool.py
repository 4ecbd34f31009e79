"""What an operator is told of a pool."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.kinds import JobKind, Pool
from domain.pool import KindNumbers, PausedPool, Queue, QueueWorker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = QueueWorker(name="w", slots=4, running=1, draining=False, silent=False, started_at=NOW, seen_at=NOW)


def queue(**told: Any) -> Queue:
    return Queue.of(Pool.LIGHT, **{"kinds": [], "workers": [], "paused": None, **told})


def test_the_numbers_of_a_pool_are_the_sums_of_its_kinds_and_its_oldest_job_is_the_oldest_of_any() -> None:
    ingest = KindNumbers(
        kind=JobKind.INGEST,
        depth=1,
        scheduled=2,
        waiting=3,
        oldest_seconds=9.5,
        running=4,
        completed_per_minute=0.2,
        failures=5,
        stuck=6,
    )
    whole = queue(kinds=[ingest, replace(ingest, kind=JobKind.PAUSE, oldest_seconds=7.0)])
    assert (whole.depth, whole.scheduled, whole.waiting, whole.running) == (2, 4, 6, 8)
    assert (whole.oldest_seconds, whole.completed_per_minute, whole.failures, whole.stuck) == (9.5, 0.4, 10, 12)
    assert queue(kinds=[KindNumbers(kind=JobKind.PAUSE)]).oldest_seconds is None


def test_a_paused_pool_says_since_when_and_by_whom() -> None:
    paused = PausedPool(pool=Pool.LIGHT, paused_by="u")
    paused.paused_at = NOW
    assert (queue(paused=paused).paused_at, queue(paused=paused).paused_by) == (NOW, "u")
    assert (queue().paused_at, queue().paused_by) == (None, None)


def test_the_slots_of_a_pool_are_those_that_take_jobs() -> None:
    leaving, gone = replace(WORKER, draining=True), replace(WORKER, silent=True)
    assert queue(workers=[WORKER, WORKER, leaving, gone]).slots == 8


@pytest.mark.parametrize(
    ("worker", "idle"),
    [
        (WORKER, 3),
        (replace(WORKER, running=4), 0),
        (replace(WORKER, running=5), 0),  # a lease that is about to be lost still counts as running
        (replace(WORKER, draining=True), 0),
        (replace(WORKER, silent=True), 0),
    ],
)
def test_only_a_free_slot_of_a_worker_that_is_there_and_stays_is_idle(worker: QueueWorker, idle: int) -> None:
    assert worker.idle_slots == idle


def test_that_a_worker_is_still_there_is_no_news() -> None:
    assert replace(WORKER, seen_at=NOW + timedelta(seconds=2)) == WORKER
    assert replace(WORKER, running=2) != WORKER
