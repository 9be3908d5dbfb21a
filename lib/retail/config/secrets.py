"""Secrets come from the environment, from files that it names, or from where `[secrets]` refers to.

A configuration file never holds one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from retail.config import text_files
from retail.config.secret_stores import SecretStores, UnreadableError
from retail.errors import ConfigurationError
from retail.outgoing_text import remember

PREFIX = "RETAIL_"
# The names of the secrets that belong to no retailer.
PEPPER = "customer_pepper"
NEW_PEPPER = "new_pepper"
WAREHOUSE_PASSWORD = "warehouse_password"  # noqa: S105


class Secret:
    """A value that is shown only on request: not in `repr`, logs, tracebacks' locals or formats.

    `read` reads it again where it lives. Where its text comes to be in something that leaves the process all the same,
    `retail.outgoing_text` masks it.
    """

    __slots__ = ("_read", "_value")

    def __init__(self, value: str, read: Callable[[], str | None] | None = None) -> None:
        self._value = value
        self._read = read
        remember(value)

    def reveal(self) -> str:
        """The secret itself; call it where it is used, never where it is passed on."""
        return self._value

    def renew(self) -> bool:
        """Read it again, after it was refused; returns whether it has changed. One that is gone stays as it was."""
        try:
            value = self._read() if self._read is not None else None
        except ConfigurationError:
            return False
        if not value or value == self._value:
            return False
        self._value = value
        remember(value)
        return True

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Secrets:
    """Looks a secret up by name: as `RETAIL_<NAME>`, as the file that `RETAIL_<NAME>_FILE` names, or by its reference.

    `references` is `[secrets]` of the configuration; a variable counts over it.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, references: Mapping[str, str] | None = None
    ) -> None:
        self._environment = os.environ if environment is None else environment
        self._references = references or {}
        self._stores = SecretStores(self._environment)
        self._given: dict[str, Secret] = {}

    def with_references(self, references: Mapping[str, str]) -> Secrets:
        """The same, with the references of a configuration."""
        return self._like(self._given, references)

    def given(self, name: str, secret: Secret) -> Secrets:
        """The same secrets, but for the one of that name."""
        return self._like({**self._given, name: secret}, self._references)

    def get(self, name: str) -> Secret | None:
        """The secret, or None if it is not set anywhere, or empty. Raises ConfigurationError if it cannot be read."""
        if name in self._given:
            return self._given[name]
        value = self._read(name)
        return Secret(value, lambda: self._read(name, again=True)) if value else None

    def require(self, name: str) -> Secret:
        """The secret, or ConfigurationError naming the variable to set."""
        secret = self.get(name)
        if secret is None:
            raise ConfigurationError(self.missing([name]))
        return secret

    def variables(self, prefix: str) -> list[str]:
        """The variables that begin with `RETAIL_<PREFIX>_`, by name."""
        return sorted(each for each in self._environment if each.startswith(f"{PREFIX}{prefix.upper()}_"))

    def missing(self, names: Iterable[str]) -> list[str]:
        """One problem per secret that is not set, in words for the person who sets it."""
        return [
            f"secret {PREFIX}{name.upper()} is not set (or {PREFIX}{name.upper()}_FILE, the path of its file,"
            f" or [secrets] {name})"
            for name in names
            if self.get(name) is None
        ]

    def _like(self, given: dict[str, Secret], references: Mapping[str, str]) -> Secrets:
        others = Secrets(self._environment, references)
        others._stores = self._stores
        others._given = given
        return others

    def _read(self, name: str, *, again: bool = False) -> str | None:
        variable = PREFIX + name.upper()
        path = self._environment.get(variable + "_FILE")
        if path:
            try:
                return text_files.read(Path(path)).strip()
            except OSError as error:
                raise ConfigurationError(
                    [f"{variable}_FILE: {path} cannot be read ({error.strerror})"]
                ) from None
        value = self._environment.get(variable, "")
        reference = self._references.get(name)
        if value or reference is None:
            return value
        if again:
            self._stores.forget(reference)
        try:
            return self._stores.read(reference)
        except UnreadableError as error:
            raise ConfigurationError(
                [f"secrets.{name}: {reference}: {error}"],
                hint="check the reference, and that this user may read what it names",
            ) from None
