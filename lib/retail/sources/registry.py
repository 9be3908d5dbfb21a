"""Which service class reads which retailer, and whether the configuration gives it everything it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from importlib import import_module
from typing import Final

from pydantic import ValidationError

from retail.config import variables
from retail.config.secrets import NEW_PEPPER, PEPPER, PREFIX, WAREHOUSE_PASSWORD, Secret, Secrets
from retail.config.settings import RetailerSettings, Settings
from retail.errors import ConfigurationError
from retail.sources import fields, pii
from retail.sources.http.messages import Clock
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.service import Sales, Service
from retail.sources.window import Window, window_of_unit

# Short names for built-in services; any other service is named by its class, as `package.module:Class`.
SERVICES: Final[dict[str, str]] = {
    "amazon": "retail.sources.amazon.service:Amazon",
    "walmart": "retail.sources.walmart.service:Walmart",
    "shopify": "retail.sources.shopify.service:Shopify",
}
PEPPER_VARIABLE: Final = f"{PREFIX}{PEPPER.upper()}"
# Together with the configuration's revisions, as many as the star can order
# (docs/decisions/0002-order-of-versions.md).
MOST_MAPPING_VERSIONS: Final = 1_000


def problems(settings: Settings, secrets: Secrets, retailers: Iterable[str]) -> list[str]:
    """Everything that prevents reading these retailers, each with its key or variable."""
    retailers = list(retailers)
    found = [each for retailer_id in retailers for each in _of_retailer(retailer_id, settings)]
    names = [name for retailer_id in retailers for name in secret_names(retailer_id, settings)]
    found += [each for name in [*names, PEPPER] for each in _of_secret(name, secrets)]
    found += _unknown_references(settings)
    found += _of_pepper(secrets)
    return found + [each for retailer_id in retailers for each in _unknown(retailer_id, settings, secrets)]


def open_service(
    retailer_id: str,
    settings: Settings,
    secrets: Secrets,
    *,
    clock: Clock | None = None,
    quota_policy: QuotaPolicy | None = None,
) -> Service:
    """The retailer's service, ready to use. Raises ConfigurationError with all of its problems."""
    found = problems(settings, secrets, [retailer_id])
    if found:
        raise ConfigurationError(found)
    service = _class_of(settings.retailers[retailer_id].service)
    return service(
        retailer_id, settings, secrets, clock=clock or Clock(), quota_policy=quota_policy or QuotaPolicy()
    )


def sales_of(retailer_id: str, settings: Settings) -> Sales:
    """The retailer's Sales, which interpret its responses without any secret. Raises ConfigurationError."""
    found = list(_of_retailer(retailer_id, settings))
    if found:
        raise ConfigurationError(found)
    retailer = settings.retailers[retailer_id]
    sales = _class_of(retailer.service).sales(retailer_id, retailer)
    if not 0 < sales.MAPPING_VERSION <= MOST_MAPPING_VERSIONS:
        problem = f"{retailer.service}: MAPPING_VERSION is {sales.MAPPING_VERSION}; it must be 1 to 1,000"
        raise ConfigurationError([problem], hint="number the versions of the mapping from 1")
    return sales


def watched_of(retailer_id: str, settings: Settings) -> Mapping[str, str]:
    """The watched fields of the retailer's answers, by path, and what a value there would mean; see `fields`."""
    package, _, _ = _class_of(settings.retailers[retailer_id].service).__module__.rpartition(".")
    return fields.watched(package)


def windows_of(
    settings: Settings,
    units: Iterable[tuple[str, date]],
    *,
    fetched: Mapping[tuple[str, date], datetime] | None = None,
) -> dict[tuple[str, date], Window]:
    """The window of each unit of a run.

    A day looks back unless the day before is fetched in the same run. `fetched` says up to when earlier days have been:
    a day begins where the one before ended, if that is earlier than its own beginning. Raises ConfigurationError.
    """
    units, fetched = set(units), fetched or {}
    return {
        (retailer_id, day): window_of_unit(
            settings,
            (retailer_id, day),
            look_back=timedelta(0)
            if (retailer_id, day - timedelta(days=1)) in units
            else _look_back(settings.retailers[retailer_id]),
            fetched_to=fetched.get((retailer_id, day - timedelta(days=1))),
        )
        for retailer_id, day in units
    }


