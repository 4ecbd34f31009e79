import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from urllib.parse import quote

import httpx
import pytest
import strawberry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.refusals import NotFound
from graph.transport import Limits

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
GRAPHQL = "application/graphql-response+json"


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "you") -> str:
        return f"hello {name}"

    @strawberry.field
    def viewer(self, info: strawberry.Info) -> str | None:
        return info.context.viewer and info.context.viewer.user_id

    @strawberry.field
    def project(self) -> str:
        raise NotFound(what="project", id="p1")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def change(self) -> int:
        return 1


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number


@pytest.fixture
def it(house: Callable):
    return house(Query, mutation=Mutation, subscription=Subscription, limits=Limits(body_bytes=10_000))


@pytest.fixture
async def client(it) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with it.client() as client:
        yield client


async def _post(client: httpx.AsyncClient, query: str, **headers: str) -> httpx.Response:
    return await client.post("/graphql", json={"query": query}, headers=headers)


async def test_a_query_by_post_or_get_is_answered_as_json_with_a_request_id(it, client: httpx.AsyncClient):
    posted = await client.post(
        "/graphql",
        json={
            "query": "query A($n: String!){hello(name:$n)} query B{hello}",
            "operationName": "A",
            "variables": {"n": "é"},
        },
    )
    got = await client.get(
        "/graphql",
        params={"query": "query($n: String!){hello(name:$n)}", "variables": '{"n": "é"}', "operationName": ""},
    )
    for response, context in zip((posted, got), it.contexts, strict=True):
        assert response.status_code == 200
        assert response.json() == {"data": {"hello": "hello é"}}
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-request-id"] == context.request_id
    assert it.contexts[0].request_id != it.contexts[1].request_id


async def test_a_mutation_is_only_for_post(it, client: httpx.AsyncClient):
    refused = await client.get("/graphql", params={"query": "mutation{change}"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert it.contexts == []
    assert (await _post(client, "mutation{change}")).json() == {"data": {"change": 1}}
    for method in ("PUT", "DELETE", "HEAD"):
        assert (await client.request(method, "/graphql?query={hello}")).status_code == 405


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, application/json", GRAPHQL),
        (f"application/json, {GRAPHQL}", "application/json"),
        (f"application/json;q=0.5, {GRAPHQL};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0, */*;q=0.1", "application/json"),
        ("text/event-stream, application/json;q=0.1", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "application/json"),
    ],
)
async def test_the_answer_has_the_media_type_that_is_asked_for(
    client: httpx.AsyncClient, accept: str | None, content_type: str
):
    if accept is None:
        del client.headers["accept"]
    response = await _post(client, "{hello}", **({"accept": accept} if accept else {}))
    assert response.headers["content-type"] == f"{content_type}; charset=utf-8"


async def test_what_we_do_not_speak_is_not_acceptable(it, client: httpx.AsyncClient):
    for accept in ("text/html", "application/json;q=0", "application/xml, text/plain", "nonsense"):
        response = await _post(client, "{hello}", accept=accept)
        assert response.status_code == 406
        assert response.json()["errors"][0]["extensions"] == {"code": "NOT_ACCEPTABLE"}
    assert (await _post(client, "subscription{count}", accept="application/json")).status_code == 406
    assert it.contexts == []


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", 400),
        ("{nope}", "GRAPHQL_VALIDATION_FAILED", 400),
        ("query A{hello} query B{hello}", "OPERATION_RESOLUTION_FAILURE", 400),
        ("query($n: String!){hello(name:$n)}", "BAD_USER_INPUT", 400),
        ("{project}", "NOT_FOUND", 200),
    ],
)
async def test_an_operation_that_fails_has_its_status_by_the_media_type(
    client: httpx.AsyncClient, query: str, code: str, status: int
):
    plain = await _post(client, query, accept="application/json")
    graphql = await _post(client, query, accept=GRAPHQL)
    assert (plain.status_code, graphql.status_code) == (200, status)
    assert plain.json() == graphql.json()
    assert plain.json()["errors"][0]["extensions"] == {"code": code}
    assert ("data" in plain.json()) == (status == 200)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/jsonp",
        "text/plain; application/json",
    ],
)
async def test_only_json_is_taken_so_that_no_form_of_another_site_can_post(
    it, client: httpx.AsyncClient, content_type: str
):
    body = b'{"query": "mutation{change}"}'
    response = await client.post("/graphql", content=body, headers={"content-type": content_type})
    assert response.status_code == 415
    assert it.contexts == []


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", 'Application/JSON ; Charset="utf-8"'])
async def test_json_may_name_its_charset(client: httpx.AsyncClient, content_type: str):
    response = await client.post("/graphql", content=b'{"query": "{hello}"}', headers={"content-type": content_type})
    assert response.status_code == 200


