import asyncio

import pytest

from graph.transport.eager import started


async def test_what_need_not_wait_is_done_at_once_without_a_task():
    done = []

    async def work() -> None:
        done.append(1)

    assert started(work()) is None
    assert done == [1]


async def test_what_has_to_wait_is_finished_by_a_task():
    gates = [asyncio.Event(), asyncio.Event()]
    seen = []

    async def work() -> None:
        for gate in gates:
            seen.append("waits")
            await gate.wait()
        await asyncio.sleep(0)
        seen.append("done")

    task = started(work())
    assert seen == ["waits"]
    for gate in gates:
        gate.set()
    await asyncio.wait_for(task, 5)
    assert seen == ["waits", "waits", "done"]


async def test_what_waits_already_can_be_cancelled_and_cleans_up():
    seen = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned up")

    task = started(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cleaned up"]


async def test_what_fails_raises_at_once_or_in_its_task():
    async def fails(gate: asyncio.Event) -> None:
        await gate.wait()
        raise ValueError("no")

    gate = asyncio.Event()
    task = started(fails(gate))
    gate.set()
    with pytest.raises(ValueError, match="no"):
        await task
    with pytest.raises(ValueError, match="no"):
        started(fails(gate))
