"""The single HTTP client: timeouts, retries that follow the retailer's hint, tokens, exact numbers, hidden secrets."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from math import inf
from typing import Final

import requests
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from retail.config import environment
from retail.config.secrets import Secret
from retail.config.settings import ExtractSettings
from retail.errors import AnswerLimitError, ExtractError, QuotaError, RefusedError
from retail.sources.http.bounded import (
    TIMES_THE_TIMEOUT,
    BoundedSession,
    Limits,
    SlowError,
    parse_bounded,
)
from retail.sources.http.messages import (
    ApiProfile,
    Clock,
    Request,
    Response,
    answered_at,
    quoted,
    retry_after,
)
from retail.sources.http.rate_limit import LONGEST_WAIT, SHORT_WAIT, Quota, QuotaPolicy, QuotaWait
from retail.sources.values.json_path import JSON, dump, text
from retail.sources.values.money import is_positive, number

_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# OAuth's refusals of a client (RFC 6749, 5.2), and Walmart's of its credentials.
_LOGIN_REFUSED: Final = frozenset({400, 401, 403})
_USER_AGENT: Final = f"retail-lakehouse/{version('retail-lakehouse')} (Language=Python)"
_BACKOFF: Final = wait_exponential_jitter(initial=1, max=60, jitter=1)
# A header's value; tokens of the three retailers have up to 2,000 characters.
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}")
AGAIN: Final = "run the same command again later; it continues after the last stored page"

log = structlog.get_logger(__name__)


class HttpClient:
    """Talks to one retailer. Holds its connections and its access token."""

    def __init__(
        self,
        retailer_id: str,
        profile: ApiProfile,
        settings: ExtractSettings,
        *,
        clock: Clock,
        quota_policy: QuotaPolicy = QuotaPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self._retailer_id = retailer_id
        self._profile = profile
        self._settings = settings
        self._clock = clock
        self._quota_policy = quota_policy
        self._waited_for_quota = 0.0
        self._token: Secret | None = None
        self._token_ends = 0.0
        self.scope: str | None = (
            None  # what the token permits, in the retailer's words; None if it does not say
        )
        environment.keep_loopback_direct()
        self._session = BoundedSession(retailer_id)
        self._session.headers["User-Agent"] = _USER_AGENT

    def ask(
        self,
        request: Request,
        *,
        accept: Collection[int] = (200,),
        quota: Quota | None = None,
        cost: float = 1.0,
    ) -> Response:
        """The response, once its status is in `accept` and its body is complete JSON.

        Transient failures are retried within `extract.tries` and `extract.retry_budget_seconds`; waiting for the
        `quota`, of which the request takes `cost`, does not count towards that budget. Raises QuotaError if the quota
        is used up and waiting is not allowed, AnswerLimitError for an answer beyond any real one or too slow, and
        RefusedError and ExtractError with the retailer's last response.
        """
        began = self._clock.monotonic() - self._waited_for_quota
        attempts = Retrying(
            retry=retry_if_exception_type(_LaterError),
            wait=_wait,
            stop=lambda state: self._is_enough(state, began),
            before_sleep=lambda state: self._before_sleep(request, state),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            return attempts(self._ask_once, request, accept, quota, cost)
        except _LaterError as error:
            raise self._gave_up(request, error, attempts, began) from None

    def _ask_once(
        self, request: Request, accept: Collection[int], quota: Quota | None, cost: float
    ) -> Response:
        answer = self._send_within(quota, cost, request)
        if self._profile.token_refused(answer):
            self._token = None
            if isinstance(self._profile.token_request(), Secret):
                self._renew_secrets()
            answer = self._send_within(quota, cost, request)
        if answer.status not in accept:
            raise self._refused(request, answer)
        return answer

    def _send_within(self, quota: Quota | None, cost: float, request: Request) -> Response:
        """One authenticated exchange, once the quota has room for it."""
        signed = self._signed(request)
        if quota is None:
            return self._send(signed)
        self._await_quota(quota, cost)
        quota.sent(cost)
        try:
            return self._send(signed, quota)
        except _LaterError as error:
            if not error.throttled:
                raise
            quota.refused(cost, error.wait)
            wait = quota.seconds_until(cost)
            raise _LaterError(str(error), wait, throttled=True, hinted=error.wait is not None) from None

    def _await_quota(self, quota: Quota, cost: float) -> None:
        seconds = quota.spend(cost)
        try:
            self._announced(seconds)
        except QuotaError:
            quota.give_back(cost)
            raise
        if seconds > 0:
            self._clock.sleep(seconds)
            self._waited_for_quota += seconds

    def _announced(self, seconds: float) -> float:
        """The same seconds, after reporting the wait for the quota. Raises QuotaError if waiting is not allowed."""
        if seconds > LONGEST_WAIT:
            raise QuotaError(
                f"{self._retailer_id}: by the retailer's figures its quota is used up for {seconds / 3600:,.0f} hours",
                hint=AGAIN,
            )
        if seconds > SHORT_WAIT:
            until = self._clock.now() + timedelta(seconds=seconds)
            if not self._quota_policy.waits:
                raise QuotaError(
                    f"{self._retailer_id}: its quota is used up until {until:%Y-%m-%d %H:%M:%S} UTC, "
                    "and this command does not wait",
                    hint=f"omit --no-wait to wait for it; or {AGAIN}",
                )
            self._quota_policy.tell(QuotaWait(retailer_id=self._retailer_id, seconds=seconds, until=until))
        return seconds

    def _signed(self, request: Request) -> Request:
        if self._token is None or self._clock.monotonic() >= self._token_ends:
            self._token = self._fetch_token()
        headers = self._profile.headers(self._token.reveal())
        return replace(request, headers={**request.headers, **headers})

    def _fetch_token(self) -> Secret:
        request = self._profile.token_request()
        if isinstance(request, Secret):
            self._token_ends = inf
            return request
        answer = self._send(request)
        if answer.status in _LOGIN_REFUSED and self._renew_secrets():
            return self._fetch_token()
        found = text(answer.body, "access_token")
        token = Secret(found) if found is not None else None  # known from here on, so that no error shows it
        if answer.status != 200 or found is None or token is None or not _TOKEN.fullmatch(found):
            raise self._refused(request, answer)
        self.scope = text(answer.body, "scope")
        life = number(answer.body.get("expires_in") if isinstance(answer.body, dict) else None)
        seconds = float(life) if life is not None and is_positive(life) else 600.0
        # Walmart's tokens live 900 s, Amazon's 3600: refreshed a minute early, they do not expire in flight.
        self._token_ends = self._clock.monotonic() + max(seconds - 60, seconds / 2)
        return token

    def _renew_secrets(self) -> bool:
        """Read refused secrets again where they live; returns whether one was rotated."""
        renewed = [secret.renew() for secret in self._profile.secrets]
        if any(renewed):
            log.info("secrets_renewed", retailer_id=self._retailer_id)
        return any(renewed)

    def _send(self, request: Request, quota: Quota | None = None) -> Response:
        """One exchange. Raises _LaterError for transient failures."""
        seconds = self._settings.timeout_seconds
        try:
            response = self._session.open(
                request.method,
                request.url,
                Limits(seconds=seconds * TIMES_THE_TIMEOUT),
                params=dict(request.params),
                headers=dict(request.headers),
                data=dict(request.form) if request.form is not None else _body(request),
                timeout=(min(10.0, seconds), seconds),
            )
            content = self._session.body(response)
        except SlowError as error:
            raise _LaterError(str(error), too_slow=True) from None
        except requests.Timeout:
            raise _LaterError(f"no answer within {seconds:g} s") from None
        except requests.RequestException as error:
            # The exception's message holds the address with the query, so only the name of its type is shown.
            raise _LaterError(f"the connection broke ({type(error).__name__})") from None
        return self._read(response, content, quota)

    def _read(self, response: requests.Response, content: bytes, quota: Quota | None) -> Response:
        answer = Response(response.status_code, response.headers, self._json_or_text(content))
        if quota is not None:
            self._profile.learn(answer, quota)
        hint = self._profile.wait(answer, self._clock.now())
        if answer.status in _LATER or hint is not None:
            asked_for = retry_after(answer.headers, self._clock.now())
            wait = hint if asked_for is None else asked_for
            raise _LaterError(self._said(answer), wait, throttled=self._profile.throttled(answer))
        if answer.status == 200 and isinstance(answer.body, str):
            raise _LaterError("HTTP 200, but the body is cut off or not JSON")
        return answer

    def _is_enough(self, state: RetryCallState, began: float) -> bool:
        """Whether tries or seconds are used up; waiting for the quota only costs tries, unless it exceeds the time."""
        budget = self._settings.retry_budget_seconds
        if state.attempt_number >= self._settings.tries or state.upcoming_sleep > budget:
            return True
        spent = self._clock.monotonic() - self._waited_for_quota - began + state.upcoming_sleep
        return spent > budget and not _is_throttled(state)

    def _before_sleep(self, request: Request, state: RetryCallState) -> None:
        self._log(request, state)
        if _is_throttled(state):
            self._waited_for_quota += self._announced(state.upcoming_sleep)

    def _log(self, request: Request, state: RetryCallState) -> None:
        log.warning(
            "retailer_asked_again",
            retailer_id=self._retailer_id,
            asked=request.asked,
            why=str(state.outcome.exception()) if state.outcome else "",
            attempt=state.attempt_number,
            wait_seconds=round(state.upcoming_sleep, 1),
        )

    def _gave_up(
        self, request: Request, error: _LaterError, attempts: Retrying, began: float
    ) -> ExtractError:
        kind = AnswerLimitError if error.too_slow else ExtractError
        tries = attempts.statistics.get("attempt_number", 1)
        seconds = self._clock.monotonic() - self._waited_for_quota - began
        wish = "" if not error.wait else f"; it asks for a wait of {error.wait:.0f} s"
        return kind(
            f"{self._retailer_id}: {request.asked}: gave up after {tries} tries in {seconds:.0f} s: {error}{wish}",
            hint=f"raise extract.tries and extract.retry_budget_seconds, or {AGAIN}",
        )

    def _refused(self, request: Request, answer: Response) -> ExtractError:
        secrets = f"RETAIL_{self._retailer_id.upper()}_…"
        asked_for_token = self._profile.token_request()
        is_token_request = isinstance(asked_for_token, Request) and request.url == asked_for_token.url
        if answer.status in (401, 403) or is_token_request:
            hint = f"check that the secrets {secrets} are right and the application is allowed to read orders"
        elif 300 <= answer.status < 400:
            hint = f"retailers.{self._retailer_id}.base_url must be the API's own address; it redirects elsewhere"
        else:
            hint = (
                f"check the configuration of retailers.{self._retailer_id}, then run the same command again"
            )
        said = f"{self._retailer_id}: {request.asked}: {self._said(answer)}"
        there = answered_at(answer.headers)
        return RefusedError(said, hint=hint, status=answer.status, answered_at=there)

    def _said(self, answer: Response) -> str:
        return f"HTTP {answer.status} {quoted(answer.body)}".rstrip()

    def _json_or_text(self, content: bytes) -> JSON:
        try:
            return parse_bounded(content, retailer_id=self._retailer_id)
        except ValueError:
            return content[:2000].decode("utf-8", "replace")


class _LaterError(Exception):
    """The same request may succeed later; `wait` is the retailer's own hint, in seconds."""

    def __init__(
        self,
        reason: str,
        wait: float | None = None,
        *,
        throttled: bool = False,
        hinted: bool = True,
        too_slow: bool = False,
    ) -> None:
        super().__init__(reason)
        self.wait = wait
        self.throttled = throttled
        self.hinted = hinted
        self.too_slow = too_slow


def _wait(state: RetryCallState) -> float:
    """Never less than the retailer's hint; the jitter keeps clients that failed together apart."""
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, _LaterError) or error.wait is None:
        return _BACKOFF(state)
    wait = error.wait + random.uniform(0, 1)  # noqa: S311 - no secret is made of it
    return wait if error.hinted else max(wait, _BACKOFF(state))


def _is_throttled(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return isinstance(error, _LaterError) and error.throttled


def _body(request: Request) -> bytes | None:
    return None if request.json is None else dump(request.json).encode()
