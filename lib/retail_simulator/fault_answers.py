"""How each retailer words a failure of its own: too many requests, an expired token, an error within."""

from collections.abc import Callable
from itertools import cycle

from starlette.responses import JSONResponse, Response

from retail_simulator import amazon_answers
from retail_simulator.access import TokenState
from retail_simulator.clock import SimulatedClock
from retail_simulator.walmart_answers import GATEWAY, Refusals

Answer = Callable[[], Response]


def own_answers(clock: SimulatedClock, walmart: Refusals) -> dict[str, dict[str, Answer]]:
    """By retailer and kind of fault, what makes the answer."""
    in_turn = cycle((_shopify_429, _shopify_throttled))

    def too_many_at_shopify() -> Response:
        return next(in_turn)()

    return {
        "retailer_1": {
            "429": amazon_answers.quota_exceeded,
            "500": lambda: amazon_answers.error(500, "InternalFailure", "We encountered an internal error."),
            "503": lambda: amazon_answers.error(
                503, "ServiceUnavailable", "Service is temporarily unavailable."
            ),
            "expired_token": lambda: amazon_answers.unauthorized(TokenState.EXPIRED),
        },
        "retailer_2": {
            "429": lambda: walmart.throttled(_replenished_soon(clock)),
            "500": lambda: walmart.error(500, f"SYSTEM_ERROR.{GATEWAY}", "Internal server error"),
            "503": lambda: walmart.error(503, f"SERVICE_UNAVAILABLE.{GATEWAY}", "Service unavailable"),
            "expired_token": lambda: walmart.token(TokenState.EXPIRED),
        },
        "retailer_3": {
            "429": too_many_at_shopify,
            "500": lambda: JSONResponse({"errors": "Internal Server Error"}, status_code=500),
            # From the proxy before the shop, and no JSON.
            "503": lambda: Response("<html>Service Unavailable</html>", 503, media_type="text/html"),
            "expired_token": _shopify_expired,
        },
    }


def _replenished_soon(clock: SimulatedClock) -> dict[str, str]:
    return {"x-current-token-count": "0", "x-next-replenish-time": str(int((clock.now() + 1) * 1000))}


def _shopify_429() -> Response:
    refusal = "Exceeded 40 requests per second for api client."
    return JSONResponse({"errors": refusal}, status_code=429, headers={"Retry-After": "1.0"})


def _shopify_throttled() -> Response:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0}
    cost = {"requestedQueryCost": 100, "actualQueryCost": None, "throttleStatus": status}
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    return JSONResponse({"errors": [error], "extensions": {"cost": cost}})


def _shopify_expired() -> Response:
    refusal = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    return JSONResponse({"errors": refusal}, status_code=401)
