"""Which documents may be executed once for everybody who sends them."""

from collections.abc import AsyncGenerator

import pytest
import strawberry

from graph.schema import build
from graph.transport import DEFAULT_LIMITS
from graph.transport.documents import Documents
from graph.transport.sharing import SAME_FOR_ALL

_SCHEMA = build()
_DOCUMENTS = Documents(_SCHEMA, DEFAULT_LIMITS)


def shared(query: str, name: str | None = None) -> bool:
    return _DOCUMENTS.read(query).is_same_for_all(name)


@pytest.mark.parametrize(
    ("selection", "fragment"),
    [
        ("state", None),
        ("__typename id kind state attempt failures createdAt startedAt endedAt version", None),
        ("progress { stage fraction frames totalFrames fps speed etaSeconds } error { code message }", None),
        ("project { name timelineVersion timeline { __typename } } user { name }", None),
        ("asset { name state facts { width } }", None),
        ("... on Job { state } ... on Node { id } ...F", "fragment F on Job { project { id name } }"),
    ],
)
def test_what_stands_on_the_thing_itself_is_the_same_for_all(selection: str, fragment: str | None) -> None:
    assert shared(f'subscription {{ job(id: "j") {{ {selection} }} }} {fragment or ""}')


@pytest.mark.parametrize(
    ("selection", "fragment"),
    [
        ("asset { downloadUrl }", None),
        ("state asset { name url: downloadUrl(inline: true) }", None),
        ("project { myRole }", None),
        ("project { ...F }", "fragment F on Project { name myRole }"),
        ("project { ...F }", "fragment F on Project { ... on Node { id } ...G } fragment G on Project { myRole }"),
        ("project { jobs { totalCount } }", None),
        ("project { members { totalCount } }", None),
        ("project { eventCursor }", None),
    ],
)
def test_what_is_made_for_one_viewer_is_never_shared(selection: str, fragment: str | None) -> None:
    assert not shared(f'subscription {{ job(id: "j") {{ {selection} }} }} {fragment or ""}')


def test_of_an_interface_every_type_counts() -> None:
    log = 'subscription {{ projectEvents(projectId: "p") {{ kind subject {{ {} }} }} }}'
    assert shared(log.format("__typename id ... on Job { state } ... on Asset { name }"))
    assert not shared(log.format("id ... on Job { state } ... on Asset { downloadUrl }"))
    assert not shared(log.format("id ... on Project { myRole }"))


def test_only_subscriptions_are_shared_and_each_for_itself() -> None:
    query = """
        query Q { viewer { id } }
        subscription A { job(id: "j") { state } }
        subscription B { job(id: "j") { asset { downloadUrl } } }
    """
    assert [shared(query, name) for name in ("Q", "A", "B", None)] == [False, True, False, False]


def test_a_field_says_that_it_is_the_same_for_all_or_it_is_not() -> None:
    @strawberry.type
    class Thing:
        plain: int
        marked: int = strawberry.field(metadata=SAME_FOR_ALL)

        @strawberry.field
        def computed(self) -> int:
            return 1

        @strawberry.field(metadata={**SAME_FOR_ALL, "other": 1})
        def declared(self) -> int:
            return 1

    @strawberry.type
    class Query:
        thing: Thing

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def things(self) -> AsyncGenerator[Thing, None]:
            yield Thing(plain=1, marked=1)

    documents = Documents(strawberry.Schema(Query, subscription=Subscription), DEFAULT_LIMITS)
    fields = ("plain", "marked", "computed", "declared")
    said = {each: documents.read(f"subscription {{ things {{ {each} }} }}").is_same_for_all(None) for each in fields}
    assert said == {"plain": False, "marked": True, "computed": False, "declared": True}


def test_the_resolvers_that_say_so_are_these_and_no_others() -> None:
    """Read it before you add one: whatever the resolver answers goes to everybody who watches the same thing."""
    kinds = {name: kind for name, kind in _SCHEMA._schema.type_map.items() if hasattr(kind, "fields")}
    declared = {
        f"{name}.{field}"
        for name, kind in kinds.items()
        for field, definition in kind.fields.items()
        if (backing := definition.extensions.get("strawberry-definition"))
        and SAME_FOR_ALL.items() <= backing.metadata.items()
        and backing.base_resolver
    }
    assert declared == {
        *(
            f"Job.{each}"
            for each in (
                "asset",
                "attempts",
                "error",
                "parent",
                "priority",
                "progress",
                "project",
                "user",
                "verification",
            )
        ),
        "Canvas.frameRate",
        *(f"ProjectEvent.{each}" for each in ("cursor", "subject")),
    }
