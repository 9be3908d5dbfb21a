"""The addresses that an answer may send us to. A retailer names where its files are, and nothing else goes there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from retail.config.environment import LOOPBACK
from retail.errors import ForbiddenAddressError

_HTTPS: Final = 443


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine, as the simulator's is."""
    return urlsplit(url).hostname in LOOPBACK


def require_allowed(
    url: str | None, *, base_url: str, hosts: Collection[str], retailer_id: str, option: str
) -> str:
    """The address, if a file may be fetched from it: by https, from the API's own host or one of `hosts`.

    An API on this machine, which is the simulator, may name itself too, by http. `option` is the key that sets `hosts`.
    Raises ForbiddenAddressError.
    """
    try:
        there = urlsplit(url or "")
        own, port = urlsplit(base_url), there.port
    except ValueError:
        raise _forbidden(retailer_id, "what is not an address", option) from None
    if is_loopback(base_url):
        if (there.scheme, there.hostname, port) == (own.scheme, own.hostname, own.port):
            return str(url)
        raise _forbidden(retailer_id, f"{there.scheme[:10]}://{(there.hostname or '')[:80]}", option)
    is_plain = there.scheme == "https" and port in (None, _HTTPS, own.port) and "@" not in there.netloc
    if not is_plain or there.hostname not in {own.hostname, *(host.lower() for host in hosts)}:
        raise _forbidden(retailer_id, f"{there.scheme[:10]}://{(there.hostname or '')[:80]}", option)
    return str(url)


def _forbidden(retailer_id: str, where: str, option: str) -> ForbiddenAddressError:
    return ForbiddenAddressError(
        f"{retailer_id}: the retailer keeps its file at {where!r}, which may not be asked",
        hint=f"if that host is the retailer's, add it to {option}; only https is asked",
    )
