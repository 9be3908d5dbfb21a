"""What a retailer's catalogue offers, and what the three of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from retail.records import MasterRecord

if TYPE_CHECKING:
    from retail.sources.service import Service

# Single ids that a catalogue refuses outright are not known there; from so many on, it is the configuration.
MOST_REFUSALS: Final = 3


class Catalog(Protocol):
    """A retailer's catalogue of products, and of stores where it has one."""

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """What one call after the other tells of these ids, a call whenever the next item is asked for.

        Of an id that the retailer does not know, a record without a description; none of what it cannot know at
        all. Raises ExtractError.
        """


def catalog_of(service: Service) -> Catalog | None:
    """The catalogue that the service's method `catalog` opens; a service need not have one."""
    opens: Callable[[], Catalog | None] = getattr(service, "catalog", lambda: None)
    return opens()


def batches(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    """The ids in their order, at most `size` together."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]
