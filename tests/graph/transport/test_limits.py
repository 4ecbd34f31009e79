import pytest
from graphql import GraphQLError, parse

from graph.transport.limits import Limits, measure


def _refusal(query: str, **limits: int) -> str:
    with pytest.raises(GraphQLError) as refused:
        measure(parse(query), Limits(**limits))
    assert refused.value.extensions == {"code": "OPERATION_TOO_LARGE"}
    return refused.value.message


def test_fields_may_be_nested_as_deep_as_the_limit_and_no_deeper():
    assert measure(parse("{a{a{a}}}"), Limits(depth=3)) == 3
    assert (
        _refusal("{a{a{a{a}}}}", depth=3)
        == "The operation is too large: its fields are nested more than 3 levels deep."
    )
    fragments = "{a{...f}} fragment f on A {... on A {a{a}}}"
    assert measure(parse(fragments), Limits(depth=3)) == 5
    assert "more than 2 levels" in _refusal(fragments, depth=2)


def test_fields_and_aliases_are_counted_wherever_their_fragment_is_spread():
    query = "{...f ...f x:a} fragment f on A {a b:a c{d}}"
    assert measure(parse(query), Limits(fields=9)) == 7
    assert _refusal(query, fields=8) == "The operation is too large: it selects more than 8 fields."


def test_operations_of_one_document_are_measured_each_by_itself():
    assert measure(parse("query A {a b} query B {a b}"), Limits(fields=2)) == 4


@pytest.mark.parametrize("body", ["...f{n} ...f{n}", "a{{...f{n} ...f{n}}}"])
def test_a_bomb_of_doubling_fragments_is_refused_after_looking_at_each_selection_once(body: str):
    levels = 40
    fragments = " ".join(f"fragment f{i} on A {{{body.format(n=i + 1)}}}" for i in range(levels))
    bomb = f"{{...f0}} {fragments} fragment f{levels} on A {{a}}"
    visited = 1 + 3 * levels + 1  # each selection once, though they stand for 2**40 fields
    assert measure(parse(bomb), Limits(fields=2**70, depth=100)) <= visited
    assert _refusal(bomb) in {
        "The operation is too large: it selects more than 5000 fields.",
        "The operation is too large: its fields are nested more than 20 levels deep.",
    }


def test_fragments_that_go_round_or_lead_nowhere_are_left_to_validation():
    assert measure(parse("{...f} fragment f on A {a ...g} fragment g on A {...f ...nowhere}"), Limits()) == 5


def test_a_long_chain_of_fragments_is_refused_and_exhausts_no_stack():
    chain = " ".join(f"fragment f{i} on A {{...f{i + 1}}}" for i in range(190))
    assert "selections are nested" in _refusal("{...f0}" + chain)
