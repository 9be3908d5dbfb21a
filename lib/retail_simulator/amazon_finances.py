"""Amazon's ledger on the wire: `listTransactions` of Finances v2024-06-19.

Rules are from the official model finances_2024-06-19.json unless a comment names another source. Only orders that live
on have transactions; without changes the list is empty.
"""

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse

from retail_simulator import amazon_answers
from retail_simulator.amazon_finances_search import FinancesSearch, Place, paging_token, read_finances_search
from retail_simulator.amazon_ledger import AmazonLedger, Entry, group_of, stretch_of
from retail_simulator.amazon_orders import MARKETPLACE_ID, Json
from retail_simulator.amazon_search import InvalidInputError
from retail_simulator.amazon_transactions import render
from retail_simulator.clock import SimulatedClock
from retail_simulator.orders import dice
from retail_simulator.sales import Book
from retail_simulator.throttle import Bucket

REQUESTS_PER_SECOND = 0.5
BURST = 10
# The model names no size of a page; 100 was the most in v0.
PAGE_SIZE = 50


class AmazonFinances:
    """The transactions of one selling partner."""

    def __init__(self, book: Book, clock: SimulatedClock, *, throttle: bool) -> None:
        self._book = book
        self._clock = clock
        self._ledger = AmazonLedger(book) if book.changes is not None else None
        self._bucket = Bucket(clock, capacity=BURST, per_second=REQUESTS_PER_SECOND) if throttle else None
        self._rate = REQUESTS_PER_SECOND if throttle else amazon_answers.WITHOUT_LIMIT

    def page(self, query: QueryParams) -> JSONResponse:
        """One page of transactions, oldest first; it may be empty though more follow."""
        if self._bucket is not None and not self._bucket.take():
            return amazon_answers.quota_exceeded()
        now = self._clock.now()
        try:
            search = read_finances_search(query, now=now)
        except InvalidInputError as error:
            return amazon_answers.error(400, "InvalidInput", str(error), rate=self._rate)
        found = [entry for entry in self._found(search) if _is_meant(entry, search, now=now)]
        start = search.place
        if start is not None:
            found = [entry for entry in found if (entry.posted, entry.transaction_id) > start.shown]
        page = [] if _is_left_empty(search) else found[:PAGE_SIZE]
        following = None
        if len(page) < len(found):
            shown = (page[-1].posted, page[-1].transaction_id) if page else search.shown
            following = paging_token(query, Place(shown, search.last, behind_empty=not page))
        payload: Json = {
            "transactions": [render(entry, now=now) for entry in page],
            "nextToken": following,
        }
        return JSONResponse({"payload": payload}, headers=amazon_answers.headers(self._rate))

    def _found(self, search: FinancesSearch) -> list[Entry]:
        """The entries of the time and of the order or group asked for."""
        if self._ledger is None or search.is_too_long:
            return []
        first, last = search.first, search.last
        if search.order_id is not None:
            position = self._book.position(int(search.order_id)) if search.order_id.isdecimal() else None
            entries = [] if position is None else self._ledger.of_order(position)
            return [entry for entry in entries if first <= entry.posted <= last]
        if search.group_id is not None:
            stretch = stretch_of(search.group_id, first=max(first, self._book.created(0)), last=last)
            if stretch is None:
                return []
            first, last = max(first, stretch[0]), min(last, stretch[1])
        return self._ledger.between(first, last)


def _is_meant(entry: Entry, search: FinancesSearch, *, now: float) -> bool:
    if entry.listed > now:
        return False
    if search.status is not None and entry.status(now) != search.status:
        return False
    if search.group_id is not None and (
        entry.release is not None or group_of(entry.posted) != search.group_id
    ):
        return False
    # All orders are fulfilled by the merchant, and the store is the US one: with its id they are left out.
    return search.marketplace_id is None or (search.marketplace_id == MARKETPLACE_ID and entry.order is None)


def _is_left_empty(search: FinancesSearch) -> bool:
    """Which pages are empty hangs on where they begin, so that a page is the same when asked for again."""
    behind_empty = search.place is not None and search.place.behind_empty
    return not behind_empty and dice(f"{search.shown}", 0) % 4 == 0
