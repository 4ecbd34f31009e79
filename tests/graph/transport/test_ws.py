import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import strawberry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from domain.refusals import NotFound
from graph.transport import Limits
from graph.transport.live import State
from graph.transport.sharing import SAME_FOR_ALL
from tests.graph.transport.feeds import Counter

pytestmark = pytest.mark.anyio

PROTOCOL = Subprotocol("graphql-transport-ws")


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self, info: strawberry.Info) -> str | None:
        return info.context.viewer and info.context.viewer.user_id

    @strawberry.field
    def request(self, info: strawberry.Info) -> str:
        return info.context.request_id

    @strawberry.field
    def broken(self) -> int | None:
        raise ValueError("hunter2")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def change(self) -> int:
        return 1


@strawberry.type
class Count:
    number: int = strawberry.field(metadata=SAME_FOR_ALL)

    @strawberry.field(metadata=SAME_FOR_ALL)
    def ballast(self) -> str:
        return "x" * 50_000


COUNTERS: dict[str, Counter] = {}


@strawberry.type
class Subscription:
    @strawberry.subscription(graphql_type=Count)
    async def state(self) -> State:
        feed = COUNTERS["it"]
        return State(feed=feed, present=feed.value, hold=feed.hold)

    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def silence(self, info: strawberry.Info) -> AsyncGenerator[int, None]:
        with info.context.source():
            try:
                yield 0
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)

    @strawberry.subscription
    async def flood(self, info: strawberry.Info) -> AsyncGenerator[str, None]:
        info.context.flooded = asyncio.Event()
        with info.context.source():
            for _ in range(500):
                yield "x" * 100_000
            info.context.flooded.set()

    @strawberry.subscription
    async def slow_to_close(self, info: strawberry.Info) -> AsyncGenerator[int, None]:
        info.context.closing, info.context.may_close = asyncio.Event(), asyncio.Event()
        with info.context.source():
            try:
                yield 0
                await asyncio.Event().wait()
            finally:
                info.context.closing.set()
                await info.context.may_close.wait()

    @strawberry.subscription
    async def lost(self) -> AsyncGenerator[int, None]:
        yield 1
        raise NotFound(what="project", id="p1")


@pytest.fixture
def it(house: Callable):
    COUNTERS["it"] = Counter()
    limits = Limits(socket_operations=3, body_bytes=100_000)
    return house(Query, mutation=Mutation, subscription=Subscription, limits=limits)


@pytest.fixture
def counter(it) -> Counter:
    return COUNTERS["it"]


