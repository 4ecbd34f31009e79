import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import httpx
import pytest
import strawberry

from graph.transport import Limits

pytestmark = pytest.mark.anyio

EVENTS = {"accept": "text/event-stream"}


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def flood(self, info: strawberry.Info) -> AsyncGenerator[str, None]:
        with info.context.source():
            while True:
                yield "x" * 100_000

    @strawberry.subscription
    async def silence(self, info: strawberry.Info) -> AsyncGenerator[int, None]:
        with info.context.source():
            try:
                yield 0
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)


@pytest.fixture
def it(house: Callable):
    return house(Query, subscription=Subscription, limits=Limits(keep_alive_seconds=0.05))


def _events(text: str) -> list[str]:
    return [block for block in text.split("\n\n") if block not in ("", ":")]


async def _post(client: httpx.AsyncClient, query: str) -> list[str]:
    response = await client.post("/graphql", json={"query": query}, headers=EVENTS)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"]
    assert "content-length" not in response.headers
    return _events(response.text)


async def test_a_subscription_is_a_stream_of_events_that_completes(it):
    async with it.client() as client:
        assert await _post(client, "subscription{count(to: 2)}") == [
            'event: next\ndata: {"data":{"count":0}}',
            'event: next\ndata: {"data":{"count":1}}',
            "event: complete\ndata:",
        ]
        got = await client.get("/graphql", params={"query": "subscription{count(to: 1)}"}, headers=EVENTS)
        assert _events(got.text) == ['event: next\ndata: {"data":{"count":0}}', "event: complete\ndata:"]
        anything = await client.get("/graphql", params={"query": "subscription{count(to: 0)}"})
        assert _events(anything.text) == ["event: complete\ndata:"]


async def test_a_query_may_be_answered_as_events_too(it):
    async with it.client() as client:
        assert await _post(client, "{hello}") == [
            'event: next\ndata: {"data":{"hello":"hello"}}',
            "event: complete\ndata:",
        ]


async def test_an_operation_that_cannot_start_says_so_in_the_stream(it):
    async with it.client() as client:
        for query, code in [
            ("subscription{", "GRAPHQL_PARSE_FAILED"),
            ("subscription{nope}", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription($n: Int!){count(to: $n)}", "BAD_USER_INPUT"),
        ]:
            [following, complete] = await _post(client, query)
            assert following.startswith('event: next\ndata: {"errors":[{"message":"')
            assert following.endswith(f'"extensions":{{"code":"{code}"}}}}]}}')
            assert complete == "event: complete\ndata:"


async def test_a_silent_stream_is_kept_alive_and_ends_as_soon_as_the_client_leaves(it):
    async with it.served() as address, httpx.AsyncClient() as client:
        request = client.stream(
            "POST", f"http://{address}/graphql", json={"query": "subscription{silence}"}, headers=EVENTS
        )
        async with request as response:
            text = ""
            async for chunk in response.aiter_text():
                text += chunk
                if text.count(":\n\n") > 3:
                    break
            assert _events(text) == ['event: next\ndata: {"data":{"silence":0}}']
        await asyncio.wait_for(it.sources[0].closed.wait(), 5)


async def test_an_ended_sign_in_ends_its_streams_with_an_error_and_completes_them(it):
    async with it.served() as address, httpx.AsyncClient(headers={"authorization": "Bearer ann"}) as client:
        request = client.stream(
            "POST", f"http://{address}/graphql", json={"query": "subscription{silence}"}, headers=EVENTS
        )
        async with request as response:
            chunks = response.aiter_text()
            text = ""
            while "data" not in text:
                text += await anext(chunks)
            [(_, ended)] = it.signed_in
            ended()
            async for chunk in chunks:
                text += chunk
        [_, following, complete] = _events(text)
        assert following.endswith('"extensions":{"code":"UNAUTHENTICATED"}}]}')
        assert complete == "event: complete\ndata:"
        assert it.sources[0].closed.is_set()
        assert it.signed_in == []


async def test_a_client_that_reads_nothing_for_too_long_is_cut_off(house: Callable):
    it = house(Query, subscription=Subscription, limits=Limits(socket_stall_seconds=0.3))
    async with it.served() as address:
        reader, writer = await asyncio.open_connection(*address.split(":"), limit=1)
        body = b'{"query": "subscription{flood}"}'
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        read = await reader.readexactly(1)
        await asyncio.wait_for(it.sources[0].closed.wait(), 5)
        with contextlib.suppress(ConnectionResetError):
            while more := await reader.read(2**20):
                read = more
        assert not read.endswith(b"0\r\n\r\n")  # cut, and not ended in order
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


async def test_a_server_that_drains_ends_streams_without_completing_them(it):
    async with it.served() as address, httpx.AsyncClient() as client:
        request = client.stream(
            "POST", f"http://{address}/graphql", json={"query": "subscription{silence}"}, headers=EVENTS
        )
        async with request as response:
            chunks = response.aiter_text()
            text = ""
            while "data" not in text:
                text += await anext(chunks)
            it.draining.set()
            async for chunk in chunks:
                text += chunk
            assert _events(text) == ['event: next\ndata: {"data":{"silence":0}}']
        assert it.sources[0].closed.is_set()
