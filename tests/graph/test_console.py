import gzip
import json
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values
from starlette.applications import Starlette

from graph import console
from graph.schema import sdl
from persistence.accounts import CONSOLE
from persistence.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "console"
STATIC = ROOT / "graph" / "console" / "static"
MANIFEST = json.loads((STATIC / "manifest.json").read_text())
EXAMPLES = sorted((SOURCES / "source" / "examples").glob("*.graphql"))
SETTINGS = Settings.read(
    {
        "DATABASE_URL": "postgresql://nowhere/",
        "REDIS_URL": "redis://nowhere/",
        "SECRET_KEY": "long enough, and not needed here!",
    }
)
LONG = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def app() -> Starlette:
    return Starlette(routes=console.routes(SETTINGS))


@pytest.fixture
async def browser(app: Starlette) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(app) as browser:
        yield browser


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(sdl())


def asset(name: str) -> bytes:
    return gzip.decompress((STATIC / "assets" / f"{name}.gz").read_bytes())


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/callback?code=c&state=s"])
async def test_the_page_lets_nothing_in_from_elsewhere_and_is_kept_nowhere(
    browser: httpx.AsyncClient, path: str
) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].split("; ") == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self' ws://127.0.0.1:8000",
        "worker-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_knows_the_issuer_and_our_client_and_says_nothing_in_line(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/graphiql")).text
    assert f'data-public-url="http://127.0.0.1:8000" data-client-id="{CONSOLE}"' in page
    assert re.findall(r"<script(.*?)>(.*?)</script>", page, re.DOTALL) == [
        (f' type="module" src="/graphiql/assets/{MANIFEST["script"]}"', "")
    ]


async def test_below_a_path_of_a_proxy_everything_is_asked_for_below_it() -> None:
    settings = replace(SETTINGS, public_url="https://example.org/media")
    async with client(Starlette(routes=console.routes(settings))) as browser:
        answer = await browser.get("/graphiql")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    assert addresses == [
        "/media/graphiql/icon.svg",
        f"/media/graphiql/assets/{MANIFEST['style']}",
        f"/media/graphiql/assets/{MANIFEST['script']}",
    ]
    assert "connect-src 'self' wss://example.org;" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", MANIFEST["assets"])
async def test_assets_are_sent_compressed_and_stay_for_good(browser: httpx.AsyncClient, name: str) -> None:
    answer = await browser.get(f"/graphiql/assets/{name}", headers={"Accept-Encoding": "gzip, br"})
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == (STATIC / "assets" / f"{name}.gz").stat().st_size
    assert answer.headers["cache-control"] == LONG
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
    suffix = name.rpartition(".")[2]
    assert answer.headers["content-type"] == kinds.get(suffix, f"font/{suffix}")
    assert answer.content == asset(name)


async def test_a_client_without_gzip_gets_an_asset_as_it_is(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(f"/graphiql/assets/{MANIFEST['style']}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == asset(MANIFEST["style"])


@pytest.mark.parametrize("name", ["manifest.json", "..%2Fmanifest.json", "console.js", "%00"])
async def test_nothing_else_is_served(browser: httpx.AsyncClient, name: str) -> None:
    assert (await browser.get(f"/graphiql/assets/{name}")).status_code == 404


async def test_the_icon_and_the_licences_of_what_is_bundled_are_served(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/graphiql/icon.svg")).headers["content-type"] == "image/svg+xml"
    licenses = (await browser.get("/graphiql/licenses.txt")).text
    for package in ("graphiql 5.", "react-dom 19.", "monaco-editor 0.", "graphql 16.", "graphql-ws 6."):
        assert re.search(f"^{re.escape(package)}.*\\(MIT\\)$", licenses, re.MULTILINE), package


def test_the_manifest_names_the_files_that_are_there() -> None:
    files = {path.name.removesuffix(".gz") for path in (STATIC / "assets").iterdir()}
    assert files == set(MANIFEST["assets"])
    assert {MANIFEST["script"], MANIFEST["style"]} <= files


def test_the_built_files_are_of_these_sources_and_this_lock() -> None:
    names = ("build.js", "package.json", "package-lock.json")
    paths = [path for path in SOURCES.glob("source/**/*") if path.is_file()] + [SOURCES / name for name in names]
    digest = sha256()
    for name, path in sorted((path.relative_to(SOURCES).as_posix(), path) for path in paths):
        digest.update(f"{name}\n".encode() + path.read_bytes())
    assert digest.hexdigest() == MANIFEST["sources"], "the console has changed since it was built: make console"


def test_the_lock_pins_every_package_by_hash_and_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    packages = {path: each for path, each in lock.items() if path}
    assert {path for path, each in packages.items() if not each.get("integrity", "").startswith("sha512-")} == set()
    assert {path for path, each in packages.items() if "resolved" in each} == set()


def references(text: str) -> Iterator[str]:
    """What a style sheet or script would load: url(), @import, import() and import … from."""
    yield from re.findall(r"url\(\s*[\"']?([^\"')]+)", text)
    yield from re.findall(r"@import\s*[\"']([^\"']+)", text)
    yield from re.findall(r"\bimport\s*\(\s*[\"']([^\"']+)", text)
    yield from re.findall(r"\bimport\b[^;\"'()]*[\"']([^\"']+)[\"']", text)


@pytest.mark.parametrize("name", [each for each in MANIFEST["assets"] if each.endswith((".js", ".css"))])
def test_an_asset_loads_only_its_neighbours(name: str) -> None:
    elsewhere = {
        each
        for each in references(asset(name).decode())
        if re.match(r"(https?:)?//", each) and not each.startswith("http://www.w3.org/")
    }
    assert elsewhere == set()
    local = {each[2:] for each in references(asset(name).decode()) if each.startswith("./") and "-" in each}
    assert local <= set(MANIFEST["assets"])


@pytest.mark.parametrize("name", [each for each in MANIFEST["assets"] if each.endswith(".js")])
def test_no_script_evaluates_text(name: str) -> None:
    assert re.findall(r"(?<![\w.$])eval\s*\(|new Function\s*\(", asset(name).decode()) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_with_its_variables(path: Path, schema: GraphQLSchema) -> None:
    document = parse(path.read_text())
    assert validate(schema, document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    given = json.loads(path.with_suffix(".json").read_text())
    values = get_variable_values(schema, operation.variable_definitions or (), given)
    assert not isinstance(values, list), values
    assert {each.variable.name.value for each in operation.variable_definitions or ()} == set(given)


def test_every_example_is_a_tab() -> None:
    tabs = re.findall(r'from "\./examples/([a-z-]+)\.graphql"', (SOURCES / "source" / "examples.ts").read_text())
    assert sorted(tabs) == [path.stem for path in EXAMPLES]
