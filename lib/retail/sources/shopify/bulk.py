"""Shopify's bulk operations: a query runs in the background, and its result is a file of JSON lines.

A line with `__parentId` is a line item of the order with that id. The file is on Shopify's storage at an address that
is signed for seven days: no token is sent there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import requests
import structlog

from retail.config.settings import ExtractSettings
from retail.errors import AnswerLimitError, CursorExpiredError, ExtractError
from retail.sources.http.addresses import is_loopback, require_allowed
from retail.sources.http.bounded import MOST_BYTES, BoundedSession, Limits, SlowError, parse_bounded
from retail.sources.http.client import AGAIN
from retail.sources.http.messages import Clock, quoted
from retail.sources.shopify.api import ShopifyApi
from retail.sources.shopify.api_profile import points
from retail.sources.shopify.pagination import Bulk
from retail.sources.shopify.queries import BULK, BULK_ORDERS, RUN_BULK
from retail.sources.values.json_path import JSON, at, entries, text

PAGE: Final = 250
# Bytes of lines after which a page ends, and which no order may exceed.
PAGE_BYTES: Final = MOST_BYTES
# Ten million orders; what one shop sells in a day is far below.
_MOST_FILE_BYTES: Final = 64 * 2**30
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


@dataclass(slots=True)
class _Order:
    """An order of the file, its line items, and the bytes of both."""

    content: dict[str, JSON]
    lines: list[JSON]
    size: int


@dataclass(frozen=True, slots=True)
class BulkReader:
    """Reads one shop in bulk; an operation may take `wait_seconds`, and so may its file.

    The file is fetched by https from the shop's own host or one of `hosts`, and from no private address.
    """

    api: ShopifyApi
    settings: ExtractSettings
    clock: Clock
    wait_seconds: float
    hosts: Collection[str]

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
        raise ExtractError(
            f"{self.api.retailer_id}: Shopify refuses the bulk operation: {quoted(refusals)}",
            hint="read by pages instead: set options.bulk_from_orders to 0",
        )

    def pages(self, place: Bulk) -> Iterator[tuple[list[JSON], Bulk | None]]:
        """The orders after those that are done, up to 250 at once, and the place to resume; None after the last.

        Raises CursorExpiredError if Shopify no longer has the operation or its file.
        """
        page: list[JSON] = []
        done, size = place.done, 0
        for order in self._orders(place):
            if len(page) == PAGE or size > PAGE_BYTES:
                done += len(page)
                yield page, Bulk(place.operation, done)
                page, size = [], 0
            page.append(order.content)
            size += order.size
        yield page, None

    def _orders(self, place: Bulk) -> Iterator[_Order]:
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
                return self._file(found)
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

    def _file(self, operation: JSON) -> _File:
        orders, objects = (points(at(operation, f"{name}Count")) for name in ("rootObject", "object"))
        if orders is None or objects is None or min(orders, objects) < 0:
            # Without its counts, a file that is missing or cut off would pass for a day without sales.
            raise ExtractError(
                f"{self.api.retailer_id}: Shopify does not say how many orders and lines its bulk operation found",
                hint="read by pages instead: set options.bulk_from_orders to 0",
            )
        return _File(text(operation, "url"), int(orders), int(objects))

    def _read(self, file: _File) -> Iterator[_Order]:
        """The orders of a file, each with its line items. Raises _BrokenError if it is not complete."""
        order: _Order | None = None
        count = 0
        for line, size in self._lines(file.url):
            count += 1
            if not isinstance(line, dict):
                raise _BrokenError("one of its lines is not an object")
            if count > file.objects:
                raise _BrokenError(f"it has more than {file.objects} lines")
            parent = line.pop("__parentId", None)
            if parent is None:
                if order is not None:
                    yield order
                lines: list[JSON] = []
                order = _Order({**line, "lineItems": {"nodes": lines}}, lines, size)
            elif order is not None and parent == order.content.get("id"):
                order.lines.append(line)
                order.size += size
                if order.size > PAGE_BYTES:
                    raise AnswerLimitError(
                        f"{self.api.retailer_id}: an order of a bulk operation is larger than {PAGE_BYTES:,} bytes",
                        hint="read by pages instead: set options.bulk_from_orders to 0",
                    )
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

    def _lines(self, url: str | None) -> Iterator[tuple[JSON, int]]:
        """The lines of a file, each with its size in bytes."""
        retailer_id = self.api.retailer_id
        address = require_allowed(
            url,
            base_url=self.api.base_url,
            hosts=self.hosts,
            retailer_id=retailer_id,
            option=f"retailers.{retailer_id}.options.bulk_hosts",
        )
        seconds = self.settings.timeout_seconds
        # Not the client for the shop: it would send the shop's token along.
        session = BoundedSession(retailer_id, public_only=not is_loopback(self.api.base_url))
        try:
            limits = Limits(seconds=self.wait_seconds, most_bytes=_MOST_FILE_BYTES)
            response = session.open("GET", address, limits, timeout=(min(10.0, seconds), seconds))
            with session, response:
                if response.status_code != 200:
                    raise _BrokenError(f"HTTP {response.status_code}")
                for line in _split(session.chunks(response), retailer_id):
                    yield parse_bounded(line, retailer_id=retailer_id), len(line)
        except SlowError as error:
            raise AnswerLimitError(
                f"{retailer_id}: the file of a bulk operation: {error}",
                hint=f"raise options.bulk_wait_seconds; or {AGAIN}",
            ) from None
        except requests.RequestException as error:
            raise _BrokenError(f"the connection broke ({type(error).__name__})") from None
        except ValueError:
            raise _BrokenError("one of its lines is cut off") from None


def _split(chunks: Iterator[bytes], retailer_id: str) -> Iterator[bytes]:
    """The lines of a body that are not empty."""
    parts, size = list[bytes](), 0
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for end in whole:
            yield from filter(None, [b"".join([*parts, end]).removesuffix(b"\r")])
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > MOST_BYTES:
            raise AnswerLimitError(
                f"{retailer_id}: a line of a bulk operation's file is larger than {MOST_BYTES:,} bytes",
                hint="read by pages instead: set options.bulk_from_orders to 0",
            )
    yield from filter(None, [b"".join(parts)])
