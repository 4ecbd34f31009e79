"""One look at the queues, for all who watch."""

import asyncio
from contextlib import aclosing

import pytest

from domain.pool import Queue
from graph import queue_watch
from graph.queue_watch import QueueWatch

Seen = tuple[list[Queue], frozenset[str]]


class Looks:
    """Answers each look with another set of administrators, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.failing = False

    async def __call__(self) -> Seen:
        self.count += 1
        if self.failing:
            raise OSError("the database is away")
        return [], frozenset({str(self.count)})


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    monkeypatch.setattr(queue_watch, "LOOK_SECONDS", 0.05)
    return Looks()


async def test_nobody_looks_before_somebody_watches_or_after_the_last_has_left(looks: Looks) -> None:
    watch = QueueWatch(looks)
    assert looks.count == 0
    async with aclosing(watch.looks()) as watching:
        await anext(watching)
    count = looks.count
    await asyncio.sleep(0.2)
    assert looks.count == count >= 1


async def test_however_many_watch_there_is_one_look(looks: Looks) -> None:
    watch = QueueWatch(looks)
    watchers = [watch.looks() for _ in range(20)]
    for _ in range(3):
        seen = await asyncio.gather(*(anext(each) for each in watchers))
        assert len({look.at for look in seen}) == 1
    assert looks.count in {3, 4}, "the fourth may have begun"
    for each in watchers:
        await each.aclose()


async def test_who_comes_later_is_shown_the_latest_look_at_once_and_who_is_slow_misses_some(looks: Looks) -> None:
    watch = QueueWatch(looks)
    async with aclosing(watch.looks()) as first, aclosing(watch.looks()) as slow:
        latest = await anext(first)
        assert await anext(slow) is latest
        while looks.count < 4:
            latest = await anext(first)
        async with aclosing(watch.looks()) as late:
            assert await anext(late) is latest
        assert await anext(slow) is latest


async def test_who_comes_after_all_have_left_is_shown_no_old_look(looks: Looks) -> None:
    watch = QueueWatch(looks)
    async with aclosing(watch.looks()) as watching:
        old = await anext(watching)
    async with aclosing(watch.looks()) as watching:
        assert (await anext(watching)).admins != old.admins


async def test_a_look_that_fails_is_repeated(looks: Looks) -> None:
    watch = QueueWatch(looks)
    looks.failing = True
    async with aclosing(watch.looks()) as watching:
        waiting = asyncio.ensure_future(anext(watching))
        while looks.count < 2:
            await asyncio.sleep(0.01)
        assert not waiting.done()
        looks.failing = False
        assert (await waiting).admins == {"3"}
