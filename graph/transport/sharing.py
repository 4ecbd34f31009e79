"""Which operations show everybody the same: what was executed for one subscriber may then be sent to another."""

from collections.abc import Sequence
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    is_abstract_type,
    is_object_type,
    visit,
)

SAME_FOR_ALL = {"same_for_all": True}
"""Metadata of a field that shows the same to whoever may see the thing it belongs to. Without it nothing is shared.

Never for what is made for one viewer: signed URLs, roles, lists that depend on rights, whatever asks who asks.
"""


def is_same_for_all(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Sequence[FragmentDefinitionNode]
) -> bool:
    """Whether every field below the operation's root fields is SAME_FOR_ALL. The document must be valid."""
    types = TypeInfo(schema)
    fields = _Fields(schema, types, schema.get_root_type(operation.operation))
    for definition in (operation, *fragments):
        visit(definition, TypeInfoVisitor(types, fields))
    return fields.same_for_all


class _Fields(Visitor):
    def __init__(self, schema: GraphQLSchema, types: TypeInfo, root: GraphQLObjectType | None) -> None:
        super().__init__()
        self._schema = schema
        self._types = types
        self._root = root
        self.same_for_all = True

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self._types.get_parent_type()
        if parent is self._root or node.name.value == "__typename":
            return
        concrete = [parent] if is_object_type(parent) else ()
        if is_abstract_type(parent):
            concrete = self._schema.get_possible_types(parent)
        if not concrete or not all(_is_same_for_all(each, node.name.value) for each in concrete):
            self.same_for_all = False


def _is_same_for_all(kind: GraphQLObjectType, name: str) -> bool:
    definition: Any = kind.fields[name].extensions.get("strawberry-definition")
    return definition is not None and SAME_FOR_ALL.items() <= definition.metadata.items()
