"""What an order is, before a retailer writes it down in its own way. Money is held in whole cents."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CURRENCY = "USD"

# What sort of order it is: not priced yet (Amazon), sold on another channel (Amazon), a trial (Shopify), or sent
# again at no price.
Kind = Literal["regular", "pending", "elsewhere", "test", "replacement"]


@dataclass(frozen=True, slots=True)
class Product:
    """A product as its retailer lists it; brand and category are None where the data has no such product."""

    sku: str
    title: str
    brand: str | None
    category: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One product in an order. `net` is what was paid for the line, `discount` what came off before that.

    Both are for all units ordered; the `kept_` ones are for those that were not cancelled. `added` is when an edit
    added the line (Shopify); None where it came with the order.
    """

    line_id: str
    number: int
    product: Product
    quantity: int
    net: int
    discount: int
    gift_card: bool = False
    cancelled_quantity: int = 0
    added: int | None = None

    @property
    def gross(self) -> int:
        """Cents before the discount."""
        return self.net + self.discount

    @property
    def kept_quantity(self) -> int:
        """Units that were not cancelled."""
        return self.quantity - self.cancelled_quantity

    @property
    def kept_net(self) -> int:
        """Cents paid for the kept units. Changes are chosen so that the share is whole cents."""
        return self._kept(self.net)

    @property
    def kept_discount(self) -> int:
        """Cents off the kept units."""
        return self._kept(self.discount)

    @property
    def is_cancelled(self) -> bool:
        """Whether no unit is left."""
        return 0 < self.quantity == self.cancelled_quantity

    def _kept(self, cents: int) -> int:
        return cents * self.kept_quantity // self.quantity if self.cancelled_quantity else cents


@dataclass(frozen=True, slots=True)
class Return:
    """Units of a line that came back at `returned`, seconds since 1970; amounts are positive and for these units.

    `refunded` is when the money went back; a return is open until then.
    """

    return_id: str
    line: Line
    quantity: int
    net: int
    discount: int
    returned: int
    refunded: int


@dataclass(frozen=True, slots=True)
class MoneyBack:
    """Cents of a line's price that its buyer got back at `paid`, seconds since 1970, and the goods stayed."""

    line: Line
    cents: int
    paid: int


@dataclass(frozen=True, slots=True)
class Order:
    """One basket as it stands; times are seconds since 1970.

    `cancelled` is when the whole order was; every unit of its lines is then cancelled too. `updated` is its last
    event: sale, shipment, correction, edit, cancellation or return, which is none at Amazon. `corrected` is when a
    line's discount changed, `reduced` when units of a line were cancelled.
    """

    order_id: str
    created: int
    updated: int
    store_id: int
    household_id: int
    lines: tuple[Line, ...]
    kind: Kind = "regular"
    shipped: bool = True
    cancelled: int | None = None
    returns: tuple[Return, ...] = ()
    money_back: MoneyBack | None = None
    corrected: int | None = None
    reduced: int | None = None

    @property
    def net(self) -> int:
        """Cents for all lines as ordered."""
        return sum(line.net for line in self.lines)

    @property
    def discount(self) -> int:
        """Cents taken off over all lines as ordered."""
        return sum(line.discount for line in self.lines)

    @property
    def kept_net(self) -> int:
        """Cents paid for what was not cancelled; returns are not taken off."""
        return 0 if self.cancelled is not None else sum(line.kept_net for line in self.lines)

    @property
    def kept_discount(self) -> int:
        """Cents taken off what was not cancelled."""
        return 0 if self.cancelled is not None else sum(line.kept_discount for line in self.lines)


def opaque_customer(retailer: str, household_id: int) -> str:
    """A name for the household that no other retailer uses, as a marketplace hands out for an address."""
    return hashlib.sha256(f"{retailer}/{household_id}".encode()).hexdigest()[:16]


def dice(name: str, throw: int) -> int:
    """A number from 0 to 255 that hangs on the name alone; `throw` from 0 to 31 gives another one."""
    return hashlib.sha256(name.encode()).digest()[throw]


def dollars(cents: int) -> Decimal:
    """An exact amount with two decimals.

    >>> str(dollars(-5)), str(dollars(1230))
    ('-0.05', '12.30')
    """
    return Decimal(cents).scaleb(-2)
