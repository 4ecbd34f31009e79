"""Equal subscriptions are one: what is executed once, who is shown what, and what ends."""

import asyncio
import gc
import json
from collections.abc import Callable
from contextlib import aclosing

import pytest
import strawberry

from domain.refusals import NotFound
from domain.viewer import Viewer
from graph.transport.engine import Showing
from graph.transport.errors import Rejected
from graph.transport.live import Log, State, StateGroup
from graph.transport.request import Request
from graph.transport.sharing import SAME_FOR_ALL
from tests.graph.transport.feeds import Counter, Diary, Value

ANN, BOB = (Viewer(user_id=name, scopes=frozenset()) for name in ("ann", "bob"))


class Seen:
    """A subscriber that remembers everything."""

    def __init__(self) -> None:
        self.answers = []
        self.ended = []

    def show(self, answer: str) -> None:
        self.answers.append(json.loads(answer)["data"]["count"])

    def end(self, errors) -> None:
        self.ended.append(errors)

    @property
    def numbers(self) -> list[int]:
        return [each["number"] for each in self.answers]


@strawberry.type
class Count:
    number: int = strawberry.field(metadata=SAME_FOR_ALL)

    @strawberry.field(metadata=SAME_FOR_ALL)
    async def slowly(self, info: strawberry.Info) -> int:
        await FEED["gate"].wait()
        return self.number

    @strawberry.field
    def whose(self, info: strawberry.Info) -> str | None:
        return info.context.viewer and info.context.viewer.user_id

    @strawberry.field(metadata=SAME_FOR_ALL)
    def leak(self, info: strawberry.Info) -> str:
        return info.context.viewer.user_id

    @strawberry.field(metadata=SAME_FOR_ALL)
    def executed(self) -> int:
        FEED["executed"] += 1
        return FEED["executed"]


FEED = {}


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription(graphql_type=Count)
    async def count(self, every: float = 0.0, which: int = 0) -> State:
        feed = FEED["counter"]
        return State(feed=feed, present=feed.value, every=every, hold=feed.hold)

    @strawberry.subscription(graphql_type=int)
    async def diary(self, after: int | None = None) -> Log:
        feed = FEED["diary"]
        end = feed.entries
        return Log(feed=feed, after=end if after is None else after, end=end, hold=feed.hold)


@pytest.fixture
def it(house: Callable):
    FEED.update(counter=Counter(), diary=Diary(), gate=asyncio.Event(), executed=0)
    return house(Query, subscription=Subscription)


@pytest.fixture
def counter(it) -> Counter:
    return FEED["counter"]


@pytest.fixture
def diary(it) -> Diary:
    return FEED["diary"]


async def watched(it, query: str, viewer: Viewer | None = None, **variables: object) -> tuple[Showing, Seen]:
    operation = it.engine.prepare(Request(query, variables), "r1")
    showing, seen = await it.engine.subscribe(operation, viewer, "r1"), Seen()
    assert isinstance(showing, Showing)
    showing.to(seen)
    return showing, seen


async def told(it, after: int | None = None, viewer: Viewer | None = None):
    operation = it.engine.prepare(Request("subscription($after: Int) { diary(after: $after) }", {"after": after}), "r1")
    async with aclosing(it.engine.run(operation, viewer, "r1")) as answers:
        async for answer in answers:
            yield json.loads(answer)["data"]["diary"]


SHARED = "subscription { count { number executed } }"


async def test_equal_subscriptions_are_executed_once_for_each_value(it, counter: Counter) -> None:
    several = [await watched(it, SHARED, viewer) for viewer in (ANN, BOB, None, ANN)]
    assert len(counter.watchers) == 1
    counter.set(1)
    counter.set(2)
    for _, seen in several:
        assert seen.answers == [{"number": n, "executed": n + 1} for n in range(3)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SHARED, "subscription {count { number executed } }"),
        ("subscription($w: Int!) { count(which: $w) { executed } }", {"w": 1}),
    ],
)
async def test_what_is_not_equal_is_executed_for_itself(it, counter: Counter, one: str, other: object) -> None:
    if isinstance(other, str):
        await watched(it, one)
        await watched(it, other)
    else:
        await watched(it, one, **other)
        await watched(it, one, w=2)
    counter.set(1)
    assert FEED["executed"] == 4


async def test_what_depends_on_who_asks_is_executed_for_each_and_once_for_the_same(it, counter: Counter) -> None:
    query = "subscription { count { whose executed } }"
    several = [await watched(it, query, viewer) for viewer in (ANN, BOB, ANN)]
    counter.set(1)
    assert [seen.answers[-1] for _, seen in several] == [
        {"whose": "ann", "executed": 3},
        {"whose": "bob", "executed": 4},
        {"whose": "ann", "executed": 3},
    ]


