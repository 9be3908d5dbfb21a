"""What becomes of an order after its sale: corrections, shipments, cancellations, returns, edits.

A hash of the order's number decides, so every run of the simulator tells the same stories. The shares are such that
any single day of a retailer, about 140 orders, has some of each.
"""

from collections.abc import Callable
from dataclasses import replace
from math import gcd
from typing import Any, cast

import numpy as np

from retail_simulator.orders import Kind, Line, MoneyBack, Order, Return

Integers = np.ndarray[Any, np.dtype[np.int64]]

HOUR = 3600
DAY = 24 * HOUR
NEVER = int(np.iinfo(np.int64).max)
# A time at which all that will happen has happened.
IN_THE_END = NEVER - 1
# Goods sold by weight or volume have thousands of units; these are never cancelled or returned in part.
MOST_UNITS = 100

# At each retailer, how many of 1,000 orders have which fate; an order has one at most.
FATES = {
    "retailer_1": {"cancelled": 45, "partly": 70, "pending": 30, "elsewhere": 20, "replacement": 20},
    "retailer_2": {"cancelled": 45, "partly": 70, "returned": 70, "replacement": 20},
    "retailer_3": {"cancelled": 45, "partly": 70, "returned": 70, "test": 20, "gift_card": 20, "edited": 30},
}
# Beside its fate: how many of 1,000 orders are corrected, shipped later than sold, or touched without any change.
CORRECTED, SHIPPED_LATE, TOUCHED = 80, 100, 30
# Amazon's orders say nothing of what comes back, so that it is no fate there. How many of
# 1,000 orders with neither fate nor correction have goods returned.
RETURNED_UNSAID = {"retailer_1": 90}
# How many of 1,000 orders to which nothing else happens have money paid back for a line whose goods stay.
PAID_BACK = {"retailer_2": 40}
# When a fate comes true, in seconds after the sale. The others hold from the sale on.
DELAYS = {
    "cancelled": (HOUR, 2 * DAY),
    "partly": (HOUR, 3 * DAY),
    "pending": (2 * HOUR, 20 * HOUR),
    "returned": (2 * DAY, 20 * DAY),
    "edited": (HOUR, 2 * DAY),
}
KINDS: dict[str, Kind] = {"elsewhere": "elsewhere", "test": "test", "replacement": "replacement"}
NOT_CORRECTED = ("cancelled", "elsewhere", "test", "replacement", "gift_card")
NOT_SHIPPED_LATE = ("cancelled", "elsewhere", "test", "gift_card")


