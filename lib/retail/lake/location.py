"""Where the lake is, in the words of each client: the one home of "location → path or URI".

Sail 0.7.2 encodes the URI of a path once, twice or three times, depending on the call, and takes `[*?{` for patterns:
it writes beside a folder `a b`, and no spelling of the path prevents that. So it gets such a folder by an alias, a
symbolic link with a plain name in this process's temporary folder. A bucket has no links: there the character is
refused before anything is written. docs/decisions/0034-odd-paths.md says what was tried.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from retail.config.settings import LakeSettings
from retail.errors import ConfigurationError
from retail.lake import temporary_folder

Engine = Literal["sail", "spark"]

# What every client takes as it is: in a path, in a URI, and in SQL.
_AS_IT_IS: Final = "/=+&:$;,!@()'-._"
_ODD: Final = re.compile(rf"[^A-Za-z0-9{re.escape(_AS_IT_IS)}]")
# What Spark, too, does not take as it is: Hadoop's patterns and escapes, and what its SQL would need escaped.
_ODD_FOR_SPARK: Final = re.compile(r"[\[\]{}*?^\\`]")
# The deltalake package decodes a path twice, and takes a backslash for a slash.
_NOWHERE: Final = re.compile(r"%[0-9A-Fa-f]{2}|[\\\x00-\x1f\x7f\ud800-\udfff]")
_STEP: Final = re.compile(r"(?<=/)(\.{0,2})(?=/)")


def require_usable(lake: LakeSettings, engine: Engine) -> None:
    """Raises ConfigurationError if `lake.url` is a file, or has a character that a client of the lake cannot take."""
    if is_bucket(lake):
        prefix = prefix_of(lake)
        found = _NOWHERE.search(prefix) or (_ODD if engine == "sail" else _ODD_FOR_SPARK).search(prefix)
        found = found or _STEP.search(f"/{prefix}")
        place = lake.url
    else:
        place = str(Path(lake.url).expanduser().resolve())
        found = _NOWHERE.search(place)
        if Path(place).is_file():
            raise ConfigurationError(
                [f"lake.url: {_shown(place)} is a file"], hint="name a folder, or s3://bucket/prefix"
            )
    if found is not None:
        raise ConfigurationError(
            [
                f"lake.url: {_shown(place)} contains {_shown(found[0]) or '//'!r}, {_reason(lake, engine, found[0])}"
            ],
            hint="choose a place whose name has letters, digits, - and _ only; nothing was written",
        )


def is_bucket(lake: LakeSettings) -> bool:
    """Whether the lake is in S3; else it is a folder."""
    return lake.url.startswith(("s3://", "s3a://"))


def _reason(lake: LakeSettings, engine: Engine, found: str) -> str:
    if found in ("", ".", ".."):
        return "a step that S3 takes literally and the engines do not"
    if _NOWHERE.search(found):
        return "which the lake's clients would decode to another name"
    also = '; engine = "spark" takes it' if engine == "sail" and not _ODD_FOR_SPARK.search(found) else ""
    return f"which {engine} would write to another prefix of the bucket{also}" if is_bucket(lake) else ""


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode() if not text.isprintable() else text


def prefix_of(lake: LakeSettings) -> str:
    """The bucket's prefix of the lake, ending in a slash; empty if the whole bucket is the lake."""
    prefix = lake.url.split("://", 1)[1].partition("/")[2].strip("/")
    return f"{prefix}/" if prefix else ""


def in_uri(prefix: str) -> str:
    """A bucket's prefix as the deltalake package's URI has it."""
    return quote(prefix, safe=_AS_IT_IS)


def in_sql(path: str) -> str:
    """A path as the engines' SQL quotes it: delta.`…`."""
    return f"`{path.replace('`', '``')}`"


def for_engine(folder: Path, engine: Engine) -> Path:
    """The folder as that engine can name it: itself, or its alias."""
    odd = (_ODD if engine == "sail" else _ODD_FOR_SPARK).search(str(folder))
    return alias_of(folder) if odd else folder


def alias_of(folder: Path) -> Path:
    """A symbolic link to the folder, which is made if need be, with a plain name; it lasts as long as this process.

    Raises ConfigurationError if the machine has no temporary folder with a plain name.
    """
    alias = temporary_folder.folder() / f"lake-{hashlib.sha256(bytes(folder)).hexdigest()[:16]}"
    if _ODD.search(str(alias)):
        raise ConfigurationError(
            [f"lake.url: the engines cannot name {folder}, nor the temporary folder {alias.parent}"],
            hint="set TMPDIR to a folder whose name has letters, digits, - and _ only",
        )
    with suppress(OSError):  # then the engine reports it
        folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        alias.symlink_to(folder, target_is_directory=True)
    return alias


def require_shared(lake: LakeSettings) -> None:
    """For a Spark whose executors are on other machines, where no alias is. Raises ConfigurationError."""
    found = None if is_bucket(lake) else _ODD_FOR_SPARK.search(str(Path(lake.url).expanduser().resolve()))
    if found is not None:
        raise ConfigurationError(
            [f"lake.url: {lake.url} contains {found[0]!r}, which Spark on a cluster takes for a pattern"],
            hint="choose a folder without it, or S3, or run on this machine: spark.master = local[*]",
        )
