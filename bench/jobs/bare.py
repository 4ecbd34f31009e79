"""Bare taskiq-redis, for comparison: its worker, and what a client does with it.

    python -m bench.jobs.bare SLOTS

Nothing is kept: no row, no lease, no rights, no history; a worker that dies takes its task along. The client hears of
start and end by Redis pub/sub, and lets the task go in the same way as the product's.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# redis-py leaves its keyword arguments untyped.

import os
import sys
from typing import Any

import uvloop
from redis.asyncio import Redis
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

from bench.jobs.released import Released
from reelgraph.process import WORKING

CHANNEL = "bench:bare"
TASK = "hold"


def broker(redis_url: str) -> ListQueueBroker:
    return ListQueueBroker(redis_url, queue_name="bench:bare:queue", socket_timeout=None)


async def work(redis_url: str, slots: int) -> None:
    redis: Any = Redis.from_url(redis_url)
    released = Released(redis_url)
    queue = broker(redis_url)

    async def hold(key: str) -> None:
        await redis.publish(CHANNEL, f"PROCESSING {key}")
        await released.wait(key)
        await redis.publish(CHANNEL, f"COMPLETED {key}")

    queue.register_task(hold, task_name=TASK)
    await queue.startup()
    print(WORKING, flush=True)
    await run_receiver_task(queue, max_async_tasks=slots)


if __name__ == "__main__":
    uvloop.run(work(os.environ["REDIS_URL"], int(sys.argv[1])))
