"""The seal on every root field."""

from pathlib import Path
from typing import Any

import pytest
import strawberry

from domain import refusals
from domain.viewer import Scope
from graph.guard import Seal, anyone, undescribed
from graph.refusals import face_of
from graph.schema import Mutation, NotSealed, Query, Subscription, build, sdl
from tests.story import Stage


def test_a_root_field_without_a_policy_refuses_to_start() -> None:
    @strawberry.type
    class Open(Query):
        @strawberry.field(description="Open to all.")
        def secrets(self) -> str:
            return "told"

    with pytest.raises(NotSealed, match=r"Open\.secrets"):
        build(query=Open)


def test_only_the_viewer_may_be_asked_for_by_nobody() -> None:
    open_to_all = [
        field.python_name
        for root in (Query, Mutation, Subscription)
        for field in root.__strawberry_definition__.fields  # type: ignore[attr-defined]
        for extension in field.extensions
        if isinstance(extension, Seal) and extension.policy is anyone
    ]
    assert open_to_all == ["viewer"]


async def test_every_other_root_field_turns_nobody_away(stage: Stage) -> None:
    schema: Any = build()._schema
    for root in (schema.query_type, schema.mutation_type):
        for name, field in root.fields.items():
            if name == "viewer":
                continue
            given = {each: _some(argument.type) for each, argument in field.args.items() if _needed(argument)}
            arguments = f"({', '.join(f'{each}: {value}' for each, value in given.items())})" if given else ""
            operation = "query" if root is schema.query_type else "mutation"
            query = f"{operation} {{ {name}{arguments} {{ __typename }} }}"
            assert await stage.stranger.error(query) == "UNAUTHENTICATED", name


async def test_every_mutation_needs_a_scope(stage: Stage) -> None:
    nobody = await stage.person(scopes=frozenset())
    schema: Any = build()._schema
    for name, field in schema.mutation_type.fields.items():
        given = _some(field.args["input"].type)
        answer = await nobody.ask(
            f"mutation {{ {name}(input: {given}) {{ __typename ... on Forbidden {{ needs }} }} }}"
        )
        assert answer["__typename"] == "Forbidden", name
        assert any(answer["needs"].endswith(scope) for scope in Scope), name


def test_everything_in_the_contract_says_what_it_is() -> None:
    assert undescribed(build()) == []


def test_the_committed_contract_is_the_real_one() -> None:
    committed = Path(__file__).parents[2] / "schema.graphql"
    assert committed.read_text() == sdl(), "run `make schema` and commit schema.graphql"


def test_every_refusal_has_a_face() -> None:
    for refusal in refusals.Refusal.__subclasses__():
        assert face_of(refusal).__strawberry_definition__.name == refusal.__name__  # type: ignore[attr-defined]


def _needed(argument: Any) -> bool:
    return str(argument.type).endswith("!") and not argument.default_value


def _some(kind: Any) -> str:
    """A literal of this type that passes validation."""
    kind = getattr(kind, "of_type", kind) if str(kind).endswith("!") else kind
    if str(kind).startswith("["):
        return "[]"
    if hasattr(kind, "values"):
        return next(iter(kind.values))
    if hasattr(kind, "fields"):
        if kind.extensions["strawberry-definition"].is_one_of:
            name, field = next(iter(kind.fields.items()))
            return f"{{{name}: {_some(field.type)}}}"
        needed = {name: field for name, field in kind.fields.items() if _needed(field)}
        return f"{{{', '.join(f'{name}: {_some(field.type)}' for name, field in needed.items())}}}"
    return {"Int": "1", "Long": "1", "Float": "1.0", "Boolean": "true"}.get(str(kind), '"x"')
