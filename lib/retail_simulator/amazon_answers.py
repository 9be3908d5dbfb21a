"""How the Selling Partner API refuses, and the headers of its answers."""

import uuid

from starlette.responses import JSONResponse

from retail_simulator.access import TokenState

DENIED = "Access to requested resource is denied."
# What is told where nothing is throttled, so that no client holds back for nothing. In requests a second.
WITHOUT_LIMIT = 1000.0
QUOTA_EXCEEDED = "You exceeded your quota for the requested resource."


def error(
    status: int, code: str, message: str, details: str = "", *, rate: float | None = None
) -> JSONResponse:
    """A list of one error. `rate` is shown with 400 and 404: the models declare it there, not on 403 and 429."""
    body = {"errors": [{"code": code, "message": message, "details": details}]}
    return JSONResponse(body, status_code=status, headers=headers(rate if status in (400, 404) else None))


def headers(rate: float | None) -> dict[str, str]:
    """The headers of an answer; `rate` in requests a second."""
    limit = {} if rate is None else {"x-amzn-RateLimit-Limit": str(rate)}
    return {"x-amzn-RequestId": str(uuid.uuid4()), **limit}


def unauthorized(state: TokenState | None) -> JSONResponse:
    """The refusal of a token; None where none was sent."""
    if state is None:
        return error(403, "Unauthorized", DENIED, "Access token is missing in the request header.")
    if state is TokenState.EXPIRED:
        return error(403, "Unauthorized", DENIED, "The access token you provided has expired.")
    return error(
        403, "Unauthorized", DENIED, "The access token you provided is revoked, malformed or invalid."
    )


def quota_exceeded() -> JSONResponse:
    """429, which does not tell how long to wait."""
    return error(429, "QuotaExceeded", QUOTA_EXCEEDED)
