"""Which function does which kind of job. A new kind is one line here."""

from collections.abc import Awaitable, Callable
from typing import Any

from domain.kinds import JobKind
from tasks.ingest import ingest
from tasks.lease import Done, Fork, Lease
from tasks.pause import pause
from tasks.render import render

Function = Callable[[Lease, Any], Awaitable[Done | Fork]]
"""Takes the lease and the kind's own spec; called once for each step of a job that forks."""

FUNCTIONS: dict[JobKind, Function] = {
    JobKind.INGEST: ingest,
    JobKind.RENDER: render,
    JobKind.PAUSE: pause,
}
