"""Secrets come from the environment or from files that it names; never from configuration files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from retail.config import text_files
from retail.errors import ConfigurationError

PREFIX = "RETAIL_"


class Secret:
    """A value that is shown only on request: not in `repr`, logs, tracebacks' locals or formats."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; call it where it is used, never where it is passed on."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Secrets:
    """Looks a secret up by name, as `RETAIL_<NAME>` or as the file that `RETAIL_<NAME>_FILE` names."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def get(self, name: str) -> Secret | None:
        """The secret, or None if neither variable is set or the value is empty."""
        variable = PREFIX + name.upper()
        path = self._environment.get(variable + "_FILE")
        if path:
            try:
                value = text_files.read(Path(path)).strip()
            except OSError as error:
                raise ConfigurationError(
                    [f"{variable}_FILE: {path} cannot be read ({error.strerror})"]
                ) from None
        else:
            value = self._environment.get(variable, "")
        return Secret(value) if value else None

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
            f"secret {PREFIX}{name.upper()} is not set (or {PREFIX}{name.upper()}_FILE, the path of its file)"
            for name in names
            if self.get(name) is None
        ]
