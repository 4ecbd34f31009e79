"""What open connections rest on is looked at together, and only while there is something to look at."""

import asyncio

import pytest

from graph.rights import Watch


class Kept:
    """What stands, and what was asked."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.asked: list[set[str]] = []
        self.outage = False
        self.looked = asyncio.Event()

    async def lost(self, keys: list[str]) -> list[str]:
        self.asked.append(set(keys))
        self.looked.set()
        if self.outage:
            raise ConnectionError("the database is away")
        return [key for key in keys if key in self.gone]

    async def look(self) -> None:
        """Wait for a look that begins from now on, and for what comes of it."""
        self.looked.clear()
        await asyncio.wait_for(self.looked.wait(), 5)
        await asyncio.sleep(0)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr("graph.rights.LOOK_SECONDS", 0.02)
    return Kept()


async def test_many_connections_are_one_question_and_each_thing_is_asked_once(kept: Kept) -> None:
    watch = Watch(kept.lost)
    stops = [watch.add(key, list) for key in "abcab" for _ in range(100)]
    await kept.look()
    assert all(asked == {"a", "b", "c"} for asked in kept.asked)
    assert len(watch) == 3
    for stop in stops:
        stop()


async def test_what_is_lost_ends_everything_that_rests_on_it_once_and_nothing_else(kept: Kept) -> None:
    watch, ended = Watch(kept.lost), []
    for name, key in (("one", "a"), ("two", "a"), ("three", "b")):
        watch.add(key, lambda name=name: ended.append(name))
    await kept.look()
    assert ended == []
    kept.gone.add("a")
    await kept.look()
    await kept.look()
    assert ended == ["one", "two"]
    assert len(watch) == 1
    assert kept.asked[-1] == {"b"}


async def test_what_is_watched_no_longer_is_not_asked_about_and_not_ended(kept: Kept) -> None:
    watch, ended = Watch(kept.lost), []
    stop = watch.add("a", lambda: ended.append("a"))
    other = watch.add("b", lambda: ended.append("b"))
    stop()
    stop()
    kept.gone |= {"a", "b"}
    await kept.look()
    assert ended == ["b"]
    assert kept.asked[-1] == {"b"}
    other()


async def test_nobody_is_asked_while_there_is_nothing_to_watch(kept: Kept) -> None:
    watch = Watch(kept.lost)
    watch.add("a", list)()
    assert watch._looking is None
    again = watch.add("a", list)
    await kept.look()
    again()
    assert watch._looking is None
    watch.add("a", list)
    kept.gone.add("a")
    await kept.look()
    assert watch._looking is None


async def test_an_outage_ends_nothing(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    watch, ended = Watch(kept.lost), []
    watch.add("a", lambda: ended.append("a"))
    kept.gone.add("a")
    kept.outage = True
    await kept.look()
    assert ended == []
    assert "could not be looked at" in caplog.text
    kept.outage = False
    await kept.look()
    assert ended == ["a"]
