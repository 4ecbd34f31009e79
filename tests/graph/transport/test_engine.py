import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest
import strawberry
from graphql import GraphQLError

from domain.refusals import NotFound
from graph.transport.errors import Rejected
from graph.transport.request import Request

pytestmark = pytest.mark.anyio


@strawberry.type
class Hello:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


async def _answers(house, query: str, **members: object) -> list[dict]:
    engine = house.engine
    operation = engine.prepare(Request(query, **members), "r1")
    async with aclosing(engine.run(operation, None, "r1")) as answers:
        return [json.loads(answer) async for answer in answers]


async def test_each_operation_has_a_context_of_its_own(house: Callable):
    @strawberry.type
    class Query:
        @strawberry.field
        def request(self, info: strawberry.Info) -> str:
            return info.context.request_id

    it = house(Query)
    operation = it.engine.prepare(Request("{request}"), "r1")
    for request_id in ("r1", "r2"):
        async with aclosing(it.engine.run(operation, None, request_id)) as answers:
            async for answer in answers:
                assert json.loads(answer) == {"data": {"request": request_id}}
    assert len(it.contexts) == 2


async def test_errors_raised_on_purpose_reach_the_client_with_code_and_place(house: Callable):
    @strawberry.type
    class Query:
        @strawberry.field
        def project(self) -> str | None:
            raise NotFound(what="project", id="p1")

        @strawberry.field
        async def secret(self) -> str | None:
            raise GraphQLError("Sign in first.", extensions={"code": "UNAUTHENTICATED"})

    assert await _answers(house(Query), "{project secret}") == [
        {
            "errors": [
                {
                    "message": "There is no project 'p1', or you may not see it.",
                    "locations": [{"line": 1, "column": 2}],
                    "path": ["project"],
                    "extensions": {"code": "NOT_FOUND"},
                },
                {
                    "message": "Sign in first.",
                    "locations": [{"line": 1, "column": 10}],
                    "path": ["secret"],
                    "extensions": {"code": "UNAUTHENTICATED"},
                },
            ],
            "data": {"project": None, "secret": None},
        }
    ]


async def test_what_nobody_expected_is_masked_and_logged_with_its_traceback(
    house: Callable, caplog: pytest.LogCaptureFixture
):
    @strawberry.type
    class Query:
        @strawberry.field
        def broken(self) -> int | None:
            raise ValueError("hunter2")

        @strawberry.field
        def graphql(self) -> int | None:
            raise GraphQLError("hunter2")

        @strawberry.field
        def missing(self) -> int:
            return None

    masked = {
        "message": "Something went wrong on our side; quote request id r1.",
        "extensions": {"code": "INTERNAL", "requestId": "r1"},
    }
    for field in ("broken", "graphql", "missing"):
        caplog.clear()
        [answer] = await _answers(house(Query), f"{{{field}}}")
        assert answer["errors"] == [{**masked, "locations": [{"line": 1, "column": 2}], "path": [field]}]
        assert "hunter2" not in json.dumps(answer)
        [record] = caplog.records
        assert (record.levelno, record.getMessage()) == (logging.ERROR, f"request r1 failed at ['{field}']")
        assert record.exc_info[1] is not None


async def test_a_list_that_fails_a_thousand_times_is_logged_ten_times(
    house: Callable, caplog: pytest.LogCaptureFixture
):
    @strawberry.type
    class Item:
        @strawberry.field
        def broken(self) -> int | None:
            raise ValueError

    @strawberry.type
    class Query:
        @strawberry.field
        def items(self) -> list[Item]:
            return [Item()] * 1_000

    [answer] = await _answers(house(Query), "{items{broken}}")
    assert len(answer["errors"]) == 1_000
    assert len(caplog.records) == 11
    assert caplog.records[-1].getMessage() == "request r1 failed at 990 more places"


