"""What stands in Amazon's books: a shipment of each order sent, what was refunded, and what is no sale at all.

Everything hangs on the orders and on hashes, so that a transaction is the same whenever it is asked for.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from retail_simulator.changes import DAY, HOUR
from retail_simulator.orders import Order, Return, dice
from retail_simulator.sales import Book

# Days until the money of a deferred refund moves: at the soonest, and at the latest.
SOONEST_RELEASE, LATEST_RELEASE = DAY, 6 * DAY
# Financial events may be missing from the list for this long.
LATEST_LISTING = 48 * HOUR
# A tax is corrected so long after the shipment.
TAX_CORRECTED_AFTER = 12 * DAY
SETTLEMENT = 7 * DAY


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction; times are seconds since 1970, and `listed` is from when on the list has it.

    `name` is what it is known by here, `order` None where it belongs to none. Of a refund there are `returns`.
    `release` names the entry that releases a deferred one, seen from `released` on; `releases` the deferred one.
    """

    kind: str
    name: str
    posted: int
    listed: int
    order: Order | None = None
    returns: tuple[Return, ...] = ()
    release: str | None = None
    released: int | None = None
    releases: str | None = None

    @property
    def transaction_id(self) -> str:
        """Amazon's id."""
        return identifier(self.name)

    def status(self, now: float) -> str:
        """The model's `transactionStatus` at `now`."""
        if self.released is None:
            return "RELEASED"
        return "DEFERRED_RELEASED" if self.released <= now else "DEFERRED"


class AmazonLedger:
    """The entries of one account, whose orders live on."""

    def __init__(self, book: Book) -> None:
        if book.changes is None:
            raise ValueError("only orders that live on have a ledger")
        self._book = book
        self._changes = book.changes
        self._known: dict[int, tuple[Entry, ...]] = {}

    def between(self, first: int, last: int) -> list[Entry]:
        """Entries posted in the seconds `first` to `last`, both included, oldest first."""
        changes = self._changes
        positions = {
            *changes.sent_between(first, last),
            *changes.sent_between(first - TAX_CORRECTED_AFTER, last - TAX_CORRECTED_AFTER),
            *changes.returned_between(first - LATEST_RELEASE, last),
        }
        entries = [entry for position in positions for entry in self.of_order(position)]
        entries += _beside_the_sales(max(first, self._book.created(0)), last)
        return _in_order(entry for entry in entries if first <= entry.posted <= last)

    def of_order(self, position: int) -> tuple[Entry, ...]:
        """All entries that the order at `position` ever has."""
        entries = self._known.get(position)
        if entries is None:
            order = self._book.order(position)
            sent = self._changes.sent(position)
            entries = self._known[position] = tuple(_in_order(_of_order(order, sent)))
        return entries


def identifier(name: str) -> str:
    """43 characters, as Amazon's ids of transactions and groups have."""
    return urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")


def group_of(posted: int) -> str:
    """The financial event group that settles what is posted at this second."""
    return identifier(f"group/{posted // SETTLEMENT}")


def stretch_of(group: str, *, first: int, last: int) -> tuple[int, int] | None:
    """The seconds that a group settles, if it is one of those from `first` to `last`."""
    for number in range(first // SETTLEMENT, last // SETTLEMENT + 1):
        if group == group_of(number * SETTLEMENT):
            return number * SETTLEMENT, (number + 1) * SETTLEMENT - 1
    return None


def keeps_the_goods(returned: Return) -> bool:
    """Whether the buyer got the money back and keeps the goods."""
    return dice(returned.return_id, 0) % 5 == 0


def is_summed_up(entry: Entry) -> bool:
    """Whether a refund has its money in the transaction's breakdowns alone (amzn/selling-partner-api-models #4993)."""
    return len(entry.returns) == 1 and dice(entry.returns[0].return_id, 1) % 5 == 0


def _in_order(entries: Iterator[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.posted, entry.transaction_id))


def _entry(kind: str, name: str, posted: int) -> Entry:
    late = HOUR + dice(name, 1) * (LATEST_LISTING - HOUR) // 255 if dice(name, 0) % 5 == 0 else 0
    return Entry(kind, name, posted, listed=posted + late)


def _of_order(order: Order, sent: int) -> Iterator[Entry]:
    if order.cancelled is not None or order.kind == "elsewhere":
        return
    yield replace(_entry("Shipment", f"shipment/{order.order_id}", sent), order=order)
    if dice(order.order_id, 3) % 16 == 0:
        corrected = _entry("Retrocharge", f"retrocharge/{order.order_id}", sent + TAX_CORRECTED_AFTER)
        yield replace(corrected, order=order)
    # What comes back at one time is one refund.
    for time, group in groupby(order.returns, key=lambda one: one.returned):
        yield from _refund(order, tuple(group), time)


def _refund(order: Order, returns: tuple[Return, ...], posted: int) -> Iterator[Entry]:
    number = returns[0].return_id
    refund = replace(_entry("Refund", f"refund/{number}", posted), order=order, returns=returns)
    if dice(number, 2) % 4 != 0:
        yield refund
        return
    later = SOONEST_RELEASE + dice(number, 3) * (LATEST_RELEASE - SOONEST_RELEASE) // 256
    release = replace(
        _entry("Refund", f"release/{number}", posted + later),
        order=order,
        returns=returns,
        releases=refund.name,
    )
    yield replace(refund, release=release.name, released=release.listed)
    yield release


def _beside_the_sales(first: int, last: int) -> Iterator[Entry]:
    """Fees, reimbursements for goods that a warehouse lost, and transfers to the bank: some on a day, or none."""
    for day in range(first // DAY, last // DAY + 1):
        noon = day * DAY + DAY // 2
        for kind, happens in (
            ("ServiceFee", day % 2 == 0),
            ("FBAInventoryReimbursement", day % 3 == 0),
            ("Transfer", noon % SETTLEMENT < DAY),
        ):
            name = f"{kind}/{day}"
            if happens:
                yield _entry(kind, name, noon + dice(name, 2) * 60)
