"""The stories of console/stories, told in a real browser to a real deployment. `make test-browser` runs them."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from persistence.accounts import Passwords, create_user
from persistence.database import Database
from tests.installation import Installation, installed

CONSOLE = Path(__file__).parents[2] / "console"
STORIES = sorted(CONSOLE.glob("stories/*.test.js"))
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "analytical engines"
SECONDS = 300


def missing() -> str:
    """What is not here that a browser's story needs, in words; empty if nothing is."""
    needed = {
        "node": shutil.which("node"),
        "chromium": CHROMIUM,
        "the packages of console/, which make test-browser installs": (
            CONSOLE / "node_modules/playwright-core"
        ).exists(),
    }
    return ", ".join(name for name, found in needed.items() if not found)


pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {missing()}")


@pytest.fixture
async def installation(environment: dict[str, str], tmp_path: Path) -> AsyncGenerator[Installation]:
    """An API and a worker, and Ada, an administrator with a password."""
    with installed(environment, tmp_path / "logs") as installation:
        async with Database.opened(installation.settings) as database, database.sessions() as session, session.begin():
            await create_user(
                session, Passwords(), name="Ada Lovelace", email="ada@example.org", password=PASSWORD, is_admin=True
            )
        await installation.api()
        await installation.worker()
        yield installation


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("story", STORIES, ids=lambda each: each.name.removesuffix(".test.js"))
async def test_graphiql_in_a_browser(story: Path, installation: Installation) -> None:
    told = await asyncio.create_subprocess_exec(
        "node",
        "--test",
        "--test-reporter=spec",
        story,
        cwd=CONSOLE,
        env=os.environ
        | {
            "CHROMIUM": str(CHROMIUM),
            "REELGRAPH_URL": installation.urls[0],
            "REELGRAPH_EMAIL": "ada@example.org",
            "REELGRAPH_PASSWORD": PASSWORD,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await told.communicate()
    finally:
        if told.returncode is None:
            told.kill()
            await told.wait()
    assert told.returncode == 0, output.decode()
