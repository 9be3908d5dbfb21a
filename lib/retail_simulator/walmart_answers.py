"""How Walmart refuses, and the headers of its answers."""

from collections.abc import Mapping
from itertools import cycle

from starlette.responses import JSONResponse

from retail_simulator.access import TokenState
from retail_simulator.clock import SimulatedClock
from retail_simulator.throttle import Bucket
from retail_simulator.walmart_orders import Json

GATEWAY = "GMP_GATEWAY_API"


class Refusals:
    """Walmart's answers other than 200.

    Two shapes are in use, a list under `error` (recorded) and a shorter one under `errors` (Walmart's newer pages);
    an expired token is a 400 in one public client and a 401 in another report. `in_turn` has both occur.
    """

    def __init__(self, *, in_turn: bool) -> None:
        self._newer = cycle((False, True) if in_turn else (False,))
        self._expired = cycle((400, 401) if in_turn else (400,))
        self._replenish = cycle(
            ("x-next-replenish-time", "X-Next-Replenishment-Time") if in_turn else ("x-next-replenish-time",)
        )

    def header_missing(self, headers: Mapping[str, str]) -> JSONResponse | None:
        """The refusal of a request without one of the headers that every call needs."""
        code = f"INVALID_REQUEST_HEADER.{GATEWAY}"
        for name in ("WM_SVC.NAME", "WM_QOS.CORRELATION_ID"):
            if not headers.get(name.lower()):
                return self.error(400, code, f"Header {name} is missing", name)
        # Without it the API answers in XML, which is not played.
        if "application/json" not in headers.get("accept", ""):
            return self.error(400, code, "Accept must be application/json", "Accept")
        return None

    def token(self, state: TokenState) -> JSONResponse:
        """The refusal of a token."""
        if state is TokenState.EXPIRED:
            description = "Invalid or expired access token"
            return self.error(next(self._expired), f"INVALID_TOKEN.{GATEWAY}", description)
        return self.unauthorized("Unauthorized token or incorrect authorization header.")

    def unauthorized(self, info: str) -> JSONResponse:
        """401."""
        return self.error(401, f"UNAUTHORIZED.{GATEWAY}", "Unauthorized", "UNAUTHORIZED", info=info)

    def throttled(self, headers: Mapping[str, str]) -> JSONResponse:
        """429; the headers say when to come again."""
        description = "Request threshold violated"
        return self.error(429, f"REQUEST_THRESHOLD_VIOLATED.{GATEWAY}", description, headers=headers)

    def nothing_found(self, api: str, what: str) -> JSONResponse:
        """Walmart's answer when nothing matches (recorded by the client walmart-marketplace)."""
        info = "Requested content could not be found."
        return self.error(404, f"CONTENT_NOT_FOUND.{api}", what, info=info, severity="INFO")

    def error(
        self,
        status: int,
        code: str,
        description: str,
        field: str | None = None,
        *,
        info: str | None = None,
        severity: str = "ERROR",
        headers: Mapping[str, str] | None = None,
    ) -> JSONResponse:
        """One error, in one of the two shapes."""
        error: Json
        if next(self._newer):
            error = {
                "code": code,
                "message": description,
                "category": "DATA",
                "severity": severity,
                "field": field,
            }
            return JSONResponse({"errors": [error]}, status_code=status, headers=headers)
        error = {
            "code": code,
            "field": field,
            "description": description,
            "info": info or description,
            "severity": severity,
            "category": "DATA",
            "causes": [],
            "errorIdentifiers": {},
        }
        return JSONResponse({"error": [error]}, status_code=status, headers=headers)

    def budget(self, bucket: Bucket | None, clock: SimulatedClock) -> dict[str, str]:
        """What is left of a bucket and when it has a token again, in milliseconds since 1970."""
        if bucket is None:
            return {}
        left = bucket.level
        replenished = clock.now() + max(0.0, 1 - left) / bucket.per_second
        return {
            "x-current-token-count": str(int(left)),
            next(self._replenish): str(int(replenished * 1000)),
        }
