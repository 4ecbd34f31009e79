"""The diagram of a job's life says what the verbs of a job do, all of it and nothing else."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from domain.attempt import Failure
from domain.job import MOST_FAILURES, MOST_LOSSES, Job, JobState, LeaseLost, Terms
from domain.kinds import JobKind, Pool
from domain.refusals import Refusal
from tests.docs.pages import blocks

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms(lease=timedelta(seconds=10), attempt=timedelta(hours=1), job=timedelta(hours=2))
Verb = Callable[[Job], None]

VERBS: list[tuple[str, Verb]] = [
    ("claim", lambda job: job.claim("w", NOW, TERMS)),
    ("complete", lambda job: job.complete(job.token or "", NOW)),
    ("fail", lambda job: job.fail(job.token or "", Failure(code="X", message="x"), NOW)),
    ("fail", lambda job: job.fail(job.token or "", Failure(code="X", message="x", hopeless=True), NOW)),
    ("stopped", lambda job: job.stopped(job.token or "", NOW)),
    ("hand back", lambda job: job.hand_back(job.token or "", NOW)),
    ("lose", lambda job: job.lose(NOW)),
    ("overrun", lambda job: job.overrun(NOW)),
    ("fork", lambda job: job.fork(job.token or "", NOW, stage="x", share=1)),
    ("children ended", lambda job: job.children_ended(NOW)),
    ("cancel", lambda job: job.cancel(NOW)),
    ("retry", lambda job: job.retry(NOW)),
]
ONLY: dict[str, Callable[[Job], bool]] = {
    "claim": lambda job: job.state == JobState.QUEUED,
    "lose": lambda job: job.token is not None,
    "overrun": lambda job: job.token is not None,
    "children ended": lambda job: job.waits_for_children,
}
"""Verbs that the caller gives only to rows it chose."""


def jobs() -> list[Job]:
    """A job in every state, fresh and with its budget all but spent; a running one also when it is to stop."""
    made = [_job(state, spent) for spent in (0, 1) for state in JobState]
    made += [_job(JobState.PROCESSING, spent, cancel_requested=True) for spent in (0, 1)]
    waiting: list[dict[str, object]] = [{}, {"cancel_requested": True}, {"error_code": "X"}]
    return made + [_job(JobState.PROCESSING, 0, token=None, **more) for more in waiting]


def _job(state: JobState, spent: int, **more: object) -> Job:
    values: dict[str, object] = {
        "failures": spent * (MOST_FAILURES - 1),
        "losses": spent * (MOST_LOSSES - 1),
        "token": "t" if state == JobState.PROCESSING else None,
        "in_line": state == JobState.QUEUED,
        "attempt_ends_at": NOW,
        **more,
    }
    return Job(kind=JobKind.PAUSE, pool=Pool.LIGHT, project_id="p", user_id=None, queued_at=NOW, state=state, **values)


def real() -> set[tuple[str, str, str]]:
    """Every change of state that a verb makes: from, to, by which."""
    found: set[tuple[str, str, str]] = set()
    for verb, act in VERBS:
        for job in jobs():
            before, waited = job.state, job.waits_for_children
            if verb in ONLY and not ONLY[verb](job):
                continue
            try:
                act(job)
            except (Refusal, LeaseLost):
                continue
            if job.state != before or job.waits_for_children != waited:
                found.add((before.value, job.state.value, verb))
    return found


def test_the_diagram_shows_every_change_of_state_and_no_other() -> None:
    (diagram,) = blocks("docs/jobs.md", "mermaid")
    arrows = re.findall(r"^ +([A-Z]+) --> ([A-Z]+): (.+)$", diagram, re.MULTILINE)
    assert {(start, end) for start, end, _ in arrows} == {(start, end) for start, end, _ in real()}
    for start, end, label in arrows:
        if end == "CANCELLED" and start == "PROCESSING":
            continue  # "cancel, then stopped": whichever verb ends the attempt after that
        verbs = {verb for a, b, verb in real() if (a, b) == (start, end)}
        assert {verb for verb in verbs if verb not in label} == set(), (start, end)
    assert "[*] --> QUEUED" in diagram
