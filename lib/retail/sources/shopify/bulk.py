"""Shopify's bulk operations: a query runs in the background, and its result is a file of JSON lines.

A line with `__parentId` is a line item of the order with that id. The file is on Shopify's storage at an address that
is signed for seven days: no token is sent there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import requests
import structlog

from retail.config.settings import ExtractSettings
from retail.errors import CursorExpiredError, ExtractError
from retail.sources.http.client import AGAIN
from retail.sources.http.messages import Clock
from retail.sources.pii import without_e_mail
from retail.sources.shopify.api import ShopifyApi
from retail.sources.shopify.api_profile import points
from retail.sources.shopify.pagination import Bulk
from retail.sources.shopify.queries import BULK, BULK_ORDERS, RUN_BULK
from retail.sources.values.json_path import JSON, at, dump, entries, parse, text

PAGE: Final = 250
_LONGEST_PAUSE: Final = 30.0

log = structlog.get_logger(__name__)


class _BrokenError(Exception):
    """The file broke off; it can be requested again."""


@dataclass(frozen=True, slots=True)
class _File:
    """The location of the result, and the numbers of orders and objects that Shopify says it holds."""

    url: str | None
    orders: int
    objects: int


@dataclass(frozen=True, slots=True)
class BulkReader:
    """Reads one shop in bulk; an operation may take `wait_seconds`."""

    api: ShopifyApi
    settings: ExtractSettings
    clock: Clock
    wait_seconds: float

    def begin(self, search: str) -> Bulk | None:
        """Start reading the orders that a search finds; None if Shopify is running too many operations for it now."""
        variables: dict[str, JSON] = {"query": BULK_ORDERS % search}
        path = ("data", "bulkOperationRunQuery")
        answer = at(self.api.ask(RUN_BULK, variables, *path).body, *path)
        operation = text(answer, "bulkOperation", "id")
        if operation is not None:
            return Bulk(operation)
        refusals = entries(answer, "userErrors") or []
        if {text(each, "code") for each in refusals} & {"LIMIT_REACHED", "OPERATION_IN_PROGRESS"}:
            log.warning("bulk_operations_busy", retailer_id=self.api.retailer_id)
            return None
        said = without_e_mail(dump(refusals))[:300]
        raise ExtractError(
            f"{self.api.retailer_id}: Shopify refuses the bulk operation: {said}",
            hint="read by pages instead: set options.bulk_from_orders to 0",
        )

    def pages(self, place: Bulk) -> Iterator[tuple[list[JSON], Bulk | None]]:
        """The orders after those that are done, up to 250 at once, and the place to resume; None after the last.

        Raises CursorExpiredError if Shopify no longer has the operation or its file.
        """
        page: list[JSON] = []
        done = place.done
        for order in self._orders(place):
            if len(page) == PAGE:
                done += len(page)
                yield page, Bulk(place.operation, done)
                page = []
            page.append(order)
        yield page, None

    def _orders(self, place: Bulk) -> Iterator[JSON]:
        """The orders of the file in its order. If it breaks off, it is reopened and read up to that point."""
        done, tries = place.done, 0
        while True:
            file, before = self._finished(place.operation), done
            if file.url is None and file.orders == 0:
                return  # nothing matched
            try:
                for number, order in enumerate(self._read(file)):
                    if number >= done:
                        done += 1
                        yield order
            except _BrokenError as error:
                tries = 1 if done > before else tries + 1
                self._try_again(tries, error)
            else:
                return

    def _try_again(self, tries: int, error: _BrokenError) -> None:
        retailer_id = self.api.retailer_id
        if tries >= self.settings.tries:
            raise ExtractError(
                f"{retailer_id}: the file of a bulk operation could not be read in {tries} tries: {error}",
                hint=AGAIN,
            ) from None
        log.warning("bulk_file_asked_again", retailer_id=retailer_id, why=str(error), attempt=tries)
        self.clock.sleep(min(_LONGEST_PAUSE, 2.0**tries))

    def _finished(self, operation: str) -> _File:
        """The operation's file, once it is available."""
        began, pause = self.clock.monotonic(), 1.0
        while True:
            found = at(self.api.ask(BULK, {"id": operation}, "data").body, "data", "bulkOperation")
            status = text(found, "status")
            if status == "COMPLETED":
                orders, objects = (points(at(found, f"{name}Count")) for name in ("rootObject", "object"))
                return _File(text(found, "url"), int(orders or 0), int(objects or 0))
            if status is None or status == "EXPIRED":
                raise CursorExpiredError(
                    f"{self.api.retailer_id}: Shopify no longer has bulk operation {operation}", hint=AGAIN
                )
            if status not in ("CREATED", "RUNNING"):
                why = text(found, "errorCode") or "no reason given"
                raise CursorExpiredError(
                    f"{self.api.retailer_id}: bulk operation {operation} ended as {status}: {why}",
                    hint=f"read by pages instead: set options.bulk_from_orders to 0; or {AGAIN}",
                )
            if self.clock.monotonic() - began > self.wait_seconds:
                raise ExtractError(
                    f"{self.api.retailer_id}: bulk operation {operation} is {status} after {self.wait_seconds:.0f} s",
                    hint=f"raise options.bulk_wait_seconds; or {AGAIN}",
                )
            self.clock.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _read(self, file: _File) -> Iterator[JSON]:
        """The orders of a file, each with its line items. Raises _BrokenError if it is not complete."""
        order: dict[str, JSON] | None = None
        lines: list[JSON] = []
        count = 0
        for line in self._lines(file.url or ""):
            count += 1
            if not isinstance(line, dict):
                raise _BrokenError("one of its lines is not an object")
            parent = line.pop("__parentId", None)
            if parent is None:
                if order is not None:
                    yield order
                lines = []
                order = {**line, "lineItems": {"nodes": lines}}
            elif order is not None and parent == order.get("id"):
                lines.append(line)
            else:
                raise ExtractError(
                    f"{self.api.retailer_id}: the file of a bulk operation is not grouped by order",
                    hint="read by pages instead: set options.bulk_from_orders to 0",
                )
        # Checked before the last order is returned, because a file that ends too soon may end within it.
        if count != file.objects:
            raise _BrokenError(f"it has {count} of {file.objects} lines")
        if order is not None:
            yield order

    def _lines(self, url: str) -> Iterator[JSON]:
        seconds = self.settings.timeout_seconds
        try:
            # Not the client for the shop: it would send the shop's token along.
            with requests.get(
                url,
                stream=True,
                timeout=(min(10.0, seconds), seconds),
                allow_redirects=False,
                auth=lambda prepared: prepared,  # nor a password from ~/.netrc
            ) as response:
                if response.status_code != 200:
                    raise _BrokenError(f"HTTP {response.status_code}")
                for line in response.iter_lines(chunk_size=1 << 16):
                    if line:
                        yield parse(line)
        except requests.RequestException as error:
            raise _BrokenError(f"the connection broke ({type(error).__name__})") from None
        except ValueError:
            raise _BrokenError("one of its lines is cut off") from None
