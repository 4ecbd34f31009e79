"""How much one client may ask for, and how large a document is before anything of it runs."""

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

_NESTING = 100
"""Selection sets within selection sets, of any kind: far below Python's recursion limit, far beyond any real query."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Independent of what an operation costs: these keep the transports themselves from being overrun."""

    body_bytes: int = 2**20
    """The most bytes of one HTTP body or one WebSocket message."""
    body_seconds: float = 30.0
    """How long a client may take to send a body."""
    query_characters: int = 2**16
    tokens: int = 10_000
    depth: int = 20
    """Fields within fields. The introspection query of GraphiQL has 15."""
    definitions: int = 200
    """Operations and fragments of one document: validation compares each with each."""
    fields: int = 5_000
    """Fields (and so aliases) of one operation, every fragment counted wherever it is spread."""
    cached_documents: int = 1_000
    cached_characters: int = 2**18
    """A parsed document takes up to 150 times the memory of its text, so this is the limit that binds: some 40 MB."""
    socket_operations: int = 50
    """Operations that one WebSocket may have under way."""
    socket_init_seconds: float = 10.0
    """How long a WebSocket may stay open before its connection_init."""
    socket_stall_seconds: float = 30.0
    """How long a client may read nothing while something waits to be sent: then its connection is cut."""
    keep_alive_seconds: float = 12.0
    """The longest silence on an event stream: proxies drop those that say nothing."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Size:
    """How large an operation is once its fragments are written out."""

    depth: int
    fields: int


def measure(document: DocumentNode, limits: Limits) -> int:
    """Refuse a document with an operation beyond the limits; return how many selections were looked at.

    It runs before validation, which is quadratic in places, so it takes cycles and unknown fragments as they come:
    validation reports them. Each fragment is measured once, however often it is spread: doubling spreads cost nothing.
    """
    if len(document.definitions) > limits.definitions:
        raise _too_large(f"its document has more than {limits.definitions} operations and fragments")
    walk = _Walk(document, limits)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            walk.selections(definition.selection_set, nesting=1)
    return walk.visited


class _Walk:
    def __init__(self, document: DocumentNode, limits: Limits) -> None:
        self.visited = 0
        self._limits = limits
        self._measured: dict[str, Size] = {}
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }

    def selections(self, selected: SelectionSetNode, nesting: int) -> Size:
        if nesting > _NESTING:
            raise _too_large(f"its selections are nested more than {_NESTING} levels deep")
        depth = fields = 0
        for node in selected.selections:
            self.visited += 1
            size = self._selection(node, nesting)
            depth = max(depth, size.depth)
            fields += size.fields
        if depth > self._limits.depth:
            raise _too_large(f"its fields are nested more than {self._limits.depth} levels deep")
        if fields > self._limits.fields:
            raise _too_large(f"it selects more than {self._limits.fields} fields")
        return Size(depth, fields)

    def _selection(self, node: SelectionNode, nesting: int) -> Size:
        if isinstance(node, FieldNode):
            inner = self.selections(node.selection_set, nesting + 1) if node.selection_set else Size(0, 0)
            return Size(inner.depth + 1, inner.fields + 1)
        if isinstance(node, InlineFragmentNode):
            return self.selections(node.selection_set, nesting + 1)
        if isinstance(node, FragmentSpreadNode):
            return self._fragment(node.name.value, nesting)
        raise TypeError(node)

    def _fragment(self, name: str, nesting: int) -> Size:
        if name not in self._measured:
            self._measured[name] = Size(0, 0)  # what a spread of itself, or of nothing, adds
            if name in self._fragments:
                self._measured[name] = self.selections(self._fragments[name].selection_set, nesting + 1)
        return self._measured[name]


def _too_large(why: str) -> GraphQLError:
    return GraphQLError(f"The operation is too large: {why}.", extensions={"code": "OPERATION_TOO_LARGE"})