class Client:
    """The client's side of the protocol, no cleverer than the tests need."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: object) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> dict:
        return json.loads(await asyncio.wait_for(self.socket.recv(), 5))

    async def init(self, **payload: object) -> None:
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, key: str, query: str, **members: object) -> None:
        await self.send(type="subscribe", id=key, payload={"query": query, **members})

    async def closed(self) -> tuple[int, str]:
        try:
            while True:
                await self.receive()
        except ConnectionClosed as closed:
            return closed.rcvd.code, closed.rcvd.reason


@asynccontextmanager
async def connected(address: str, **options: object) -> AsyncGenerator[Client, None]:
    async with connect(f"ws://{address}/graphql", subprotocols=[PROTOCOL], **options) as socket:
        assert socket.subprotocol == PROTOCOL
        yield Client(socket)


@pytest.fixture
async def address(it) -> AsyncGenerator[str, None]:
    async with it.served() as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncGenerator[Client, None]:
    async with connected(address) as client:
        yield client


async def test_queries_mutations_and_subscriptions_are_answered(client: Client):
    await client.init()
    for query, answers in [
        ("{viewer}", [{"data": {"viewer": None}}]),
        ("mutation{change}", [{"data": {"change": 1}}]),
        ("subscription{count(to: 2)}", [{"data": {"count": 0}}, {"data": {"count": 1}}]),
    ]:
        await client.subscribe("a", query)  # an id may be used again once its operation is complete
        for answer in answers:
            assert await client.receive() == {"id": "a", "type": "next", "payload": answer}
        assert await client.receive() == {"id": "a", "type": "complete"}


async def test_variables_and_operation_names_are_heard(client: Client):
    await client.init()
    query = "query A{viewer} subscription B($to: Int!){count(to: $to)}"
    await client.subscribe("a", query, operationName="B", variables={"to": 1}, extensions=None)
    assert (await client.receive())["payload"] == {"data": {"count": 0}}


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION"])
async def test_the_token_of_connection_init_tells_who_asks(client: Client, name: str):
    await client.init(**{name: "Bearer ann", "other": 1})
    await client.subscribe("a", "{viewer}")
    assert (await client.receive())["payload"] == {"data": {"viewer": "ann"}}


async def test_no_two_operations_of_a_socket_share_a_context(it, client: Client):
    await client.init()
    await client.subscribe("a", "subscription{silence}")
    await client.subscribe("b", "subscription{silence}")
    assert {(await client.receive())["id"], (await client.receive())["id"]} == {"a", "b"}
    await client.subscribe("c", "{request}")
    request_id = (await client.receive())["payload"]["data"]["request"]
    assert await client.receive() == {"id": "c", "type": "complete"}
    assert request_id == it.contexts[-1].request_id
    assert len({context.request_id for context in it.contexts}) == 3
    assert len(set(map(id, it.contexts))) == 5  # and one for each of the two events


async def test_an_operation_that_cannot_start_is_an_error_message_and_the_socket_stays(client: Client):
    await client.init()
    for query, code in [
        ("subscription{", "GRAPHQL_PARSE_FAILED"),
        ("subscription{nope}", "GRAPHQL_VALIDATION_FAILED"),
        ("query A{viewer} query B{viewer}", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription($n: Int!){count(to: $n)}", "BAD_USER_INPUT"),
        ("{" + "a" * 70_000 + "}", "OPERATION_TOO_LARGE"),
    ]:
        await client.subscribe("a", query)
        message = await client.receive()
        assert (message["id"], message["type"]) == ("a", "error")
        assert [error["extensions"]["code"] for error in message["payload"]] == [code]
    await client.subscribe("a", "{viewer}")
    assert (await client.receive())["type"] == "next"


async def test_a_field_that_fails_is_part_of_the_answer_and_masked(it, client: Client):
    await client.init()
    await client.subscribe("a", "{broken}")
    [error] = (await client.receive())["payload"]["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": it.contexts[0].request_id}
    assert "hunter2" not in error["message"]
    assert await client.receive() == {"id": "a", "type": "complete"}


async def test_a_subscription_that_breaks_off_ends_with_an_error_and_no_complete(client: Client):
    await client.init()
    await client.subscribe("a", "subscription{lost}")
    assert (await client.receive())["payload"] == {"data": {"lost": 1}}
    message = await client.receive()
    assert (message["type"], message["payload"][0]["extensions"]) == ("error", {"code": "NOT_FOUND"})
    await client.subscribe("a", "{viewer}")
    assert (await client.receive())["type"] == "next"


async def test_completing_a_subscription_closes_its_source_and_nothing_follows(it, client: Client):
    await client.init()
    await client.subscribe("a", "subscription{silence}")
    assert (await client.receive())["type"] == "next"
    await client.send(type="complete", id="a")
    await client.send(type="complete", id="unknown")
    await asyncio.wait_for(it.sources[0].closed.wait(), 5)
    await client.subscribe("a", "{viewer}")
    assert await client.receive() == {"id": "a", "type": "next", "payload": {"data": {"viewer": None}}}


async def test_a_client_that_goes_away_has_all_its_operations_closed(it, address: str):
    async with connected(address) as client:
        await client.init()
        for key in "abc":
            await client.subscribe(key, "subscription{silence}")
            assert (await client.receive())["type"] == "next"
        client.socket.transport.abort()  # no close frame: the line is cut
        for context in it.sources:
            await asyncio.wait_for(context.closed.wait(), 5)
    assert len(it.sources) == 3


async def test_a_source_that_is_slow_to_close_is_left_to_finish_when_the_client_goes_away_meanwhile(it, address: str):
    async with connected(address) as client:
        await client.init()
        await client.subscribe("a", "subscription{slowToClose}")
        await client.receive()
        [context] = it.sources
        await client.send(type="complete", id="a")
        await asyncio.wait_for(context.closing.wait(), 5)
        it.draining.set()
        assert await client.closed() == (1012, "Service restart")
        assert not context.closed.is_set()
        context.may_close.set()
        await asyncio.wait_for(context.closed.wait(), 5)


async def test_no_more_operations_are_under_way_than_a_socket_may_have(client: Client):
    await client.init()
    for key in "abc":
        await client.subscribe(key, "subscription{silence}")
        await client.receive()
    await client.subscribe("d", "{viewer}")
    message = await client.receive()
    assert (message["id"], message["type"]) == ("d", "error")
    assert message["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS"}
    await client.send(type="complete", id="a")
    for attempt in range(100):  # until the first has closed
        await client.subscribe(f"e{attempt}", "{viewer}")
        if (await client.receive())["type"] == "next":
            break
    else:
        pytest.fail("the completed operation left no room")


async def test_a_client_that_reads_nothing_stops_its_subscriptions_and_fills_no_memory(it, address: str):
    async with connected(address, max_queue=1) as client:
        await client.init()
        await client.subscribe("a", "subscription{flood}")
        await client.receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(it.sources[0].flooded.wait(), 0.5)
        client.socket.transport.abort()
        await asyncio.wait_for(it.sources[0].closed.wait(), 5)


async def test_a_state_is_shown_to_all_who_watch_it_and_completes_behind_its_end(counter: Counter, address: str):
    async with connected(address) as one, connected(address) as other:
        for key, client in (("a", one), ("b", other)):
            await client.init()
            await client.subscribe(key, "subscription{state{number}}")
            assert await client.receive() == {"id": key, "type": "next", "payload": {"data": {"state": {"number": 0}}}}
        counter.set(1)
        counter.set(2, last=True)
        for key, client in (("a", one), ("b", other)):
            for number in (1, 2):
                payload = {"data": {"state": {"number": number}}}
                assert await client.receive() == {"id": key, "type": "next", "payload": payload}
            assert await client.receive() == {"id": key, "type": "complete"}
            await client.subscribe(key, "{viewer}")  # the id is free again
            assert (await client.receive())["type"] == "next"
    assert counter.watchers == counter.held == []


async def test_a_state_that_is_completed_by_the_client_is_watched_no_more(counter: Counter, client: Client):
    await client.init()
    await client.subscribe("a", "subscription{state{number}}")
    await client.receive()
    await client.send(type="complete", id="a")
    await client.subscribe("b", "{viewer}")
    assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]
    assert counter.watchers == counter.held == []
    counter.set(1)
    await client.send(type="ping")
    assert await client.receive() == {"type": "pong"}


async def test_states_count_among_the_operations_of_a_socket(client: Client):
    await client.init()
    for key in "abc":
        await client.subscribe(key, "subscription{state{number}}")
        await client.receive()
    await client.subscribe("d", "{viewer}")
    assert (await client.receive())["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS"}
    await client.send(type="complete", id="b")
    await client.subscribe("d", "{viewer}")
    assert (await client.receive())["type"] == "next"


async def test_a_right_that_is_lost_ends_the_subscription_with_an_error_and_the_socket_stays(
    counter: Counter, client: Client
):
    await client.init()
    await client.subscribe("a", "subscription{state{number}}")
    await client.receive()
    counter.held[0](NotFound(what="job", id="j"))
    message = await client.receive()
    assert (message["id"], message["type"], message["payload"][0]["extensions"]) == (
        "a",
        "error",
        {"code": "NOT_FOUND"},
    )
    await client.subscribe("a", "{viewer}")
    assert (await client.receive())["type"] == "next"


async def test_a_client_that_reads_nothing_is_kept_the_latest_state_only_and_never_misses_the_end(
    it, counter: Counter, address: str
):
    async with connected(address, max_queue=1) as slow, connected(address) as fast:
        for client in (slow, fast):
            await client.init()
            await client.subscribe("a", "subscription{state{number ballast}}")
        assert (await fast.receive())["payload"]["data"]["state"]["number"] == 0
        for number in range(1, 1001):  # 50 MB
            counter.set(number)
            assert (await fast.receive())["payload"]["data"]["state"]["number"] == number
        counter.set(1001, last=True)
        seen = []
        while (message := await slow.receive())["type"] == "next":
            seen.append(message["payload"]["data"]["state"]["number"])
    assert message == {"id": "a", "type": "complete"}
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0, 1001)
    assert len(seen) < 500


async def test_a_client_that_reads_nothing_for_too_long_is_cut_off(house: Callable):
    COUNTERS["it"] = counter = Counter()
    it = house(Query, subscription=Subscription, limits=Limits(socket_stall_seconds=0.3))
    async with it.served() as address, connected(address, max_queue=1) as slow, connected(address) as fast:
        for client in (slow, fast):
            await client.init()
            await client.subscribe("a", "subscription{state{number ballast}}")
        await fast.receive()
        for number in range(1, 300):
            counter.set(number)
            await fast.receive()
        async with asyncio.timeout(5):
            while len(counter.held) > 1:
                await asyncio.sleep(0.02)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await slow.receive()
        assert closed.value.rcvd is None  # cut, and not closed in order
        counter.set(300)
        assert (await fast.receive())["payload"]["data"]["state"]["number"] == 300
    assert counter.watchers == counter.held == []


async def test_an_ended_sign_in_closes_its_sockets_and_no_others(it, address: str):
    async with connected(address) as anns, connected(address) as anybodys:
        await anns.init(authorization="Bearer ann")
        await anybodys.init()
        for client in (anns, anybodys):
            await client.subscribe("a", "subscription{silence}")
            await client.receive()
        [(viewer, ended)] = it.signed_in
        assert viewer.user_id == "ann"
        ended()
        assert await anns.closed() == (4403, "Forbidden")
        await asyncio.wait_for(it.sources[0].closed.wait(), 5)
        assert not it.sources[1].closed.is_set()
        assert it.signed_in == []


async def test_pings_are_answered_at_any_time_and_pongs_are_heard(client: Client):
    await client.send(type="ping")
    assert await client.receive() == {"type": "pong"}
    await client.send(type="pong", payload={"a": 1})
    await client.init()
    await client.send(type="ping", payload={"a": 1})
    assert await client.receive() == {"type": "pong", "payload": {"a": 1}}


async def test_a_socket_without_connection_init_is_closed(house: Callable):
    async with house(Query, limits=Limits(socket_init_seconds=0.05)).served() as address, connected(address) as client:
        await client.send(type="ping")
        assert await client.closed() == (4408, "Connection initialisation timeout")


async def test_a_second_connection_init_closes_the_socket(client: Client):
    await client.init()
    await client.send(type="connection_init")
    assert await client.closed() == (4429, "Too many initialisation requests")


async def test_an_operation_before_the_acknowledgement_closes_the_socket(it, client: Client):
    await client.subscribe("a", "{viewer}")
    assert await client.closed() == (4401, "Unauthorized")
    assert it.contexts == []


async def test_an_id_that_is_in_use_closes_the_socket_and_its_operations(it, client: Client):
    await client.init()
    await client.subscribe("a", "subscription{silence}")
    await client.subscribe("a", "subscription{silence}")
    assert await client.closed() == (4409, "Subscriber for a already exists")
    for context in it.sources:
        await asyncio.wait_for(context.closed.wait(), 5)


async def test_a_token_that_is_not_valid_closes_the_socket(address: str):
    for authorization in ("Bearer eve", "ann", "", 1, None):
        async with connected(address) as client:
            await client.send(type="connection_init", payload={"authorization": authorization})
            assert await client.closed() == (4403, "Forbidden")


async def test_a_token_that_cannot_be_looked_up_closes_the_socket_and_says_nothing(client: Client):
    await client.send(type="connection_init", payload={"authorization": "Bearer broken"})
    assert await client.closed() == (4500, "Internal server error")


_INVALID = [
    "",
    "{",
    "[]",
    "1",
    "null",
    "[" * 50_000,
    "{}",
    '{"type": null}',
    '{"type": "start"}',
    '{"type": "next", "id": "a"}',
    '{"type": "ping", "payload": 1}',
    '{"type": "complete"}',
    '{"type": "complete", "id": 1}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": "a"}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{viewer}"}}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{viewer}"}}',
    '{"type": "subscribe", "id": "a", "payload": "{viewer}"}',
    '{"type": "subscribe", "id": "a", "payload": {}}',
    '{"type": "subscribe", "id": "a", "payload": {"query": "{viewer}", "variables": []}}',
    r'{"type": "subscribe", "id": "\u0000", "payload": {"query": "{viewer}"}}',
    '{"type": "ping", "type": "ping"}',
    '{"type": "' + "é" * 500 + '"}',
    b'{"type": "ping"}',
]


async def test_an_invalid_message_closes_the_socket(it, address: str):
    for message in _INVALID:
        async with connected(address) as client:
            await client.init()
            await client.socket.send(message)
            code, reason = await client.closed()
            assert (code, reason[:17]) == (4400, "Invalid message: "), message
    assert it.contexts == []


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
_MESSAGE = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "complete", "ping", "pong", "connection_init"]) | _VALUE},
    optional={
        "id": st.just("a") | _VALUE,
        "payload": _VALUE
        | st.fixed_dictionaries({"query": st.just("{viewer}") | _VALUE}, optional={"variables": _VALUE}),
    },
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages=st.lists(st.binary(max_size=30) | st.text(max_size=30) | _MESSAGE.map(json.dumps), max_size=3))
async def test_no_message_breaks_the_server(address: str, messages: list[bytes | str]):
    async with connected(address) as client:
        await client.init()
        code = None
        try:
            for message in [*messages, '{"type": "ping", "payload": {"last": true}}']:
                await client.socket.send(message)
            while await client.receive() != {"type": "pong", "payload": {"last": True}}:
                pass
        except ConnectionClosed as closed:
            code = closed.rcvd.code
    assert code in {None, 4400, 4409, 4429}


async def test_a_connection_init_with_a_payload_that_is_no_object_closes_the_socket(client: Client):
    await client.send(type="connection_init", payload=[])
    assert (await client.closed())[0] == 4400


async def test_a_message_that_is_too_big_closes_the_socket(client: Client):
    await client.init()
    await client.send(type="ping", payload={"a": "x" * 100_000})
    assert await client.closed() == (1009, "Message too big")


@pytest.mark.parametrize("subprotocols", [None, ["graphql-ws"]])
async def test_a_client_of_another_protocol_is_told_so(address: str, subprotocols: list[Subprotocol] | None):
    async with connect(f"ws://{address}/graphql", subprotocols=subprotocols) as socket:
        assert await Client(socket).closed() == (4406, "Subprotocol not acceptable")


async def test_only_pages_of_allowed_origins_and_our_own_may_connect(it):
    async with it.served(("https://editor.example",)) as address:
        for origin in (None, "https://editor.example", "https://EDITOR.example", f"http://{address}"):
            async with connected(address, origin=origin) as client:
                await client.init()
        port = address.rpartition(":")[2]
        for origin in ("https://evil.example", "null", "http://127.0.0.1", f"http://localhost:{port}", "http://[", "x"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/graphql", subprotocols=[PROTOCOL], origin=origin)
            assert refused.value.response.status_code == 403


async def test_any_origin_may_connect_when_all_are_allowed(it):
    async with it.served(("*",)) as address, connected(address, origin="null") as client:
        await client.init()


async def test_a_server_that_drains_closes_its_sockets_for_the_clients_to_connect_elsewhere(it, client: Client):
    await client.init()
    await client.subscribe("a", "subscription{silence}")
    await client.receive()
    it.draining.set()
    assert await client.closed() == (1012, "Service restart")
    await asyncio.wait_for(it.sources[0].closed.wait(), 5)


async def test_a_server_that_stops_leaves_no_operation_open(it):
    async with it.served() as address:
        socket = await connect(f"ws://{address}/graphql", subprotocols=[PROTOCOL])
        client = Client(socket)
        await client.init()
        await client.subscribe("a", "subscription{silence}")
        await client.receive()
    assert (await client.closed())[0] == 1012
    assert it.sources[0].closed.is_set()
    await socket.close()
