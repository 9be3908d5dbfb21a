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
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

MOST_POINTS = 1000
FREE_TYPES = frozenset({"MoneyBag", "MoneyV2", "PageInfo", "OrderEdge", "LineItemEdge"})

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
        return self._selected(self._root(), self.operation.selection_set, None)

    def actual(self, data: Mapping[str, Any]) -> int:
        """What it cost, with the nodes that came back instead of those asked for."""
        return self._selected(self._root(), self.operation.selection_set, data)

    def _root(self) -> GraphQLObjectType:
        return cast(GraphQLObjectType, self.schema.query_type)

    def _selected(self, parent: Selectable, selected: SelectionSetNode, data: Any) -> int:
        return sum(self._field(parent, field, data) for field in self._fields(selected))

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
        own = 0 if kind.name in FREE_TYPES else 1
        values = value if isinstance(value, list) else [value]
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

    def _fields(self, selected: SelectionSetNode) -> Iterator[FieldNode]:
        for selection in selected.selections:
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                yield from self._fields(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                yield from self._fields(self._fragment(selection.name.value).selection_set)

    def _fragment(self, name: str) -> FragmentDefinitionNode:
        found = (node for node in self.document.definitions if isinstance(node, FragmentDefinitionNode))
        return next(node for node in found if node.name.value == name)


def _returned(connection: Mapping[str, Any]) -> int:
    return max((len(value) for value in connection.values() if isinstance(value, list)), default=0)
