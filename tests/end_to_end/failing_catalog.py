"""A service whose catalogue fails in ways that nobody thought of; all else is Shopify."""

from retail.sources.shopify.service import Shopify


class FailingCatalog(Shopify):
    def catalog(self) -> None:  # type: ignore[override]
        raise ZeroDivisionError
