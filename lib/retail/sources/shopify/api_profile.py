"""Shopify's specifics in HTTP: tokens, "later" in a response with status 200, and a bucket of points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from retail.config.secrets import Secret
from retail.sources.http.messages import Request, Response
from retail.sources.http.rate_limit import Quota
from retail.sources.values import money
from retail.sources.values.json_path import JSON, at, entries, text


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An application's id and secret, which buy tokens of a day at `url`."""

    url: str
    client_id: Secret
    client_secret: Secret

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.client_id, self.client_secret)

    def token_request(self) -> Request:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id.reveal(),
            "client_secret": self.client_secret.reveal(),
        }
        return Request(method="POST", url=self.url, form=form)


@dataclass(frozen=True, slots=True)
class StaticToken:
    """The token of an application created in the shop's admin, which does not expire."""

    token: Secret

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.token,)

    def token_request(self) -> Secret:
        return self.token


class ShopifyProfile:
    """See messages.ApiProfile."""

    def __init__(self, access: ClientCredentials | StaticToken) -> None:
        self._access = access

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self._access.secrets

    def token_request(self) -> Request | Secret:
        return self._access.token_request()

    def headers(self, token: str) -> dict[str, str]:
        return {
            "X-Shopify-Access-Token": token,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def token_refused(self, answer: Response) -> bool:
        return answer.status == 401

    def throttled(self, answer: Response) -> bool:
        messages = {text(each, "message") for each in entries(answer.body, "errors") or []}
        return answer.status == 429 or "THROTTLED" in _codes(answer) or "Throttled" in messages

    def wait(self, answer: Response, now: datetime) -> float | None:
        del now
        if self.throttled(answer):
            return _until_affordable(at(answer.body, "extensions", "cost"))
        return 1.0 if "INTERNAL_SERVER_ERROR" in _codes(answer) else None

    def learn(self, answer: Response, quota: Quota) -> None:
        status = at(answer.body, "extensions", "cost", "throttleStatus")
        available, burst, rate = (
            points(at(status, name)) for name in ("currentlyAvailable", "maximumAvailable", "restoreRate")
        )
        quota.learn(available=available, burst=burst, per_second=rate)


def points(value: JSON) -> float | None:
    """Points as a number; None if there are none."""
    number = money.number(value)
    return float(number) if isinstance(number, Decimal) and number.is_finite() else None


def _until_affordable(cost: JSON) -> float:
    """Seconds until the bucket has refilled to the query's price."""
    wanted, held, rate = (
        points(at(cost, *path))
        for path in (
            ("requestedQueryCost",),
            ("throttleStatus", "currentlyAvailable"),
            ("throttleStatus", "restoreRate"),
        )
    )
    if wanted is None or held is None or rate is None or wanted <= held or rate <= 0:
        return 1.0
    return (wanted - held) / rate


def _codes(answer: Response) -> set[str | None]:
    return {text(each, "extensions", "code") for each in entries(answer.body, "errors") or []}
