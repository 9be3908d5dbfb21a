"""The interface of a retailer's catalogue, and the code that the three of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from retail.records import MasterRecord

if TYPE_CHECKING:
    from retail.sources.service import Service

# Up to this many single ids that a catalogue refuses are just unknown; beyond that, the configuration is at
# fault.
MOST_REFUSALS: Final = 3


class Catalog(Protocol):
    """A retailer's catalogue of products, and of stores where it has one."""

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """Yields the records of these ids call by call; each call is made when the next item is requested.

        An id that the retailer does not know gets a record without a description; an id that it cannot know at all gets
        none. Raises ExtractError.
        """


def catalog_of(service: Service) -> Catalog | None:
    """The catalogue opened by the service's method `catalog`; a service need not have one."""
    opens: Callable[[], Catalog | None] = getattr(service, "catalog", lambda: None)
    return opens()


def batches(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    """The ids in order, at most `size` per batch."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]
