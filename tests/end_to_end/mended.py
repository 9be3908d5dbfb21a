"""Amazon's service with a mapping that was mended: names of products in capitals, in a version of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from retail.config.settings import RetailerSettings
from retail.records import SalesRecord
from retail.sources.amazon.mapping import AmazonSales
from retail.sources.amazon.service import Amazon
from retail.sources.service import Mapped, Sales
from retail.sources.values.json_path import JSON


@dataclass(frozen=True)
class MendedSales:
    sales: AmazonSales
    MAPPING_VERSION: ClassVar[int] = AmazonSales.MAPPING_VERSION + 1

    def entries(self, answer: JSON) -> list[str] | None:
        return self.sales.entries(answer)

    def records(self, answer: JSON, source: str) -> Iterator[Mapped]:
        for each in self.sales.records(answer, source):
            if not isinstance(each, SalesRecord) or each.product_name is None:
                yield each
            else:
                yield replace(each, product_name=each.product_name.upper())


class MendedAmazon(Amazon):
    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> Sales:  # type: ignore[override]
        return MendedSales(super().sales(retailer_id, retailer))