class Changes:
    """The events of one retailer's orders; `numbers` and `sold` tell the order's id and time at each position."""

    def __init__(self, retailer: str, numbers: Integers, sold: Integers) -> None:
        # Only Walmart tells of returns before the money has gone back.
        self._refunds_late = retailer == "retailer_2"
        self._numbers = numbers
        self._sold = sold
        self._names = list(FATES[retailer])
        edges = np.cumsum(list(FATES[retailer].values()))
        self._fates = np.searchsorted(edges, _mixed(numbers, 0) % 1000, side="right")
        self._fate_at = np.full(len(sold), NEVER)
        for code, name in enumerate(self._names):
            if name in DELAYS:
                self._fate_at[self._fates == code] = self._later(*DELAYS[name], salt=1)[self._fates == code]
        twice = self._has("returned") & (_mixed(numbers, 2) % 4 == 0)
        second = np.where(self._has("returned"), self._fate_at, 0) + self._later(DAY, 5 * DAY, salt=3) - sold
        second_at = np.where(twice, second, NEVER)
        corrected = (_mixed(numbers, 4) % 1000 < CORRECTED) & ~self._has(*NOT_CORRECTED)
        self._corrected_at = np.where(corrected, self._later(HOUR, 3 * DAY, salt=5), NEVER)
        late = (_mixed(numbers, 6) % 1000 < SHIPPED_LATE) & ~self._has(*NOT_SHIPPED_LATE)
        # Longer than any order is pending, sooner than any is returned.
        self._shipped_at = np.where(late, self._later(20 * HOUR, 40 * HOUR, salt=7), NEVER)
        touched = _mixed(numbers, 8) % 1000 < TOUCHED
        touched_at = np.where(touched, self._later(HOUR, 10 * DAY, salt=9), NEVER)
        self._seeds = _mixed(numbers, 10)
        still = (self._fates == len(self._names)) & ~corrected & ~late & ~touched
        paid_back = still & (_mixed(numbers, 16) % 1000 < PAID_BACK.get(retailer, 0))
        self._paid_back_at = np.where(paid_back, self._later(DAY, 8 * DAY, salt=17), NEVER)
        self._times = np.stack(
            [
                sold,
                self._fate_at,
                second_at,
                self._corrected_at,
                self._shipped_at,
                touched_at,
                self._paid_back_at,
            ]
        )
        self._returned_at = np.stack([np.where(self._has("returned"), self._fate_at, NEVER), second_at])
        if retailer in RETURNED_UNSAID:
            self._returned_at = self._returned_unsaid(RETURNED_UNSAID[retailer])
        self._sent_at = self._sent()
        self._lay_out()

    def updated_between(self, first: int, last: int, *, now: float) -> list[int]:
        """Positions of the orders whose last event up to `now` was in the seconds `first` to `last`, oldest first."""
        start = np.searchsorted(self._event_times, first, side="left")
        stop = np.searchsorted(self._event_times, min(last, now), side="right")
        window = slice(int(start), int(max(start, stop)))
        still_last = self._superseded_at[window] > now
        return cast(list[int], self._event_positions[window][still_last].tolist())

    def updated(self, position: int, *, now: float) -> int:
        """When the order at `position` last changed up to `now`; the time of its sale before that."""
        sold, *later = cast(list[int], self._times[:, position].tolist())
        return max([sold, *(time for time in later if time <= now and time != NEVER)])

    def returned_between(self, first: int, last: int) -> list[int]:
        """Positions of the orders that may have a return in these seconds."""
        found = np.zeros(len(self._sold), dtype=bool)
        for times in self._returned_at:
            found |= (first <= times) & (times <= last)
        return np.flatnonzero(found).tolist()

    def paid_back_between(self, first: int, last: int) -> list[int]:
        """Positions of the orders that may have money paid back without goods in these seconds."""
        return np.flatnonzero((first <= self._paid_back_at) & (self._paid_back_at <= last)).tolist()

    def sent(self, position: int) -> int:
        """When the goods of the order at `position` are on their way, and no longer cancelled or corrected."""
        return int(self._sent_at[position])

    def sent_between(self, first: int, last: int) -> list[int]:
        """Positions of the orders sent in these seconds, were they not cancelled."""
        return np.flatnonzero((first <= self._sent_at) & (self._sent_at <= last)).tolist()

    def changed_among(self, positions: range) -> list[int]:
        """Those of the positions whose order is not simply what was sold, now or at some time."""
        among = slice(positions.start, positions.stop)
        changed = (self._fates[among] < len(self._names)) | (self._corrected_at[among] != NEVER)
        return (np.flatnonzero(changed) + positions.start).tolist()

    def at(self, order: Order, position: int, *, now: float) -> Order:
        """The order as it stands at `now`, from what was sold."""
        code, fate_at = int(self._fates[position]), int(self._fate_at[position])
        fate = self._names[code] if code < len(self._names) else None
        seed = int(self._seeds[position])
        lines, fated = order.lines, None
        if fate == "partly":
            fated = _partly_line(lines, seed)
        elif self._returned_at[0, position] != NEVER:
            fated = _returned_line(lines, seed)
        corrected_at = int(self._corrected_at[position])
        if corrected_at <= now:
            lines = _corrected(lines, seed, but_not=fated)
        order = replace(
            order,
            updated=self.updated(position, now=now),
            lines=lines,
            kind=KINDS.get(fate or "", "regular"),
            shipped=fate != "cancelled" and not now < self._shipped_at[position] < NEVER,
            corrected=corrected_at if corrected_at <= now else None,
        )
        happened = fate_at <= now
        if self._returned_at[0, position] != NEVER:
            returned_at = cast(list[int], self._returned_at[:, position].tolist())
            times = [time for time in returned_at if time <= now and time != NEVER]
            refund_after = DAY if self._refunds_late and seed % 3 == 0 else 0
            return replace(order, returns=_returns(order, seed, fated, times, refund_after=refund_after))
        paid_back_at = int(self._paid_back_at[position])
        if paid_back_at <= now:
            return replace(order, money_back=_money_back(lines, seed, paid_back_at))
        tell = _TALES.get(fate or "")
        return order if tell is None else tell(order, seed, fated, fate_at if happened else None)

    def _has(self, *fates: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        codes = [code for code, name in enumerate(self._names) if name in fates]
        return np.isin(self._fates, codes)

    def _later(self, soonest: int, latest: int, *, salt: int) -> Integers:
        return self._sold + soonest + _mixed(self._numbers, salt) % (latest - soonest)

    def _returned_unsaid(self, of_thousand: int) -> Integers:
        """When goods come back, once and perhaps again, to orders that nothing else happens to and that do not move."""
        free = (self._fates == len(self._names)) & (self._corrected_at == NEVER)
        returned = free & (_mixed(self._numbers, 11) % 1000 < of_thousand)
        first = self._later(2 * DAY, 12 * DAY, salt=12)
        # Half of those that bring back two products do so at once.
        apart = np.where(
            _mixed(self._numbers, 13) % 2 == 0, self._later(DAY, 5 * DAY, salt=14) - self._sold, 0
        )
        twice = returned & (_mixed(self._numbers, 15) % 4 == 0)
        return np.stack([np.where(returned, first, NEVER), np.where(twice, first + apart, NEVER)])

    def _sent(self) -> Integers:
        decided = np.where(self._has("partly", "pending"), self._fate_at, self._sold)
        times = np.stack([self._sold, decided, self._corrected_at, self._shipped_at])
        return cast(Integers, np.where(times == NEVER, self._sold, times).max(axis=0))

    def _lay_out(self) -> None:
        """Every event in order of time and id, with the time of its order's next event."""
        in_order = np.sort(self._times, axis=0)
        following = np.vstack([in_order[1:], np.full(len(self._sold), NEVER)])
        positions = np.broadcast_to(np.arange(len(self._sold)), in_order.shape)
        happens = (in_order != NEVER) & (in_order != following)
        times, positions = in_order[happens], positions[happens]
        by_time = np.lexsort((self._numbers[positions], times))
        self._event_times = times[by_time]
        self._event_positions = positions[by_time]
        self._superseded_at = following[happens][by_time]


def _mixed(numbers: Integers, salt: int) -> Integers:
    """A hash of each number, from 0 to 2**62 (the finalizer of splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = numbers.astype(np.uint64) + np.uint64(salt + 1) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(2)).astype(np.int64)


def _even_parts(line: Line) -> list[int]:
    """How many units can go so that the money for them, and for those that stay, is whole cents."""
    if not 2 <= line.quantity <= MOST_UNITS:
        return []
    step = line.quantity // gcd(line.quantity, line.net, line.discount)
    return list(range(step, line.quantity, step))


def _partly_line(lines: tuple[Line, ...], seed: int) -> tuple[int, int] | None:
    """Which line is cut, and by how many units: some of its units where that comes out even, else all.

    An order of one line that cannot be cut is left whole.
    """
    turn = seed % len(lines)
    places = [*range(turn, len(lines)), *range(turn)]
    sold = [place for place in places if 1 <= lines[place].quantity <= MOST_UNITS and lines[place].net > 0]
    for place in sold:
        if parts := _even_parts(lines[place]):
            return place, parts[seed // 3 % len(parts)]
    return (sold[0], lines[sold[0]].quantity) if len(lines) > 1 and sold else None


def _corrected(lines: tuple[Line, ...], seed: int, *, but_not: tuple[int, int] | None) -> tuple[Line, ...]:
    """Another discount on one line: taken back where there was one, or else given."""
    places = [place for place in range(len(lines)) if but_not is None or place != but_not[0]]
    if not places:
        return lines
    place = places[seed // 7 % len(places)]
    line = lines[place]
    taken_back = line.discount > 0 and seed % 2 == 1
    new = 0 if taken_back else line.discount + min(line.net // 2, 1 + seed // 11 % 100)
    corrected = replace(line, net=line.gross - new, discount=new)
    return (*lines[:place], corrected, *lines[place + 1 :])


def _returnable(line: Line) -> bool:
    """Sold by the piece at a price, and any number of pieces costs whole cents: a refund is told for one unit."""
    by_the_piece = 1 <= line.quantity <= MOST_UNITS and line.net > 0
    return by_the_piece and line.net % line.quantity == 0 and line.discount % line.quantity == 0


def _returned_line(lines: tuple[Line, ...], seed: int) -> tuple[int, int] | None:
    """Which line comes back first, and how many of its units: all, or some where there are some."""
    turn = seed % len(lines)
    places = [place for place in [*range(turn, len(lines)), *range(turn)] if _returnable(lines[place])]
    if not places:
        return None
    several = [place for place in places if lines[place].quantity > 1]
    if several and seed % 3:
        return several[0], 1 + seed // 3 % (lines[several[0]].quantity - 1)
    return places[0], lines[places[0]].quantity


def _returns(
    order: Order, seed: int, fated: tuple[int, int] | None, times: list[int], *, refund_after: int
) -> tuple[Return, ...]:
    """One return at each of `times`: first of the fated line, then of another one as a whole."""
    if fated is None:
        return ()
    others = [
        (place, line.quantity)
        for place, line in enumerate(order.lines)
        if place != fated[0] and _returnable(line)
    ]
    taken = [fated, *others[seed % max(1, len(others)) :][:1]]
    made = []
    for turn, ((place, units), time) in enumerate(zip(taken, times, strict=False)):
        line = order.lines[place]
        net, discount = line.net * units // line.quantity, line.discount * units // line.quantity
        return_id = f"{order.order_id}9{turn}"
        made.append(Return(return_id, line, units, net, discount, time, time + refund_after))
    return tuple(made)


def _money_back(lines: tuple[Line, ...], seed: int, paid: int) -> MoneyBack | None:
    """All or half of what a line cost; None if nothing on the order is sold by the piece at a price."""
    sold = [line for line in lines if 1 <= line.quantity <= MOST_UNITS and line.net > 1]
    if not sold:
        return None
    line = sold[seed % len(sold)]
    return MoneyBack(line, line.net if seed // 5 % 2 else line.net // 2, paid)


def _cancelled(order: Order, _seed: int, _fated: Any, at: int | None) -> Order:
    if at is None:
        return order
    lines = tuple(replace(line, cancelled_quantity=line.quantity) for line in order.lines)
    return replace(order, lines=lines, cancelled=at, shipped=False)


def _partly_cancelled(order: Order, _seed: int, fated: tuple[int, int] | None, at: int | None) -> Order:
    if at is None or fated is None:
        return order
    place, units = fated
    line = replace(order.lines[place], cancelled_quantity=units)
    return replace(order, lines=(*order.lines[:place], line, *order.lines[place + 1 :]), reduced=at)


def _pending(order: Order, seed: int, _fated: Any, at: int | None) -> Order:
    """Until it is paid; one of five never is."""
    if at is None:
        return replace(order, kind="pending", shipped=False)
    return _cancelled(order, seed, None, at) if seed % 5 == 0 else order


def _edited(order: Order, _seed: int, _fated: Any, at: int | None) -> Order:
    """The last line comes by an edit."""
    *first, last = order.lines
    if not first:
        return order
    return replace(order, lines=tuple(first) if at is None else (*first, replace(last, added=at)))


def _with_gift_card(order: Order, seed: int, _fated: Any, _at: int | None) -> Order:
    place = seed % len(order.lines)
    lines = [replace(line, gift_card=at == place) for at, line in enumerate(order.lines)]
    return replace(order, lines=tuple(lines))


def _without_price(order: Order, _seed: int, _fated: Any, _at: int | None) -> Order:
    return replace(order, lines=tuple(replace(line, net=0, discount=0) for line in order.lines))


_TALES: dict[str, Callable[[Order, int, tuple[int, int] | None, int | None], Order]] = {
    "cancelled": _cancelled,
    "partly": _partly_cancelled,
    "pending": _pending,
    "edited": _edited,
    "gift_card": _with_gift_card,
    "replacement": _without_price,
}
