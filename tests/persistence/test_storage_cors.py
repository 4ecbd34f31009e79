"""Whether pages of other origins may use the bucket."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from persistence.settings import Settings
from persistence.storage import StorageUnavailableError
from persistence.storage.cors import EXPOSED, METHODS, check_cors, origins, set_cors
from persistence.storage.s3 import S3Storage
from tests.s3 import ON_S3

APP = "https://app.example.org"
MOTO = pytest.mark.parametrize("storage_environment", ON_S3[:1], indirect=True)
RCLONE = pytest.mark.parametrize("storage_environment", ON_S3[1:], indirect=True)


@pytest.fixture
def settings(storage_environment: dict[str, str]) -> Settings:
    needed = {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "SECRET_KEY": "k" * 32}
    asked = {"ALLOWED_ORIGINS": APP, "PUBLIC_URL": APP}
    return Settings.read(needed | asked | storage_environment)


@pytest.fixture
async def storage(settings: Settings) -> AsyncGenerator[S3Storage]:
    storage = await S3Storage.opened(settings)
    yield storage
    await storage.close()


def store(**rules: object) -> httpx.AsyncClient:
    """A store with these rules, kept by Starlette: it says of every object that there is none."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(middleware=[Middleware(CORSMiddleware, **rules)])))


@MOTO
async def test_our_rule_is_set_beside_those_of_others_and_again(storage: S3Storage, settings: Settings) -> None:
    theirs = {"ID": "theirs", "AllowedMethods": ["GET"], "AllowedOrigins": ["https://other.example"]}
    storage.bucket.set_cors_rules([theirs])
    await set_cors(storage, settings)
    await set_cors(storage, replace(settings, allowed_origins=("https://new.example",)))
    first, ours = storage.bucket.cors_rules()
    assert first["ID"] == "theirs"
    assert ours["AllowedOrigins"] == ["https://new.example", APP]
    assert (tuple(ours["AllowedMethods"]), tuple(ours["ExposeHeaders"])) == (METHODS, EXPOSED)


@RCLONE
async def test_a_store_without_rules_says_so(storage: S3Storage, settings: Settings) -> None:
    with pytest.raises(StorageUnavailableError, match="PutBucketCors"):
        await set_cors(storage, settings)


@RCLONE
async def test_the_check_sees_whom_a_store_lets_in_and_what_it_hides(storage: S3Storage, settings: Settings) -> None:
    (hidden,) = await check_cors(storage, settings)
    assert hidden == f"pages of {APP} are not shown the headers Content-Range, Accept-Ranges, Content-Disposition"
    other = await check_cors(storage, replace(settings, public_url="https://stranger.example"))
    assert other[1] == f"pages of https://stranger.example may not send parts to {storage.bucket.public_url}"


@MOTO
@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"allow_origins": [APP], "allow_methods": METHODS, "expose_headers": EXPOSED}, None),
        ({"allow_origins": ["*"], "allow_methods": METHODS, "expose_headers": EXPOSED}, None),
        ({"allow_origins": ["https://other.example"], "allow_methods": METHODS}, "may not send parts"),
        ({"allow_origins": [APP], "allow_methods": ["GET"]}, "may not send parts"),
        (
            {"allow_origins": [APP], "allow_methods": METHODS, "expose_headers": ["ETag"]},
            "not shown the headers Content",
        ),
    ],
    ids=["right", "anybody", "another", "no PUT", "hidden"],
)
async def test_the_check_asks_as_a_browser_does(
    storage: S3Storage, settings: Settings, rules: dict[str, object], words: str | None
) -> None:
    problems = await check_cors(storage, settings, web=store(allow_headers=["content-type"], **rules))
    if words is None:
        assert problems == []
    else:
        (problem,) = problems
        assert words in problem


@RCLONE
async def test_a_public_address_that_does_not_answer_is_said(settings: Settings) -> None:
    storage = await S3Storage.opened(replace(settings, s3_public_endpoint_url="http://127.0.0.1:1"))
    (problem,) = await check_cors(storage, settings)
    await storage.close()
    assert problem.startswith("http://127.0.0.1:1/")
    assert "cannot be reached from here" in problem


def test_any_origin_is_any_origin() -> None:
    settings = Settings(
        database_url="postgresql://h/d", redis_url="redis://h", secret_key="k" * 32, allowed_origins=("*", APP)
    )
    assert origins(settings) == ("*",)
    assert origins(replace(settings, allowed_origins=(APP,))) == (APP, "http://127.0.0.1:8000")
