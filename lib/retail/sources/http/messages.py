"""HTTP messages: request, response, the retailer-specific profile, and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from retail.config.secrets import Secret
from retail.outgoing_text import mask, printable
from retail.sources.http.rate_limit import Quota
from retail.sources.pii import without_contacts
from retail.sources.values.json_path import JSON, dump

_LOOKED_AT: Final = 10_000
_QUOTED: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to a retailer; `form` or `json` is its body."""

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: JSON = None

    @property
    def asked(self) -> str:
        """The request's name in errors and logs: without the query, which holds cursors."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{parts.netloc}{parts.path}"


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `body` is text if it is not JSON. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: JSON


class ApiProfile(Protocol):
    """The retailer-specific parts of HTTP."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Values that must never be shown, even if the retailer repeats them in a response."""

    def token_request(self) -> Request | Secret:
        """The request whose response holds `access_token` and `expires_in` in seconds; or a permanent token."""

    def headers(self, token: str) -> dict[str, str]:
        """Headers for every request."""

    def token_refused(self, answer: Response) -> bool:
        """Whether the response says that the token is no longer valid."""

    def throttled(self, answer: Response) -> bool:
        """Whether the response says that the quota is used up."""

    def wait(self, answer: Response, now: datetime) -> float | None:
        """Seconds to wait if the response, whatever its status, means "later"; None if it does not say."""

    def learn(self, answer: Response, quota: Quota) -> None:
        """Update the quota with the response's figures."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the client sees it, so that tests need not wait."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def quoted(body: JSON) -> str:
    """The beginning of what a retailer said, in one line for a message: without secrets and e-mail addresses."""
    words = (body if isinstance(body, str) else dump(body))[:_LOOKED_AT]
    # Cut last, for what is cut in two is recognised no more.
    return printable(without_contacts(mask(" ".join(words.split()))))[:_QUOTED]


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """The server's own time, from its `Date` header (RFC 9110, 6.6.1); None if there is none."""
    try:
        found = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as seconds or as a date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
