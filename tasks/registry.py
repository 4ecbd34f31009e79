"""Which function does which kind of job. A new kind is one line here."""

from collections.abc import Awaitable, Callable
from typing import Any

from domain.kinds import JobKind
from tasks.batch import render_batch
from tasks.ingest import ingest
from tasks.lease import Done, Fork, Lease
from tasks.pause import pause
from tasks.prepare import prepare
from tasks.preview import preview
from tasks.render import render, render_part

Function = Callable[[Lease, Any], Awaitable[Done | Fork]]
"""Takes the lease and the kind's own spec; called once for each step of a job that forks."""

FUNCTIONS: dict[JobKind, Function] = {
    JobKind.INGEST: ingest,
    JobKind.RENDER: render,
    JobKind.RENDER_PART: render_part,
    JobKind.PREPARE: prepare,
    JobKind.RENDER_BATCH: render_batch,
    JobKind.PREVIEW: preview,
    JobKind.PAUSE: pause,
}