async def test_a_field_that_says_it_is_the_same_for_all_and_lies_fails_instead_of_leaking(it, counter: Counter) -> None:
    operation = it.engine.prepare(Request("subscription { count { leak } }"), "r1")
    async with aclosing(it.engine.run(operation, ANN, "r1")) as answers:
        answer = json.loads(await anext(answers))
    assert answer["data"] is None
    assert "ann" not in json.dumps(answer)


async def test_who_comes_late_is_shown_the_present_state_at_once_and_nothing_is_executed(it, counter: Counter) -> None:
    _, first = await watched(it, SHARED)
    counter.set(5)
    _, second = await watched(it, SHARED)
    assert (first.numbers, second.answers) == ([0, 5], [{"number": 5, "executed": 2}])


async def test_what_admits_a_newcomer_is_news_to_all(it, counter: Counter) -> None:
    _, first = await watched(it, SHARED)
    counter.value = Value(7)  # nobody rang
    _, second = await watched(it, SHARED)
    assert (first.numbers, second.numbers) == ([0, 7], [7])


async def test_nobody_sees_a_step_backwards(it, counter: Counter) -> None:
    _, seen = await watched(it, SHARED)
    for number in (3, 2, 3, 1, 4):
        counter.set(number)
    counter.value = Value(1)
    _, late = await watched(it, SHARED)
    assert (seen.numbers, late.numbers) == ([0, 3, 4], [4])


async def test_the_last_value_ends_it_for_all_and_the_next_subscription_begins_anew(it, counter: Counter) -> None:
    several = [await watched(it, SHARED) for _ in range(2)]
    counter.set(1, last=True)
    counter.set(2)
    for _, seen in several:
        assert (seen.numbers, seen.ended) == ([0, 1], [None])
    assert counter.watchers == []
    _, again = await watched(it, SHARED)
    counter.set(3)
    assert again.numbers == [2, 3]


async def test_what_has_ended_before_is_shown_and_ends(it, counter: Counter) -> None:
    counter.set(9, last=True)
    _, seen = await watched(it, SHARED)
    assert (seen.numbers, seen.ended) == ([9], [None])
    assert it.engine._states == {}


async def test_what_is_gone_ends_with_what_it_was_last(it, counter: Counter) -> None:
    _, seen = await watched(it, SHARED)
    counter.offer(None)
    assert (seen.numbers, seen.ended) == ([0, 0], [None])


async def test_while_a_value_is_executed_only_the_latest_waits(it, counter: Counter) -> None:
    query = "subscription { count { number slowly executed } }"
    _, seen = await watched(it, query)
    for number in (1, 2, 3):
        counter.set(number)
    _, late = await watched(it, query)
    assert seen.numbers == late.numbers == []
    FEED["gate"].set()
    while len(seen.numbers) < 2:
        await asyncio.sleep(0)
    assert seen.numbers == late.numbers == [0, 3]
    counter.set(4, last=True)
    while not seen.ended:
        await asyncio.sleep(0)
    assert late.numbers == [0, 3, 4]


async def test_states_keep_their_distance_but_the_first_and_the_last_do_not_wait(it, counter: Counter) -> None:
    query = "subscription { count(every: 0.3) { number } }"
    clock = asyncio.get_running_loop().time
    began = clock()
    _, seen = await watched(it, query)
    assert seen.numbers == [0]
    for number in (1, 2, 3):
        counter.set(number)
    assert seen.numbers == [0]
    async with asyncio.timeout(5):
        while len(seen.numbers) < 2:
            await asyncio.sleep(0.01)
    assert seen.numbers == [0, 3]
    assert 0.3 <= clock() - began < 1
    counter.set(4)
    counter.set(5, last=True)
    assert (seen.numbers, seen.ended) == ([0, 3, 5], [None])


async def test_who_comes_late_to_states_that_keep_their_distance_is_shown_the_newest_shown(
    it, counter: Counter
) -> None:
    query = "subscription { count(every: 30) { number } }"
    await watched(it, query)
    counter.set(1)
    _, late = await watched(it, query)
    assert late.numbers == [0]
    counter.set(2, last=True)
    assert (late.numbers, late.ended) == ([0, 2], [None])


async def test_who_leaves_is_shown_nothing_more_and_the_last_one_closes_the_group(it, counter: Counter) -> None:
    (one, seen), (other, stays) = await watched(it, SHARED), await watched(it, SHARED)
    one.stop()
    one.stop()
    counter.set(1)
    assert (seen.numbers, stays.numbers) == ([0], [0, 1])
    other.stop()
    assert (counter.watchers, counter.held, it.engine._states) == ([], [], {})


async def test_nothing_of_a_group_stays_in_memory_once_its_last_member_has_left(it, counter: Counter) -> None:
    showing, seen = await watched(it, "subscription { count(every: 30) { number } }")
    counter.set(1)
    showing.stop()
    del showing, seen
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, StateGroup | Showing)]