async def test_a_compressed_body_is_not_taken(client: httpx.AsyncClient):
    response = await client.post("/graphql", content=b"{}", headers={**JSON, "content-encoding": "gzip"})
    assert response.status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1",
        b'"{hello}"',
        b"[]",
        b'[{"query": "{hello}"}]',
        b"{",
        b"{}",
        b'{"query": null}',
        b'{"query": ""}',
        b'{"query": "{hello}", "query": "{hello}"}',
        b'{"query": "{hello}", "variables": []}',
        b'{"query": "{hello}", "variables": "{}"}',
        b'{"query": "{hello}", "extensions": "{}"}',
        b'{"query": "{hello}", "operationName": 1}',
        b'{"query": "\xff"}',
        b"\x80",
        b"[" * 9_999,
        b'{"query": "{hello}", "variables": {"a": NaN}}',
        rb'{"query": "{hello(name: \"\ud800\")}"}',
        rb'{"query": "{hello}", "variables": {"n": "\u0000"}}',
    ],
)
async def test_a_malformed_body_is_a_bad_request(it, client: httpx.AsyncClient, body: bytes):
    for accept in ("application/json", GRAPHQL, "text/event-stream"):
        response = await client.post("/graphql", content=body, headers={**JSON, "accept": accept})
        assert response.status_code == 400
        assert response.json()["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}
        assert response.headers["x-request-id"]
    assert it.contexts == []


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "query=",
        "query={hello}&query={hello}",
        "query={hello}&variables=[]",
        "query={hello}&variables={",
        "query={hello}&extensions=1",
        "query=%ff",
        "&".join(f"a{i}=1" for i in range(20)),
    ],
)
async def test_a_malformed_query_string_is_a_bad_request(it, client: httpx.AsyncClient, query_string: str):
    assert (await client.get(f"/graphql?{query_string}")).status_code == 400
    assert it.contexts == []


async def test_a_body_beyond_the_limit_is_too_large_whatever_it_announces(it, client: httpx.AsyncClient):
    async def chunks() -> AsyncGenerator[bytes, None]:
        for _ in range(11):
            yield b" " * 1_000

    exact = json.dumps({"query": "{hello}"}).encode().ljust(10_000)
    assert (await client.post("/graphql", content=exact, headers=JSON)).status_code == 200
    for content, headers in [
        (exact + b" ", {}),
        (chunks(), {}),
        (chunks(), {"content-length": "10"}),
        (chunks(), {"content-length": "-1"}),
        (chunks(), {"content-length": "9" * 5_000}),
        (b"{}", {"content-length": "10001"}),
    ]:
        response = await client.post("/graphql", content=content, headers={**JSON, **headers})
        assert response.status_code == 413
        assert response.json()["errors"][0]["extensions"] == {"code": "TOO_LARGE"}
    assert len(it.contexts) == 1


async def test_a_body_that_never_ends_times_out(house: Callable):
    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"{"
        await asyncio.Event().wait()

    async with house(Query, limits=Limits(body_seconds=0.05)).client() as client:
        assert (await client.post("/graphql", content=endless(), headers=JSON)).status_code == 408


async def test_a_bearer_token_tells_who_asks(client: httpx.AsyncClient):
    assert (await _post(client, "{viewer}")).json() == {"data": {"viewer": None}}
    for authorization in ("Bearer ann", "bearer  ann "):
        assert (await _post(client, "{viewer}", authorization=authorization)).json() == {"data": {"viewer": "ann"}}


@pytest.mark.parametrize(
    "authorization", ["Bearer eve", "Bearer", "Bearer ", "", "ann", "Basic YTpi", "Bearer ann ann"]
)
async def test_a_token_that_is_not_valid_is_unauthorized_not_anonymous(
    it, client: httpx.AsyncClient, authorization: str
):
    for accept in ("application/json", GRAPHQL, "text/event-stream"):
        response = await _post(client, "{viewer}", authorization=authorization, accept=accept)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert it.contexts == []


async def test_two_tokens_are_none(client: httpx.AsyncClient):
    headers = [("authorization", "Bearer ann"), ("authorization", "Bearer ann")]
    assert (await client.post("/graphql", json={"query": "{hello}"}, headers=headers)).status_code == 401


async def test_a_token_that_cannot_be_looked_up_is_our_error_and_masked(client: httpx.AsyncClient):
    response = await _post(client, "{viewer}", authorization="Bearer broken")
    request_id = response.headers["x-request-id"]
    assert response.status_code == 500
    assert response.json() == {
        "errors": [
            {
                "message": f"Something went wrong on our side; quote request id {request_id}.",
                "extensions": {"code": "INTERNAL", "requestId": request_id},
            }
        ]
    }


_FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
_HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_QUERY = st.text("{}()[]$!:@.\"'#\\ \n\0abhelo1,…\ud800", max_size=60) | st.sampled_from(
    ["{hello}", "{hello(name:$n)}"]
)


@_FUZZ
@given(
    body=st.binary(max_size=200)
    | st.fixed_dictionaries(
        {"query": _QUERY | _VALUE},
        optional={"variables": _VALUE, "operationName": _VALUE, "extensions": _VALUE},
    ).map(lambda value: json.dumps(value).encode()),
    content_type=st.just("application/json") | st.just("application/json") | _HEADER,
    accept=st.just("*/*") | _HEADER,
)
async def test_no_body_and_no_header_ends_in_a_500(it, body: bytes, content_type: str, accept: str):
    async with it.client() as client:
        response = await client.post("/graphql", content=body, headers={"content-type": content_type, "accept": accept})
    assert response.status_code in {200, 400, 406, 415}


@_FUZZ
@given(query=_QUERY, rest=st.binary(max_size=60))
async def test_no_query_string_ends_in_a_500(it, query: str, rest: bytes):
    async with it.client() as client:
        url = f"/graphql?query={quote(query, errors='replace')}&variables={quote(rest)}"
        assert (await client.get(url)).status_code in {200, 400}
