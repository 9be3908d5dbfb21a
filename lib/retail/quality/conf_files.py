"""Files of `conf/expectations/`, read into the models that define what they may contain."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from retail.config.settings import home
from retail.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def folder() -> Path:
    """The folder of the files."""
    return home() / "conf" / "expectations"


def read_toml(path: Path, model: type[Model]) -> Model:
    """The file as `model`. Raises ConfigurationError naming everything wrong with it."""
    try:
        return model(**tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path} is not TOML: {error}"]) from None
    except ValidationError as error:
        problems = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(problems) from None
