"""Which requests ask a retailer for data, and how many did."""

import re
from collections import Counter
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

# Each retailer's requests for data, those for tokens left out.
DATA_PATHS = {
    "retailer_1": re.compile(r"/(orders|catalog|finances)/"),
    "retailer_2": re.compile(r"/v3/(?!token)"),
    "retailer_3": re.compile(r"/admin/(?!oauth/)"),
}
_ITEM = re.compile(r"^(/v3/items/).+")


def retailer_of(path: str) -> str | None:
    """The retailer whose data a path names; None for tokens and for the simulator's own paths."""
    return next((name for name, pattern in DATA_PATHS.items() if pattern.match(path)), None)


class Traffic:
    """Counts the requests for data, by retailer and path, whatever became of them."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in DATA_PATHS}

    def note(self, scope: Scope) -> None:
        """Count one request."""
        path = scope.get("path", "")
        retailer = retailer_of(path)
        if retailer is not None:
            self._counts[retailer][_ITEM.sub(r"\1{id}", path)] += 1

    def as_json(self) -> dict[str, Any]:
        """The counts."""
        return {retailer: dict(counts) for retailer, counts in self._counts.items()}


class CountRequests:
    """Tells `traffic` of each request."""

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._traffic.note(scope)
        await self._app(scope, receive, send)
