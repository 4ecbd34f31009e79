"""A job that only takes time: it tries out the queue, the workers and live updates of a deployment."""

import asyncio
import time

from domain.job import Progress
from domain.kinds import PauseSpec
from tasks.lease import Done, Lease

STEP_SECONDS = 0.1


async def pause(lease: Lease, spec: PauseSpec) -> Done:
    """Take the seconds asked for, and say so."""
    started = time.monotonic()
    while (gone := time.monotonic() - started) < spec.seconds:
        lease.report(
            Progress(stage="pausing", fraction=gone / spec.seconds, eta_seconds=round(spec.seconds - gone, 1), speed=1)
        )
        await asyncio.sleep(min(STEP_SECONDS, spec.seconds - gone))
    return Done(result={"seconds": spec.seconds})