async def test_who_loses_the_right_to_see_it_is_told_so_alone(it, counter: Counter) -> None:
    (_, one), (_, other) = await watched(it, SHARED, ANN), await watched(it, SHARED, BOB)
    counter.held[0](NotFound(what="job", id="j"))
    counter.set(1)
    [[error]] = one.ended
    assert (one.numbers, error["extensions"]) == ([0], {"code": "NOT_FOUND"})
    assert (other.numbers, other.ended, len(counter.held)) == ([0, 1], [], 1)


async def test_a_subscriber_that_is_asked_keeps_the_latest_only(it, counter: Counter) -> None:
    operation = it.engine.prepare(Request(SHARED), "r1")
    async with aclosing(it.engine.run(operation, None, "r1")) as answers:
        seen = [json.loads(await anext(answers))["data"]["count"]["number"]]
        for number in range(1, 1000):
            counter.set(number)
        seen.append(json.loads(await anext(answers))["data"]["count"]["number"])
        counter.set(1000)
        counter.set(1001, last=True)
        seen += [json.loads(answer)["data"]["count"]["number"] async for answer in answers]
    assert seen == [0, 999, 1001]


async def test_a_subscriber_that_is_asked_is_told_of_a_lost_right_before_anything_else(it, counter: Counter) -> None:
    operation = it.engine.prepare(Request(SHARED), "r1")
    async with aclosing(it.engine.run(operation, ANN, "r1")) as answers:
        await anext(answers)
        counter.set(1)
        counter.held[0](NotFound(what="job", id="j"))
        with pytest.raises(Rejected) as rejected:
            await anext(answers)
    assert rejected.value.errors[0]["extensions"] == {"code": "NOT_FOUND"}


async def test_a_value_that_cannot_be_executed_ends_the_group_with_a_masked_error(it, counter: Counter) -> None:
    _, seen = await watched(it, SHARED)

    def broken(viewer: object, request_id: str) -> None:
        raise ValueError("hunter2")

    it.engine._context = broken
    counter.set(1)
    [[error]] = seen.ended
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "r1"}
    assert "hunter2" not in error["message"]
    assert counter.watchers == []


async def test_every_entry_of_a_log_comes_in_order_however_fast_it_grows(it, diary: Diary) -> None:
    diary.entries = 10
    async with asyncio.timeout(5), aclosing(told(it, after=0)) as log:
        seen = [await anext(log) for _ in range(4)]
        diary.add(20)
        seen += [await anext(log) for _ in range(26)]
    assert seen == list(range(1, 31))
    assert diary.bells == diary.held == []


async def test_those_who_keep_up_share_what_was_read_and_executed(it, diary: Diary) -> None:
    logs = [told(it) for _ in range(10)]
    waiting = [asyncio.ensure_future(anext(log)) for log in logs]
    while not diary.bells:
        await asyncio.sleep(0)
    diary.add()
    assert [await each for each in waiting] == [1] * 10
    assert diary.reads.count(0) <= 2  # once when it began, once when it rang
    for log in logs:
        await log.aclose()
    assert it.engine._logs == {}


async def test_who_reads_slowly_misses_nothing_and_holds_up_nobody(it, diary: Diary) -> None:
    async with asyncio.timeout(5), aclosing(told(it)) as slow, aclosing(told(it)) as fast:
        first = [asyncio.ensure_future(anext(log)) for log in (slow, fast)]
        while not diary.bells:
            await asyncio.sleep(0)
        diary.add()
        assert [await each for each in first] == [1, 1]
        for number in range(2, 40):
            diary.add()
            assert await anext(fast) == number
        assert [await anext(slow) for _ in range(38)] == list(range(2, 40))
        diary.add()
        assert (await anext(slow), await anext(fast)) == (40, 40)


async def test_a_cursor_beyond_the_end_waits_for_what_comes_behind_it(it, diary: Diary) -> None:
    async with asyncio.timeout(5), aclosing(told(it, after=5)) as log:
        waiting = asyncio.ensure_future(anext(log))
        while not diary.bells:
            await asyncio.sleep(0)
        for _ in range(7):
            diary.add()
            await asyncio.sleep(0)
        assert (await waiting, await anext(log)) == (6, 7)


async def test_a_log_that_is_gone_completes(it, diary: Diary) -> None:
    diary.entries = 2
    async with asyncio.timeout(5), aclosing(told(it, after=0)) as log:
        assert [await anext(log), await anext(log)] == [1, 2]
        ending = asyncio.ensure_future(anext(log))
        await asyncio.sleep(0)
        diary.gone = True
        diary.ring()
        with pytest.raises(StopAsyncIteration):
            await ending


async def test_who_loses_the_right_to_a_log_is_told_so_even_while_nothing_happens(it, diary: Diary) -> None:
    async with asyncio.timeout(5), aclosing(told(it)) as log:
        waiting = asyncio.ensure_future(anext(log))
        while not diary.held:
            await asyncio.sleep(0)
        diary.held[0](NotFound(what="project", id="p"))
        with pytest.raises(Rejected) as rejected:
            await waiting
    assert rejected.value.errors[0]["extensions"] == {"code": "NOT_FOUND"}
    assert diary.held == []
