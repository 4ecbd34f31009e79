"""Whatever bytes arrive: the answer says what is wrong with them, and is never a 500."""

import json

import pytest

from tests.wire import Caller, http

JSON = "application/json"
QUERY = json.dumps({"query": "{ viewer { id } }"}).encode()
DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        pytest.param(400, JSON, b'{"query": "{ viewer', id="broken JSON"),
        pytest.param(400, JSON, b'{"query": "\xff\xfe"}', id="bad UTF-8"),
        pytest.param(400, JSON, QUERY.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(400, JSON, b"", id="nothing"),
        pytest.param(400, JSON, b"17", id="a number"),
        pytest.param(400, JSON, b"null", id="null"),
        pytest.param(400, JSON, b"[]", id="a list"),
        pytest.param(400, JSON, DEEP, id="brackets without end"),
        pytest.param(400, JSON, b'{"query": 1}', id="a query that is no text"),
        pytest.param(400, JSON, b'{"query": "{ viewer { id } }", "variables": []}', id="variables in a list"),
        pytest.param(400, JSON, b'{"query": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(413, JSON, b'{"query": "' + b" " * 2**20 + b'"}', id="more than a mebibyte"),
        pytest.param(415, "text/plain", QUERY, id="text"),
        pytest.param(415, "multipart/form-data; boundary=x", b"--x--", id="a form"),
        pytest.param(415, "application/json; charset=latin-1", QUERY, id="JSON in Latin-1"),
        pytest.param(415, "", QUERY, id="no content type"),
    ],
)
async def test_a_body_that_cannot_be_read_is_the_clients_fault(
    ada: Caller, status: int, content_type: str, body: bytes
) -> None:
    headers = ada.authorization | ({"Content-Type": content_type} if content_type else {})
    async with http() as client:
        answer = await client.post(f"{ada.url}/graphql", content=body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["errors"])


async def test_a_document_that_is_not_graphql_is_told_so_in_both_media_types(ada: Caller) -> None:
    body = {"query": "{ viewer { no_such_field } }"}
    async with http() as client:
        for accept, status in ((JSON, 200), ("application/graphql-response+json", 400)):
            answer = await client.post(f"{ada.url}/graphql", json=body, headers=ada.authorization | {"Accept": accept})
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (
                status,
                "GRAPHQL_VALIDATION_FAILED",
            )


@pytest.mark.parametrize("token", ["no-token", "eyJhbGciOiJub25lIn0.e30.", "é"])
async def test_a_token_that_is_none_of_ours_is_not_let_in(ada: Caller, token: str) -> None:
    async with http() as client:
        answer = await client.post(
            f"{ada.url}/graphql",
            content=QUERY,
            headers={b"Content-Type": JSON.encode(), b"Authorization": f"Bearer {token}".encode()},
        )
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/graphql", 405),
        ("GET", "/graphql", 400),
        ("GET", "/graphql?query=%FF", 400),
        ("GET", "/graphql?query=mutation{createProject(input:{name:%22x%22}){__typename}}", 405),
        ("GET", "/media/objects/%00/..%2f..%2fetc%2fpasswd", 404),
        ("PUT", "/media/parts/..%2f..%2fetc", 404),
        ("GET", "/no/such/page", 404),
        ("POST", "/oauth/token", 415),
    ],
)
async def test_an_odd_address_or_method_is_the_clients_fault(ada: Caller, method: str, path: str, status: int) -> None:
    async with http() as client:
        answer = await client.request(method, ada.url + path, headers=ada.authorization)
    assert answer.status_code == status, answer.text
