"""`reelgraph worker`, but its PAUSE jobs hold until the bench lets them go, or return at once.

python -m bench.jobs.worker hold|return
"""

import os
import sys

from bench.jobs.released import Released
from domain.kinds import JobKind, PauseSpec
from reelgraph import cli
from tasks.lease import Done, Lease
from tasks.registry import FUNCTIONS, Function


def holding(redis_url: str) -> Function:
    released = Released(redis_url)

    async def hold(lease: Lease, _spec: PauseSpec) -> Done:
        await released.wait(lease.job_id)
        return Done()

    return hold


async def at_once(_lease: Lease, _spec: PauseSpec) -> Done:
    return Done()


def main() -> None:
    kind = sys.argv[1]
    FUNCTIONS[JobKind.PAUSE] = holding(os.environ["REDIS_URL"]) if kind == "hold" else at_once
    sys.argv = ["reelgraph", "worker"]
    cli.main()


if __name__ == "__main__":
    main()
