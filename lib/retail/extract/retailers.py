"""Which service class reads which retailer, and whether the configuration gives it all it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import ValidationError

from retail.errors import ConfigurationError
from retail.extract.amazon import Amazon
from retail.extract.http import Clock
from retail.extract.service import Service
from retail.extract.shopify import Shopify
from retail.extract.walmart import Walmart
from retail.secrets import Secrets
from retail.settings import Settings

SERVICES: Final[dict[str, type[Amazon] | type[Walmart] | type[Shopify]]] = {
    "amazon": Amazon,
    "walmart": Walmart,
    "shopify": Shopify,
}
PEPPER: Final = "customer_pepper"


def problems(settings: Settings, secrets: Secrets, retailers: Iterable[str]) -> list[str]:
    """Everything that keeps these retailers from being read, each by its key or variable."""
    retailers = list(retailers)
    found = [each for retailer_id in retailers for each in _of_retailer(retailer_id, settings)]
    names = [name for retailer_id in retailers for name in _secret_names(retailer_id, settings)]
    return found + [each for name in [*names, PEPPER] for each in _of_secret(name, secrets)]


def open_service(
    retailer_id: str, settings: Settings, secrets: Secrets, *, clock: Clock | None = None
) -> Service:
    """The retailer's service, ready to be asked. Raises ConfigurationError with all of its problems."""
    found = problems(settings, secrets, [retailer_id])
    if found:
        raise ConfigurationError(found)
    return SERVICES[settings.retailers[retailer_id].service](retailer_id, settings, secrets, clock=clock)


def _of_retailer(retailer_id: str, settings: Settings) -> Iterator[str]:
    retailer = settings.retailers.get(retailer_id)
    if retailer is None:
        yield f"retailers.{retailer_id} is not configured; there are {', '.join(settings.retailers)}"
    elif retailer.service not in SERVICES:
        known = ", ".join(sorted(SERVICES))
        yield f"retailers.{retailer_id}.service: {retailer.service!r} is none of {known}"
    else:
        yield from _of_options(f"retailers.{retailer_id}.options", settings, retailer_id)


def _of_options(key: str, settings: Settings, retailer_id: str) -> Iterator[str]:
    retailer = settings.retailers[retailer_id]
    try:
        SERVICES[retailer.service].Options(**retailer.options)
    except ValidationError as error:
        for each in error.errors(include_input=False):
            yield f"{'.'.join([key, *map(str, each['loc'])])}: {each['msg']}"


def _secret_names(retailer_id: str, settings: Settings) -> list[str]:
    retailer = settings.retailers.get(retailer_id)
    service = SERVICES.get(retailer.service) if retailer else None
    return [f"{retailer_id}_{name}" for name in service.SECRETS] if service else []


def _of_secret(name: str, secrets: Secrets) -> list[str]:
    try:
        return secrets.missing([name])
    except ConfigurationError as error:  # the file that should hold it cannot be read
        return error.problems
