"""docs/follow.py against real API processes that go away and come back."""

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

from reelgraph.process import Process
from tests.docs.pages import ROOT
from tests.installation import Installation, installed, kill
from tests.story import project_of
from tests.wire import Caller


@pytest.fixture
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("follow", ROOT / "docs/follow.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.FIRST_PAUSE = 0.05
    return module


@pytest.fixture
def installation(environment: dict[str, str], tmp_path: Path) -> Iterator[Installation]:
    with installed(environment, tmp_path / "logs") as installation:
        yield installation


def token_of(person: Caller) -> Callable[[], object]:
    async def token() -> str:
        return person.token

    return token


async def _again(installation: Installation, url: str) -> Process:
    """Another API process where the first one was."""
    process = installation._started("api", "api", "--port", str(urlsplit(url).port))
    await asyncio.to_thread(process.wait)
    return process


async def test_the_program_sees_everything_once_whatever_becomes_of_its_server(
    program: ModuleType, installation: Installation
) -> None:
    mortal, _ = await installation.api(), await installation.api()
    ada = await installation.person()
    there = ada.at(installation.urls[1])
    project = await project_of(there)

    async def change(*names: str) -> None:
        for name in names:
            await there.do("updateProject", "... on Project { version }", id=project, name=name)

    async with asyncio.timeout(60), aclosing(program.follow(ada.url, project, "0", token_of(ada))) as events:
        seen = [await anext(events)]
        await change("a")
        seen.append(await anext(events))
        kill(mortal)
        await change("b", "c")
        mortal = await _again(installation, ada.url)
        seen += [await anext(events), await anext(events)]
        await asyncio.to_thread(mortal.stop)
        await change("d")
        await _again(installation, ada.url)
        seen.append(await anext(events))
        await there.do("deleteProject", "", id=project)
        assert [each async for each in events] == []
    assert [each["cursor"] for each in seen] == ["1", "2", "3", "4", "5"]
    assert [each["kind"] for each in seen] == ["MEMBER_ADDED", *["PROJECT_CHANGED"] * 4]


async def test_the_program_gives_up_where_it_is_refused(program: ModuleType, installation: Installation) -> None:
    await installation.api()
    ada, bob = await installation.person(), await installation.person()
    project = await project_of(ada)
    with pytest.raises(program.RefusedError, match="There is no project"):
        [each async for each in program.follow(bob.url, project, None, token_of(bob))]
    bob.token = "not one"
    with pytest.raises(program.RefusedError, match="the token is not valid"):
        [each async for each in program.follow(bob.url, project, None, token_of(bob))]
