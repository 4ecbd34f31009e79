"""What keeps the house in order, beyond what import-linter can say."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import domain
from domain.refusals import Refusal

FILES = sorted(Path(domain.__file__).parent.rglob("*.py"))
NOT_OURS = {"select", "insert", "update", "delete", "Session", "AsyncSession", "create_engine", "sessionmaker"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_domain_awaits_nothing_and_queries_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text())
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, asynchronous)]
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy")
        for alias in node.names
    }
    assert not imported & NOT_OURS


@pytest.mark.parametrize("refusal", Refusal.__subclasses__(), ids=lambda refusal: refusal.code)
def test_every_refusal_says_what_was_wrong(refusal: type[Refusal]) -> None:
    facts = {name: f"‹{name}›" for name in (field.name for field in fields(refusal))}
    message = refusal(**facts).message
    assert message.endswith((".", "‹problem›."))
    assert "{" not in message
