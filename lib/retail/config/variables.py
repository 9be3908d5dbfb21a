"""Environment variables that begin with `RETAIL_`: each sets something, or it is a mistake that is named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from retail.config.secrets import NEW_PEPPER, PEPPER, PREFIX, WAREHOUSE_PASSWORD

# Read by our own programs, though they are no settings: where things are, Airflow's DAG, and the tests.
OURS: Final = frozenset(
    {
        "RETAIL_HOME",
        "RETAIL_CONF",
        "RETAIL_UMASK",
        "RETAIL_PYTHON",
        "RETAIL_AIRFLOW_CONF",
        "RETAIL_SHARED_APIS",
    }
)
OURS_BEGIN: Final = ("RETAIL_TEST_", "RETAIL_REQUIRE_", "RETAIL_AIRFLOW_")
SECRETS: Final = tuple(PREFIX + name.upper() for name in (PEPPER, NEW_PEPPER, WAREHOUSE_PASSWORD))
# The login of a retailer that this configuration does not have: one environment may serve several configurations.
_LOGIN: Final = re.compile(r"RETAIL_[A-Z0-9_]+_(ID|KEY|SECRET|TOKEN|PASSWORD)(_FILE)?")
# Kubernetes sets these for each Service of a namespace, such as one called `retail-db`.
_KUBERNETES: Final = re.compile(
    r"RETAIL_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_\d+_[A-Z0-9_]+)"
)
_KUBERNETES_PORT: Final = re.compile(r"RETAIL_([A-Z0-9_]+_)?PORT(_\d+_(TCP|UDP|SCTP))?")
_CLOSE: Final = 0.8


def problems(
    environment: Mapping[str, str], settings: type[BaseModel], retailers: Collection[str]
) -> list[str]:
    """Every variable with our prefix that sets nothing, with the name that was probably meant.

    `settings` is the model whose keys can be set, `retailers` are the ids that the configuration has. A key of a known
    section that does not exist is left to the model, which refuses it by itself.
    """
    keys = dict(_keys(settings, retailers))
    secrets = {each + end for each in SECRETS for end in ("", "_FILE")}
    found = []
    for name, value in sorted(environment.items()):
        if not name.upper().startswith(PREFIX):
            continue
        if name.upper() in keys or name in OURS:
            if not value.strip():
                found.append(f"{name} is empty: give it a value, or unset it")
        elif name in secrets or name.startswith(OURS_BEGIN) or _is_of_kubernetes(name, value):
            continue
        elif not _is_in_a_section(name.upper(), settings):
            found += _unknown(name, [*keys, *sorted(OURS), *sorted(secrets)], retailers)
    return found


def closest(name: str, known: Collection[str]) -> str | None:
    """The known name that was probably meant; underscores alone make no difference.

    >>> closest("RETAIL_WAREHOUSE_HOST", ["RETAIL_WAREHOUSE__HOST", "RETAIL_WAREHOUSE__PORT"])
    'RETAIL_WAREHOUSE__HOST'
    """
    same = [each for each in known if each.replace("_", "") == name.upper().replace("_", "")]
    return next(iter(same or difflib.get_close_matches(name.upper(), known, n=1, cutoff=_CLOSE)), None)


def is_login(name: str) -> bool:
    """Whether the variable is named like a retailer's secret, configured here or not.

    >>> is_login("RETAIL_CORNER_SHOP_API_KEY"), is_login("RETAIL_ENGIN")
    (True, False)
    """
    return _LOGIN.fullmatch(name) is not None


def _unknown(name: str, known: Collection[str], retailers: Collection[str]) -> Iterator[str]:
    meant = closest(name, known)
    of_retailer = any(name.startswith(f"{PREFIX}{each.upper()}_") for each in retailers)
    is_a_key = meant is not None and meant.replace("_", "") == name.upper().replace("_", "")
    if not is_a_key and of_retailer:
        return  # its service knows its secrets: `retail.sources.registry.problems`
    if not is_a_key and is_login(name) and meant not in _with_files(SECRETS):
        return
    suggestion = f"; did you mean {meant}?" if meant else "; docs/CONFIGURATION.md lists all"
    yield f"{name} is no variable of retail and sets nothing{suggestion}"


def _with_files(names: Collection[str]) -> set[str]:
    return {name + end for name in names for end in ("", "_FILE")}


def _keys(settings: type[BaseModel], retailers: Collection[str]) -> Iterator[tuple[str, None]]:
    """The variable of each key and section; of a retailer's too, also by the short name that suggests itself."""
    for section, field in settings.model_fields.items():
        yield PREFIX + section.upper(), None
        for name in _fields_of(field.annotation):
            if section == "retailers":
                for retailer in retailers:
                    yield f"{PREFIX}RETAILERS__{retailer.upper()}__{name.upper()}", None
            else:
                yield f"{PREFIX}{section.upper()}__{name.upper()}", None


def _fields_of(annotation: Any) -> list[str]:
    """The keys of a section, or of each entry of a section that is a table of them."""
    for each in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return list(each.model_fields)
    return []


def _is_in_a_section(name: str, settings: type[BaseModel]) -> bool:
    sections = [each for each, field in settings.model_fields.items() if _fields_of(field.annotation)]
    return any(name.startswith(f"{PREFIX}{each.upper()}__") for each in sections)


def _is_of_kubernetes(name: str, value: str) -> bool:
    linked = re.match(r"(tcp|udp|sctp)://", value) is not None
    return _KUBERNETES.fullmatch(name) is not None or (
        linked and _KUBERNETES_PORT.fullmatch(name) is not None
    )
