"""What all three token services share: credentials from the environment, tokens that expire, form bodies."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum, auto
from hmac import compare_digest
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.requests import Request

from retail_simulator.clock import SimulatedClock


def _secret(variable: str, environment: Mapping[str, str]) -> str:
    path = environment.get(f"{variable}_FILE")
    return Path(path).read_text(encoding="utf-8").strip() if path else environment.get(variable, "")


class CredentialsMissingError(Exception):
    """Some credentials are not in the environment; the message names them all."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client must present. Each field is read from the variable RETAIL_<FIELD>, or from the file that
    RETAIL_<FIELD>_FILE names."""

    retailer_1_client_id: str
    retailer_1_client_secret: str
    retailer_1_refresh_token: str
    retailer_2_client_id: str
    retailer_2_client_secret: str
    retailer_3_client_id: str
    retailer_3_client_secret: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Credentials":
        """The credentials in `environment`."""
        names = {field.name: f"RETAIL_{field.name.upper()}" for field in fields(cls)}
        found = {variable: _secret(variable, environment) for variable in names.values()}
        missing = [variable for variable, value in found.items() if not value]
        if missing:
            raise CredentialsMissingError(f"missing in the environment: {', '.join(missing)}")
        return cls(**{field: found[variable] for field, variable in names.items()})


class TokenState(Enum):
    """What a retailer thinks of an access token."""

    VALID = auto()
    EXPIRED = auto()
    UNKNOWN = auto()


class AccessTokens:
    """The access tokens one retailer has given out."""

    def __init__(self, clock: SimulatedClock, *, prefix: str, lifetime: int) -> None:
        self._clock = clock
        self._prefix = prefix
        self.lifetime = lifetime
        self._ends: dict[str, float] = {}

    def issue(self) -> str:
        """A new token, good for `lifetime` seconds."""
        token = self._prefix + secrets.token_urlsafe(48)
        self._ends[token] = self._clock.now() + self.lifetime
        return token

    def state(self, token: str) -> TokenState:
        """Whether `token` opens the door now."""
        end = self._ends.get(token)
        if end is None:
            return TokenState.UNKNOWN
        return TokenState.VALID if self._clock.now() < end else TokenState.EXPIRED


def same(given: str | None, expected: str) -> bool:
    """Whether a secret is the expected one, without telling by the time it takes."""
    return given is not None and compare_digest(given.encode(), expected.encode())


async def form_of(request: Request) -> dict[str, str] | None:
    """The fields of a form-encoded body; None when the body says it is something else."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    return dict(parse_qsl((await request.body()).decode("utf-8", errors="replace")))
