"""Documents made ready for execution: parsed, measured, validated, and kept, since small operations are mostly that."""

from collections import OrderedDict
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLFormattedError,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    OverlappingFieldsCanBeMergedRule,
    StringValueNode,
    ValidationContext,
    ValidationRule,
    parse,
    specified_rules,
    validate,
)
from strawberry import Schema
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from graph.transport.errors import Rejected, coded, formatted
from graph.transport.limits import Limits, measure
from graph.transport.request import is_text
from graph.transport.sharing import is_same_for_all


@dataclass(frozen=True, eq=False)
class Document:
    """A valid document; equal to itself only."""

    node: DocumentNode
    operations: tuple[OperationDefinitionNode, ...]
    same_for_all: frozenset[str | None]
    """The names of the subscriptions that show every viewer the same."""

    def is_same_for_all(self, name: str | None) -> bool:
        """Whether the subscription of this name shows every viewer the same."""
        return name in self.same_for_all

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation of this name, or the only one; raise Rejected when it is not clear which is meant."""
        if name is None:
            if len(self.operations) == 1:
                return self.operations[0]
            problem = "The document has several operations: operationName must say which to execute."
        else:
            for operation in self.operations:
                if operation.name and operation.name.value == name:
                    return operation
            problem = f"The document has no operation named {name!r}."
        raise Rejected([formatted(problem, "OPERATION_RESOLUTION_FAILURE")])


class Documents:
    """The documents of one schema. The recently used ones are kept, invalid ones with their errors."""

    def __init__(self, schema: Schema, limits: Limits) -> None:
        self._schema = schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # there is no public way to it
        self._limits = limits
        self._kept: OrderedDict[str, Document | list[GraphQLFormattedError]] = OrderedDict()
        self._characters = 0
        _check_one_of_natively(self._schema)

    @property
    def kept(self) -> int:
        """How many are kept now."""
        return len(self._kept)

    def read(self, query: str) -> Document:
        """The document of this text; raise Rejected when it is too large, or is not valid."""
        if len(query) > self._limits.query_characters:
            problem = f"The query has {len(query)} characters, {self._limits.query_characters} are allowed."
            raise Rejected([formatted(problem, "OPERATION_TOO_LARGE")])
        found = self._kept.get(query)
        if found is None:
            found = self._prepared(query)
            self._keep(query, found)
        else:
            self._kept.move_to_end(query)
        if isinstance(found, Document):
            return found
        raise Rejected(found)

    def _prepared(self, query: str) -> Document | list[GraphQLFormattedError]:
        try:
            node = parse(query, max_tokens=self._limits.tokens, allow_empty_selection_sets=False)
            measure(node, self._limits)
            invalid = validate(self._schema, node, _RULES)
        except GraphQLError as error:
            return [coded(error, "GRAPHQL_PARSE_FAILED")]
        if invalid:
            return [coded(error, "GRAPHQL_VALIDATION_FAILED") for error in invalid]
        operations = [each for each in node.definitions if isinstance(each, OperationDefinitionNode)]
        fragments = [each for each in node.definitions if isinstance(each, FragmentDefinitionNode)]
        same_for_all = frozenset(
            each.name.value if each.name else None
            for each in operations
            if each.operation is OperationType.SUBSCRIPTION and is_same_for_all(self._schema, each, fragments)
        )
        return Document(node, tuple(operations), same_for_all)

    def _keep(self, query: str, found: Document | list[GraphQLFormattedError]) -> None:
        self._kept[query] = found
        self._characters += len(query)
        while len(self._kept) > self._limits.cached_documents or self._characters > self._limits.cached_characters:
            oldest, _ = self._kept.popitem(last=False)
            self._characters -= len(oldest)


class _TextRule(ValidationRule):
    """Strings in a document are text, as those in variables are."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if not is_text(node.value):
            self.report_error(GraphQLError("A string must not contain NUL.", node))


class _OverlapRule(OverlappingFieldsCanBeMergedRule):
    """Fields of one name are compared pair by pair. graphql-core's own budget for that allows a second of it."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = _COMPARISONS


_COMPARISONS = 100_000
_RULES = (
    *(_OverlapRule if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules),
    MaybeNullValidationRule,
    _TextRule,
)


def _check_one_of_natively(schema: GraphQLSchema) -> None:
    """Tell graphql-core which inputs are @oneOf.

    Strawberry checks them by a rule of its own instead, which raises KeyError for a variable that is not defined, or
    is used in a fragment. graphql-core's own rules know the same and answer with the place.
    """
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            definition = kind.extensions.get("strawberry-definition")
            kind.is_one_of = kind.is_one_of or bool(getattr(definition, "is_one_of", False))
