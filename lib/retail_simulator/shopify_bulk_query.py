"""Which queries may run in bulk, and how a node becomes lines of the answer.

The restrictions are those of the official documentation: one connection at least and five at most, nested two deep at
most, none inside a list, each of nodes that have an id; `node` and `nodes` not at the top.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    parse,
    validate,
    value_from_ast_untyped,
)

Json = dict[str, Any]
# For a connection, named `Order.lineItems`: the rendered nodes below a rendered node.
Below = Mapping[str, Callable[[Json], Iterable[Json]]]

MOST_CONNECTIONS, MOST_DEPTH = 5, 2


class BulkRefusedError(Exception):
    """The query may not run in bulk."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection in the query, and what is selected of its nodes."""

    name: str
    arguments: Json
    kind: GraphQLObjectType
    selected: SelectionSetNode
    depth: int


class BulkQuery:
    """A query that may run in bulk. Raises BulkRefusedError where it may not."""

    def __init__(self, schema: GraphQLSchema, text: str) -> None:
        self._schema = schema
        self._document = _valid(schema, text)
        operation = next(n for n in self._document.definitions if isinstance(n, OperationDefinitionNode))
        if operation.operation is not OperationType.QUERY:
            raise BulkRefusedError("Only queries can be run in bulk.")
        root = cast(GraphQLObjectType, schema.query_type)
        top = [field.name.value for _, field in self._fields(root, operation.selection_set)]
        if {"node", "nodes"} & set(top):
            raise BulkRefusedError("Bulk queries cannot contain a top level `node` or `nodes` field.")
        connections = list(self._connections(root, operation.selection_set, depth=1, in_list=False))
        if not connections:
            raise BulkRefusedError("Bulk queries must contain at least one connection.")
        if len(connections) > MOST_CONNECTIONS:
            raise BulkRefusedError(f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections.")
        if max(each.depth for each in connections) > MOST_DEPTH:
            raise BulkRefusedError(
                f"Bulk queries cannot contain connections with a nesting depth greater than {MOST_DEPTH}."
            )
        self.root = connections[0]

    def lines(self, nodes: Iterable[Json], below: Below) -> Iterator[tuple[Json, list[Json]]]:
        """For each node its own line, and the lines of the nodes below it."""
        inner = list(self._connections(self.root.kind, self.root.selected, depth=2, in_list=False))
        for node in nodes:
            children = [
                {**self._projected(each.kind, each.selected, child), "__parentId": node["id"]}
                for each in inner
                for child in below[each.name](node)
            ]
            yield self._projected(self.root.kind, self.root.selected, node), children

    def connection_names(self) -> list[str]:
        """The connections below the root, each as `Order.lineItems`."""
        found = self._connections(self.root.kind, self.root.selected, depth=2, in_list=False)
        return [each.name for each in found]

    def _connections(
        self, parent: GraphQLObjectType, selected: SelectionSetNode, *, depth: int, in_list: bool
    ) -> Iterator[Connected]:
        for owner, field in self._fields(parent, selected):
            definition = owner.fields.get(field.name.value)
            if definition is None or field.selection_set is None:
                continue
            kind = cast(GraphQLObjectType, get_named_type(definition.type))
            if not kind.name.endswith("Connection"):
                listed = in_list or is_list_type(get_nullable_type(definition.type))
                yield from self._connections(kind, field.selection_set, depth=depth, in_list=listed)
                continue
            name = f"{owner.name}.{field.name.value}"
            if in_list:
                raise BulkRefusedError(f"Queries that contain a connection field within a list field: {name}")
            node, inside = self._nodes_of(kind, field.selection_set)
            if not isinstance(node, GraphQLObjectType) or all(
                each.name != "Node" for each in node.interfaces
            ):
                raise BulkRefusedError(f"Connections must implement the Node interface: {name}")
            arguments = {
                each.name.value: value_from_ast_untyped(each.value) for each in field.arguments or ()
            }
            yield Connected(name, arguments, node, inside, depth)
            yield from self._connections(node, inside, depth=depth + 1, in_list=False)

    def _nodes_of(self, kind: GraphQLObjectType, selected: SelectionSetNode) -> tuple[Any, SelectionSetNode]:
        for _, field in self._fields(kind, selected):
            inner = kind.fields.get(field.name.value)
            if inner is None or field.selection_set is None:
                continue
            if field.name.value == "nodes":
                return get_named_type(inner.type), field.selection_set
            if field.name.value == "edges":
                edge = cast(GraphQLObjectType, get_named_type(inner.type))
                return self._nodes_of_edge(edge, field.selection_set)
        raise BulkRefusedError(f"A bulk query must select the nodes of {kind.name}.")

    def _nodes_of_edge(
        self, edge: GraphQLObjectType, selected: SelectionSetNode
    ) -> tuple[Any, SelectionSetNode]:
        for _, field in self._fields(edge, selected):
            if field.name.value == "node" and field.selection_set is not None:
                return get_named_type(edge.fields["node"].type), field.selection_set
        raise BulkRefusedError(f"A bulk query must select the node of {edge.name}.")

    def _projected(self, kind: Any, selected: SelectionSetNode, source: Json) -> Json:
        line: Json = {}
        for owner, field in self._fields(kind, selected):
            name, key = field.name.value, (field.alias or field.name).value
            if name == "__typename":
                line[key] = source.get("__typename", kind.name)
                continue
            inner = cast(GraphQLObjectType, get_named_type(owner.fields[name].type))
            if not inner.name.endswith("Connection"):
                line[key] = self._value(inner, field, source[name])
        return line

    def _value(self, kind: GraphQLObjectType, field: FieldNode, value: Any) -> Any:
        if value is None or field.selection_set is None:
            return value
        if isinstance(value, list):
            arguments = {
                each.name.value: value_from_ast_untyped(each.value) for each in field.arguments or ()
            }
            return [
                self._projected(kind, field.selection_set, one) for one in value[: arguments.get("first")]
            ]
        return self._projected(kind, field.selection_set, value)

    def _fields(self, kind: Any, selected: SelectionSetNode) -> Iterator[tuple[GraphQLObjectType, FieldNode]]:
        for selection in selected.selections:
            if isinstance(selection, FieldNode):
                yield kind, selection
                continue
            if isinstance(selection, FragmentSpreadNode):
                named = selection.name.value
                fragments = (n for n in self._document.definitions if isinstance(n, FragmentDefinitionNode))
                fragment: Any = next(each for each in fragments if each.name.value == named)
            else:
                fragment = cast(InlineFragmentNode, selection)
            condition = fragment.type_condition
            if condition is None or condition.name.value in (kind.name, *_interfaces(kind)):
                yield from self._fields(kind, fragment.selection_set)


def _interfaces(kind: Any) -> list[str]:
    owners = (GraphQLObjectType, GraphQLInterfaceType)
    return [each.name for each in kind.interfaces] if isinstance(kind, owners) else []


def _valid(schema: GraphQLSchema, text: str) -> DocumentNode:
    try:
        document = parse(text)
    except GraphQLError as error:
        raise BulkRefusedError(f"Invalid bulk query: {error.message}") from None
    errors = validate(schema, document)
    if errors:
        raise BulkRefusedError(f"Invalid bulk query: {errors[0].message}")
    return document
