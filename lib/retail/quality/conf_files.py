"""Files of `expectations/`, read into the models that define what they may contain.

Each is looked for in the folder `expectations` beside the configuration file, then in the package's own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from retail.config import text_files
from retail.config.settings import home
from retail.errors import ConfigurationError

_FOLDER: Final = "expectations"
_RULES: Final = ("row_rules.toml", "profile.toml")

Model = TypeVar("Model", bound=BaseModel)


def find(name: str, beside: Path | None) -> Path:
    """The file of that name for a configuration in the folder `beside`, or where the package's own would be."""
    own = home() / "conf" / _FOLDER / name
    return next((file for file in _of(beside, name) if file.exists()), own)


def suites(beside: Path | None) -> list[str]:
    """The names of all JSON files of both folders, without `.json`."""
    own = (home() / "conf" / _FOLDER).glob("*.json")
    return sorted({path.name.removesuffix(".json") for path in [*own, *_of(beside, "*.json")]})


def misplaced(beside: Path | None, names: Iterable[str]) -> list[str]:
    """The problems of files with one of these names that lie beside the configuration, where none is read."""
    here = sorted({*names, *_RULES} if beside else ())
    return [
        f"{beside / name} is not read: move it to {beside / _FOLDER}"
        for name in here
        if beside is not None and (beside / name).is_file() and beside.name != _FOLDER
    ]


def _of(beside: Path | None, pattern: str) -> list[Path]:
    return [] if beside is None else sorted((beside / _FOLDER).glob(pattern))


def read_toml(path: Path, model: type[Model]) -> Model:
    """The file as `model`. Raises ConfigurationError naming everything wrong with it."""
    try:
        return model(**tomllib.loads(text_files.read(path)))
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path} is not TOML: {error}"]) from None
    except ValidationError as error:
        problems = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(problems) from None
