"""What a GraphQL query costs at Shopify, in points.

A scalar costs 0, an object 1, a connection 2 plus the cost of a node times a size that grows with the
logarithm of `first`. Shopify's staff say that connections scale so (community.shopify.dev, thread 24364) and
keep the formula closed; floor(2 ln first), with money and pageInfo free, gives what live shops answered:

    orders(first: 250) { nodes { id } }                                      13
    orders(first: 250) { nodes { id lineItems(first: 250) { nodes { id }}}}  156
    product(id:) { variants(first: 250) { nodes { inventoryItem { id }}}}    25

The older rule of thumb, 2 + first x node, is `scaled` returning its argument: it refuses more than Shopify.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import floor, log
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

MOST_POINTS = 1000
MUTATION_POINTS = 10
FREE_TYPES = frozenset({"MoneyBag", "MoneyV2", "PageInfo"})

Selectable = GraphQLObjectType | GraphQLInterfaceType


def scaled(size: int) -> int:
    """How many nodes a connection of `size` nodes counts for."""
    return floor(2 * log(max(2, size))) if size > 0 else 0


@dataclass(frozen=True, slots=True)
class CostedQuery:
    """A validated document with the variables it runs with."""

    schema: GraphQLSchema
    document: DocumentNode
    operation: OperationDefinitionNode
    variables: Mapping[str, Any]

    def requested(self) -> int:
        """The most it can cost, known before it runs."""
        return self._own() + self._selected(self._root(), self.operation.selection_set, None)

    def actual(self, data: Mapping[str, Any]) -> int:
        """What it cost, with the nodes that came back instead of those asked for."""
        return self._own() + self._selected(self._root(), self.operation.selection_set, data)

    def _own(self) -> int:
        return MUTATION_POINTS if self.operation.operation is OperationType.MUTATION else 0

    def _root(self) -> GraphQLObjectType:
        return cast(GraphQLObjectType, self.schema.get_root_type(self.operation.operation))

    def _selected(self, parent: Selectable, selected: SelectionSetNode, data: Any) -> int:
        return sum(self._field(owner, field, data) for owner, field in self._fields(parent, selected))

    def _field(self, parent: Selectable, field: FieldNode, data: Any) -> int:
        definition = parent.fields.get(field.name.value)
        kind = get_named_type(definition.type) if definition else None
        if field.selection_set is None or not isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
            return 0
        value = None if data is None else data.get((field.alias or field.name).value)
        if data is not None and value is None:
            return 0
        if kind.name.endswith("Connection"):
            size = self._first(field) if value is None else _returned(value)
            return 2 + scaled(size) * self._selected(kind, field.selection_set, value)
        own = 0 if kind.name in FREE_TYPES or kind.name.endswith("Edge") else 1
        values = value if isinstance(value, list) else [value]
        if parent is self.schema.query_type and field.name.value == "nodes":
            count = len(values) if value is not None else self._ids(field)
            return count * (own + self._selected(kind, field.selection_set, None))
        return max((own + self._selected(kind, field.selection_set, one) for one in values), default=0)

    def _first(self, field: FieldNode) -> int:
        given = next((one.value for one in field.arguments or () if one.name.value == "first"), None)
        if isinstance(given, VariableNode):
            name = given.name.value
            value = self.variables.get(name)
            if isinstance(value, int):
                return value
            declared = self.operation.variable_definitions or ()
            given = next((one.default_value for one in declared if one.variable.name.value == name), None)
        return int(given.value) if isinstance(given, IntValueNode) else 0

    def _ids(self, field: FieldNode) -> int:
        given = next((one.value for one in field.arguments or () if one.name.value == "ids"), None)
        if isinstance(given, VariableNode):
            found = self.variables.get(given.name.value)
            return len(found) if isinstance(found, list) else 1
        return len(given.values) if isinstance(given, ListValueNode) else 1

    def _fields(
        self, parent: Selectable, selected: SelectionSetNode
    ) -> Iterator[tuple[Selectable, FieldNode]]:
        for selection in selected.selections:
            if isinstance(selection, FieldNode):
                yield parent, selection
                continue
            fragment = (
                self._fragment(selection.name.value)
                if isinstance(selection, FragmentSpreadNode)
                else cast(InlineFragmentNode, selection)
            )
            condition = fragment.type_condition
            owner = self.schema.type_map[condition.name.value] if condition else parent
            yield from self._fields(cast(Selectable, owner), fragment.selection_set)

    def _fragment(self, name: str) -> FragmentDefinitionNode:
        found = (node for node in self.document.definitions if isinstance(node, FragmentDefinitionNode))
        return next(node for node in found if node.name.value == name)


def _returned(connection: Mapping[str, Any]) -> int:
    return max((len(value) for value in connection.values() if isinstance(value, list)), default=0)
