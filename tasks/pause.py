"""A job that only takes time: it tries out the queue, the workers, their children and live updates of a deployment."""

import asyncio
import os
import shutil
import time

from domain.attempt import Progress
from domain.kinds import PauseSpec
from domain.order import Child
from tasks.lease import Done, Fork, JobFailed, Lease
from tasks.process import Limits, run

STEP_SECONDS = 0.1


async def pause(lease: Lease, spec: PauseSpec) -> Done | Fork:
    """Take the seconds asked for, in a process as those that do real work, or by children; and say how far it is."""
    if spec.parts and lease.step == 0:
        return Fork(children=[Child(spec=part) for part in spec.split()], stage="pausing", share=1.0)
    if not spec.parts:
        telling = asyncio.create_task(_tell(lease, spec.seconds))
        try:
            await _sleep(lease, spec.seconds)
        finally:
            telling.cancel()
    return Done(result={"seconds": spec.seconds})


async def _tell(lease: Lease, seconds: float) -> None:
    started = time.monotonic()
    while (gone := time.monotonic() - started) < seconds:
        lease.report(Progress(stage="pausing", fraction=gone / seconds, eta_seconds=round(seconds - gone, 1), speed=1))
        await asyncio.sleep(STEP_SECONDS)


async def _sleep(lease: Lease, seconds: float) -> None:
    sleep = shutil.which("sleep", path=os.defpath)
    if sleep is None:
        raise JobFailed("NO_SLEEP", "This worker has no program named sleep.", hopeless=True)
    ended = await run([sleep, f"{seconds:f}"], folder=lease.folder, limits=Limits(), on_line=lambda _line: None)
    if ended.code:
        raise JobFailed("SLEEP_FAILED", f"sleep ended with {ended.code}.", exit_code=ended.code, tail=ended.tail)