def _look_back(retailer: RetailerSettings) -> timedelta:
    """The configured look-back or the service's, at least its `LEAST_LOOK_BACK`; an older class has neither."""
    service = _class_of(retailer.service)
    least: timedelta = getattr(service, "LEAST_LOOK_BACK", timedelta(0))
    if retailer.look_back_hours is not None:
        return max(least, timedelta(hours=retailer.look_back_hours))
    found: timedelta = getattr(service, "LOOK_BACK", timedelta(0))
    return found


def _class_of(service: str) -> type[Service]:
    """The class by its name in the configuration. Raises ValueError with the reason if there is none."""
    module, _, name = SERVICES.get(service, service).partition(":")
    if not name:
        known = ", ".join(sorted(SERVICES))
        raise ValueError(f"{service!r} is not one of {known}, nor a class named like package.module:Class")
    try:
        found: type[Service] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{service!r} cannot be loaded: {error}") from None
    return found


def _of_retailer(retailer_id: str, settings: Settings) -> Iterator[str]:
    retailer = settings.retailers.get(retailer_id)
    if retailer is None:
        yield f"retailers.{retailer_id} is not configured; the configuration has {', '.join(settings.retailers)}"
        return
    try:
        _class_of(retailer.service).Options(**retailer.options)
    except ValidationError as error:
        for each in error.errors(include_input=False):
            key = ".".join(["retailers", retailer_id, "options", *map(str, each["loc"])])
            yield f"{key}: {each['msg']}"
    except ValueError as error:
        yield f"retailers.{retailer_id}.service: {error}"


def secret_names(retailer_id: str, settings: Settings) -> list[str]:
    """The names of the retailer's secrets; empty for an unknown retailer or service, which is reported elsewhere."""
    try:
        retailer = settings.retailers[retailer_id]
        names = _class_of(retailer.service).secret_names(retailer.options)
    except (KeyError, ValueError):
        return []
    return [f"{retailer_id}_{name}" for name in names]


def _unknown_references(settings: Settings) -> Iterator[str]:
    """Entries of `[secrets]` that no part of the configuration asks for."""
    known = [name for retailer_id in settings.retailers for name in secret_names(retailer_id, settings)]
    known += [PEPPER, NEW_PEPPER, WAREHOUSE_PASSWORD]
    for name in settings.secrets:
        if name not in known:
            meant = variables.closest(name, [each.upper() for each in known])
            suggestion = f"; did you mean {meant.lower()}?" if meant else ""
            yield f"secrets.{name} is no secret of this configuration and sets nothing{suggestion}"


def _unknown(retailer_id: str, settings: Settings, secrets: Secrets) -> Iterator[str]:
    """Variables that begin like the retailer's secrets, and are none of them nor another retailer's."""
    if retailer_id not in settings.retailers:
        return
    longer = [f"RETAIL_{each.upper()}_" for each in settings.retailers if each.startswith(f"{retailer_id}_")]
    known = [
        f"RETAIL_{name.upper()}{end}" for name in secret_names(retailer_id, settings) for end in ("", "_FILE")
    ]
    begins = f"RETAIL_{retailer_id.upper()}_"
    for name in secrets.variables(retailer_id):
        if name in known or name.startswith(tuple(longer)) or variables.is_login(name):
            continue
        key = name.removeprefix(begins)
        meant = (
            f"RETAIL_RETAILERS__{retailer_id.upper()}__{key}"
            if key.lower() in RetailerSettings.model_fields
            else variables.closest(name, known)
        )
        suggestion = f"; did you mean {meant}?" if meant else ""
        yield f"{name} is no variable of {retailer_id} and sets nothing{suggestion}"


def pepper_problems(pepper: Secret, variable: str = PEPPER_VARIABLE) -> list[str]:
    """What is wrong with a pepper, if anything: with few bytes, whoever has the pseudonyms tries every one."""
    size = len(pepper.reveal().encode())
    if size >= pii.LEAST_PEPPER_BYTES:
        return []
    return [
        f"secret {variable} has {size} bytes and needs at least {pii.LEAST_PEPPER_BYTES}: `openssl rand -hex 32` makes "
        "one. If the lake has customers, bring them to it with `retail pepper rotate`"
    ]


def _of_pepper(secrets: Secrets) -> list[str]:
    try:
        pepper = secrets.get(PEPPER)
    except ConfigurationError:  # reported with the other secrets
        return []
    return [] if pepper is None else pepper_problems(pepper)


def _of_secret(name: str, secrets: Secrets) -> list[str]:
    try:
        return secrets.missing([name])
    except ConfigurationError as error:  # the file that should hold the secret cannot be read
        return error.problems
