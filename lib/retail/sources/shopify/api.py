"""One shop's GraphQL API: queries within their cost, partial responses rejected, connections read completely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retail.errors import ExtractError, RefusedError
from retail.sources.cursors import SeenCursors
from retail.sources.http.client import AGAIN, HttpClient
from retail.sources.http.messages import Request, Response, quoted
from retail.sources.http.rate_limit import Quota
from retail.sources.shopify.api_profile import points
from retail.sources.shopify.ledger import needs_ledger
from retail.sources.shopify.pagination import page_cursor
from retail.sources.shopify.queries import LEDGER, MORE_LINES, PATH
from retail.sources.values import timestamps
from retail.sources.values.json_path import JSON, at, entries, text

# Assumed cost of a query until its first response reports it.
_FIRST_COST = 100.0
_AGREEMENTS, _SALES = 10, 100


@dataclass(frozen=True, slots=True)
class ShopifyApi:
    """Queries one shop; `lines` is the number of an order's line items requested at once."""

    retailer_id: str
    base_url: str
    http: HttpClient
    quota: Quota
    lines: int
    _costs: dict[str, float] = field(default_factory=dict)

    def ask(
        self, query: str, variables: Mapping[str, JSON], *path: str, may_be_gone: bool = False
    ) -> Response:
        """The response to a query, complete and with a value at `path`, or null there if that `may_be_gone`.

        Raises RefusedError, of status 400, if the query is refused, including for a cursor that is no longer valid.
        """
        json: JSON = {"query": query, "variables": dict(variables)}
        request = Request(method="POST", url=self.base_url + PATH, json=json)
        cost = self._costs.get(query, _FIRST_COST)
        answer = self.http.ask(request, quota=self.quota, cost=cost)
        priced = points(at(answer.body, "extensions", "cost", "requestedQueryCost"))
        if priced is not None and priced > 0:
            self._costs[query] = priced
        errors = at(answer.body, "errors")
        parent = at(answer.body, *path[:-1])
        is_gone = may_be_gone and isinstance(parent, dict) and path[-1] in parent
        if errors or (at(answer.body, *path) is None and not is_gone):
            raise RefusedError(
                f"{self.retailer_id}: Shopify refuses the query: {quoted(errors)}",
                hint="too costly: lower options.page_size or options.lines_page_size; "
                "access denied: give the application read_orders and read_products",
                status=400,
            )
        return answer

    def complete(self, order: JSON) -> None:
        """Add to the order the line items after its first page of them, and its ledger if it has changed.

        An order that was deleted after it was listed is marked: `isDeleted` is true.
        """
        if not isinstance(order, dict):
            return
        lines = at(order, "lineItems")
        try:
            if isinstance(lines, dict) and "pageInfo" in lines:
                self._complete_lines(order, lines)
            if needs_ledger(order):
                order["agreements"] = {"nodes": self._agreements(order)}
        except _OrderGoneError:
            order["isDeleted"] = True

    def next_cursor(self, connection: JSON) -> str | None:
        """The cursor of the next page; None on the last one. Raises BadCursorError."""
        return page_cursor(connection, retailer_id=self.retailer_id)

    def _complete_lines(self, order: JSON, lines: dict[str, JSON]) -> None:
        nodes = entries(lines, "nodes")
        if nodes is None:
            return
        cursors = SeenCursors(self.retailer_id, f"the lines of order {text(order, 'id')}")
        while (cursor := self.next_cursor(lines)) is not None:
            variables = {"order": at(order, "id"), "lines": self.lines, "after": cursors.new(cursor)}
            more = at(self._part(MORE_LINES, variables, "lineItems", "nodes"), "lineItems")
            nodes += entries(more, "nodes") or []
            lines["pageInfo"] = at(more, "pageInfo")

    def _agreements(self, order: JSON) -> list[JSON]:
        """All agreements of an order, each with all of its sales.

        If the order has changed since it was read, the agreements of that change are left out: the order comes again
        with them. Taken now, a cancellation's own entries would accompany an order that is not cancelled yet.
        """
        known = timestamps.from_iso(at(order, "updatedAt"))
        found: list[JSON] = []
        cursors = SeenCursors(self.retailer_id, f"the agreements of order {text(order, 'id')}")
        after: str | None = None
        while True:
            now = self._ledger(order, after=after, agreements=_AGREEMENTS)
            connection, before = at(now, "agreements"), after
            has_changed = _is_later(timestamps.from_iso(at(now, "updatedAt")), known)
            for edge in entries(connection, "edges") or []:
                agreement = at(edge, "node")
                if isinstance(agreement, dict):
                    agreement["sales"] = {"nodes": self._sales(order, agreement, before)}
                if not (has_changed and _is_later(timestamps.from_iso(at(agreement, "happenedAt")), known)):
                    found.append(agreement)
                before = text(edge, "cursor")
            after = self.next_cursor(connection)
            if after is None:
                return found
            cursors.new(after)

    def _sales(self, order: JSON, agreement: JSON, before: str | None) -> list[JSON] | None:
        """All sales of the agreement after the cursor `before`; None if the first page has no list."""
        sales, found = at(agreement, "sales"), entries(agreement, "sales", "nodes")
        if found is None:
            return None
        cursors = SeenCursors(self.retailer_id, f"the sales of order {text(order, 'id')}")
        while (cursor := self.next_cursor(sales)) is not None:
            now = self._ledger(order, after=before, agreements=1, after_sale=cursors.new(cursor))
            connection = at(now, "agreements")
            same = at(connection, "edges", 0, "node")
            more = entries(same, "sales", "nodes")
            if text(same, "id") != text(agreement, "id") or more is None:
                raise ExtractError(
                    f"{self.retailer_id}: order {text(order, 'id')}: its ledger changed while it was read",
                    hint=AGAIN,
                )
            found += more
            sales = at(same, "sales")
        return found

    def _ledger(
        self, order: JSON, *, after: str | None, agreements: int, after_sale: str | None = None
    ) -> JSON:
        variables: dict[str, JSON] = {
            "order": at(order, "id"),
            "agreements": agreements,
            "after": after,
            "sales": _SALES,
            "afterSale": after_sale,
        }
        return self._part(LEDGER, variables, "agreements", "edges")

    def _part(self, query: str, variables: Mapping[str, JSON], name: str, listed: str) -> JSON:
        """The requested order, with the list of its connection. Raises _OrderGoneError if it no longer exists."""
        order = at(self.ask(query, variables, "data", "order", may_be_gone=True).body, "data", "order")
        if order is None:
            raise _OrderGoneError
        if text(order, "id") != variables["order"] or entries(order, name, listed) is None:
            raise ExtractError(
                f"{self.retailer_id}: requested {name} of order {variables['order']}, Shopify returned those of "
                f"{text(order, 'id')}",
                hint=AGAIN,
            )
        return order


def _is_later(instant: str | None, other: str | None) -> bool:
    return timestamps.is_normal(instant) and timestamps.is_normal(other) and str(instant) > str(other)


class _OrderGoneError(Exception):
    """Shopify has no order of that id any more: `order` is null (schema 2026-10, QueryRoot.order)."""
