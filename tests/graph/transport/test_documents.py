import pytest
import strawberry
from graphql import get_introspection_query

from graph.transport.documents import Documents
from graph.transport.errors import Rejected
from graph.transport.limits import Limits


@strawberry.input(one_of=True)
class Choice:
    number: int | None = strawberry.UNSET
    word: str | None = strawberry.UNSET


@strawberry.type
class Query:
    @strawberry.field
    def chosen(self, choice: Choice) -> int:
        return choice.number or 0

    @strawberry.field
    def echo(self, word: str) -> str:
        return word

    @strawberry.field
    def me(self) -> "Query":
        return self


def _documents(**limits: int) -> Documents:
    return Documents(strawberry.Schema(query=Query), Limits(**limits))


def _rejection(query: str, documents: Documents | None = None) -> tuple[str, str]:
    with pytest.raises(Rejected) as rejected:
        (documents or _documents()).read(query)
    error = rejected.value.errors[0]
    return error["extensions"]["code"], error["message"]


def test_a_document_is_prepared_once():
    documents = _documents()
    assert documents.read("{__typename}") is documents.read("{__typename}")
    assert documents.kept == 1


def test_an_invalid_document_is_remembered_with_its_errors():
    documents = _documents()
    assert _rejection("{nope}", documents) == _rejection("{nope}", documents)
    assert _rejection("{nope}", documents) == (
        "GRAPHQL_VALIDATION_FAILED",
        "Cannot query field 'nope' on type 'Query'.",
    )
    assert documents.kept == 1


def test_no_more_documents_are_kept_than_allowed_and_the_last_used_stay():
    documents = _documents(cached_documents=3)
    first = documents.read("{n0:__typename}")
    for i in range(1, 10):
        documents.read(f"{{n{i}:__typename}}")
        assert documents.read("{n0:__typename}") is first
    assert documents.kept == 3


def test_no_more_text_is_kept_than_allowed():
    documents = _documents(cached_characters=1_000)
    for i in range(10):
        documents.read(f"{{n{i}:__typename}}" + " " * 285)
    assert documents.kept == 3
    documents.read("{__typename}" + " " * 2_000)
    assert documents.kept == 0


def test_a_syntax_error_says_where():
    with pytest.raises(Rejected) as rejected:
        _documents().read("{ echo(")
    assert rejected.value.errors == [
        {
            "message": "Syntax Error: Expected Name, found <EOF>.",
            "locations": [{"line": 1, "column": 8}],
            "extensions": {"code": "GRAPHQL_PARSE_FAILED"},
        }
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{" + "a" * 2**16 + "}", "OPERATION_TOO_LARGE"),
        ("{" + "a " * 10_001 + "}", "GRAPHQL_PARSE_FAILED"),
        ("{" + "me{" * 5_000, "GRAPHQL_PARSE_FAILED"),
        ("{echo(word:" + "[" * 5_000, "GRAPHQL_PARSE_FAILED"),
        ("{" + "me{" * 30 + "__typename" + "}" * 31, "OPERATION_TOO_LARGE"),
        ("{...f} fragment f on Query {...f}", "GRAPHQL_VALIDATION_FAILED"),
        ("{...nowhere}", "GRAPHQL_VALIDATION_FAILED"),
        ("{" + "__typename " * 1_000 + "}", "GRAPHQL_VALIDATION_FAILED"),  # a million comparisons
        ("{me{}}", "GRAPHQL_PARSE_FAILED"),
        ("fragment f on Query {me}", "GRAPHQL_VALIDATION_FAILED"),
        ('{echo(word:"\\u0000")}', "GRAPHQL_VALIDATION_FAILED"),
        ('{echo(word:"\\uD83D")}', "GRAPHQL_PARSE_FAILED"),
        ("type A {b: Int}", "GRAPHQL_VALIDATION_FAILED"),
        ("\0", "GRAPHQL_PARSE_FAILED"),
    ],
)
def test_documents_that_cannot_be_executed_are_rejected_with_a_code(query: str, code: str):
    assert _rejection(query)[0] == code


@pytest.mark.parametrize(
    "query",
    [
        '{chosen(choice:{number:1 word:"a"})}',
        "{chosen(choice:{})}",
        "{chosen(choice:{number:null})}",
        "{chosen(choice:{number:$nowhere})}",
        "query A($n:Int){...f} query B{...f} fragment f on Query{chosen(choice:{number:$n})}",
    ],
)
def test_a_one_of_input_takes_one_value_and_says_so_wherever_it_is_written(query: str):
    assert _rejection(query)[0] == "GRAPHQL_VALIDATION_FAILED"


def test_a_one_of_input_takes_a_variable_even_from_a_fragment_that_comes_first():
    assert _documents().read("fragment f on Query{chosen(choice:{number:$n})} query($n:Int!){...f}").operations


def test_the_introspection_of_tools_is_within_the_limits():
    assert _documents().read(get_introspection_query(input_value_deprecation=True, specified_by_url=True)).operations


def test_an_operation_is_found_by_its_name_or_by_being_alone():
    document = _documents().read("query A {__typename} query B {__typename}")
    assert document.operation("B").name.value == "B"
    for name in (None, "C"):
        with pytest.raises(Rejected) as rejected:
            document.operation(name)
        assert rejected.value.errors[0]["extensions"] == {"code": "OPERATION_RESOLUTION_FAILURE"}