async def test_values_of_the_client_that_do_not_fit_are_the_clients_error(house: Callable):
    @strawberry.input(one_of=True)
    class Choice:
        number: int | None = strawberry.UNSET
        word: str | None = strawberry.UNSET

    @strawberry.type
    class Query:
        @strawberry.field
        def echo(self, number: int = 1) -> int:
            return number

        @strawberry.field
        def chosen(self, choice: Choice) -> int:
            return 1

    it = house(Query)
    for query, variables in [
        ("query($n: Int!) {echo(number: $n)}", {}),
        ("query($n: Int!) {echo(number: $n)}", {"n": "one"}),
        ("query($n: Int!) {echo(number: $n)}", {"n": 2**40}),
        ("query($c: Choice!) {chosen(choice: $c)}", {"c": {}}),
        ("query($c: Choice!) {chosen(choice: $c)}", {"c": {"number": 1, "word": "a"}}),
        ("query($c: Choice!) {chosen(choice: $c)}", {"c": {"number": None}}),
    ]:
        with pytest.raises(Rejected) as rejected:
            await _answers(it, query, variables=variables)
        assert rejected.value.status == 400
        assert [error["extensions"] for error in rejected.value.errors] == [{"code": "BAD_USER_INPUT"}]
    for query, variables in [
        ("query($n: Int = 1) {echo(number: $n)}", {"n": None}),
        ("query($b: Boolean = true) {echo @include(if: $b)}", {"b": None}),
        ("query($n: Int) {chosen(choice: {number: $n})}", {"n": None}),
        ("query($n: Int) {chosen(choice: {number: $n})}", {}),
    ]:
        [answer] = await _answers(it, query, variables=variables)
        assert answer["data"] is None
        assert [error["extensions"] for error in answer["errors"]] == [{"code": "BAD_USER_INPUT"}]


async def test_an_answer_that_json_cannot_say_is_our_error(house: Callable):
    @strawberry.type
    class Query:
        @strawberry.field
        def half(self) -> str:
            return "\ud83d"

    with pytest.raises(Rejected) as rejected:
        await _answers(house(Query), "{half}")
    assert rejected.value.status == 500
    assert rejected.value.errors[0]["extensions"]["code"] == "INTERNAL"


async def test_a_failing_field_ends_its_siblings_before_the_answer(house: Callable):
    ended = []

    @strawberry.type
    class Query:
        @strawberry.field
        async def slow(self, info: strawberry.Info) -> int:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(info.field_name)
            return 1

        @strawberry.field
        async def broken(self) -> int:
            await asyncio.sleep(0)
            raise NotFound(what="project", id="p1")

    [answer] = await _answers(house(Query), "{slow broken}")
    assert answer["data"] is None
    assert ended == ["slow"]


async def test_a_subscription_yields_its_events_each_in_a_context_of_its_own_and_closes_its_source(house: Callable):
    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def count(self, info: strawberry.Info, to: int) -> AsyncGenerator[int, None]:
            with info.context.source():
                try:
                    for number in range(to):
                        yield number
                finally:
                    await asyncio.sleep(0)

    it = house(Hello, subscription=Subscription)
    assert await _answers(it, "subscription {count(to: 2)}") == [{"data": {"count": 0}}, {"data": {"count": 1}}]
    operation = it.engine.prepare(Request("subscription {count(to: 1000)}"), "r1")
    answers = it.engine.run(operation, None, "r1")
    assert json.loads(await anext(answers)) == {"data": {"count": 0}}
    assert [context.closed.is_set() for context in it.sources] == [True, False]
    await answers.aclose()
    assert it.sources[1].closed.is_set()
    assert len(set(map(id, it.contexts))) == 2 + 3


async def test_a_subscription_that_breaks_off_says_why_or_nothing(house: Callable, caplog: pytest.LogCaptureFixture):
    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def lost(self) -> AsyncGenerator[int, None]:
            yield 1
            raise NotFound(what="project", id="p1")

        @strawberry.subscription
        async def broken(self) -> AsyncGenerator[int, None]:
            yield 1
            raise ValueError("hunter2")

        @strawberry.subscription
        async def refused(self) -> AsyncGenerator[int, None]:
            raise NotFound(what="project", id="p1")
            yield 1

        @strawberry.subscription
        async def uneven(self) -> AsyncGenerator[int, None]:
            yield "one"
            yield 2

    it = house(Hello, subscription=Subscription)
    for field, events, code, status in [
        ("lost", 1, "NOT_FOUND", 400),
        ("broken", 1, "INTERNAL", 500),
        ("refused", 0, "NOT_FOUND", 400),
    ]:
        operation = it.engine.prepare(Request(f"subscription {{{field}}}"), "r1")
        answers = it.engine.run(operation, None, "r1")
        for _ in range(events):
            await anext(answers)
        with pytest.raises(Rejected) as rejected:
            await anext(answers)
        assert (rejected.value.status, rejected.value.errors[0]["extensions"]["code"]) == (status, code)
        assert "hunter2" not in str(rejected.value.errors)
    [first, second] = await _answers(it, "subscription {uneven}")
    assert first["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert second == {"data": {"uneven": 2}}


async def test_a_context_that_cannot_be_made_is_our_error(house: Callable):
    it = house(Hello)

    def no_context(viewer: object, request_id: str) -> None:
        raise ConnectionError("hunter2")

    it.engine._context = no_context
    with pytest.raises(Rejected) as rejected:
        await _answers(it, "{hello}")
    assert rejected.value.status == 500
    assert rejected.value.errors[0]["message"] == "Something went wrong on our side; quote request id r1."
