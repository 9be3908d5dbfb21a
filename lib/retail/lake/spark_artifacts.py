"""The Sparks that the code runs on, and what goes with each: Delta, S3A and AWS's SDK.

A Spark that has Delta or S3A of its own, as services' do, keeps them: two of one kind on a class path break each other.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from retail.config.settings import home
from retail.errors import EngineError

POSTGRESQL: Final = "org.postgresql:postgresql:42.7.14"

_DELTA: Final = re.compile(r"\bdelta-(spark|core)(?![a-z])")
_S3A: Final = re.compile(r"\bhadoop-aws\b")
_HADOOP: Final = re.compile(r"hadoop-(?:client-api|common)-(\d\S*)\.jar")
_CORE: Final = re.compile(r"spark-core_(\d+\.\d+)-(\d+\.\d+\S*)\.jar")
# hadoop-aws depends on the SDK's bundle of 600 MB; these are the parts of it that S3A uses.
_SDK: Final = tuple(
    f"software.amazon.awssdk:{part}:2.29.52"
    for part in (
        "s3",
        "s3-transfer-manager",
        "sts",
        "apache-client",
        "netty-nio-client",
        "url-connection-client",
    )
)


@dataclass(frozen=True)
class Pair:
    """A minor version of Spark and what is added to it; `delta` and `hadoop` are versions."""

    spark: str
    scala: str
    delta_artifact: str
    delta_version: str
    hadoop: str
    sdk: tuple[str, ...]

    @property
    def delta(self) -> str:
        """Delta's Maven coordinates."""
        return f"io.delta:{self.delta_artifact}_{self.scala}:{self.delta_version}"

    @property
    def packages(self) -> tuple[str, ...]:
        """Maven coordinates of all that is added."""
        return (self.delta, f"org.apache.hadoop:hadoop-aws:{self.hadoop}", *self.sdk, POSTGRESQL)


PAIRS: Final = (
    # SDK v1 as its bundle: the parts would bring a Jackson of their own, older than Spark's.
    Pair("3.5", "2.12", "delta-spark", "3.3.3", "3.3.4", ("com.amazonaws:aws-java-sdk-bundle:1.12.262",)),
    Pair("4.0", "2.13", "delta-spark", "4.0.1", "3.4.1", _SDK),
    Pair("4.1", "2.13", "delta-spark_4.1", "4.3.1", "3.4.2", _SDK),
)
SUPPORTED: Final = ", ".join(f"{pair.spark} (Delta {pair.delta_version})" for pair in PAIRS)


def pair_for(spark: str, *, scala: str | None = None) -> Pair:
    """What goes with a Spark of that version, such as `3.5.9` or `3.5.4-amzn-0`. Raises EngineError if unsupported."""
    minor = ".".join(spark.split(".")[:2])
    found = next((pair for pair in PAIRS if pair.spark == minor), None)
    if found is None:
        raise EngineError(
            f"Spark {spark} is not supported; supported: {SUPPORTED}",
            hint='run with one of these (pip install "pyspark==…"), or with engine = "sail"',
        )
    if scala is not None and scala != found.scala:
        raise EngineError(
            f"this Spark {spark} is built for Scala {scala}; supported with Spark {minor}: Scala {found.scala}",
            hint='use the build for that Scala, or run with engine = "sail"',
        )
    return found


@dataclass(frozen=True)
class Home:
    """A Spark: its version, and whether its own jars have Delta and S3A. `hadoop` may be a service's own choice."""

    version: str
    scala: str | None = None
    has_delta: bool = False
    has_s3a: bool = False
    hadoop: str | None = None

    @property
    def pair(self) -> Pair:
        """Raises EngineError if it is not supported."""
        return pair_for(self.version, scala=self.scala)

    @property
    def credentials(self) -> str:
        """The name of AWS's default chain: S3A has SDK v1 up to Hadoop 3.3, v2 after it."""
        if (self.hadoop or self.pair.hadoop).startswith("3.3."):
            return "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"
        return "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"


def find() -> Home:
    """The Spark that a session or `spark-submit` of this process would start: SPARK_HOME's, else PySpark's own."""
    import pyspark

    folder = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent) / "jars"
    names = [jar.name for jar in folder.glob("*.jar")] if folder.is_dir() else []
    core = next(filter(None, map(_CORE.fullmatch, names)), None)
    client = next(filter(None, map(_HADOOP.fullmatch, names)), None)
    return Home(
        version=core[2] if core else pyspark.__version__,
        scala=core[1] if core else None,
        has_delta=has_delta(names),
        has_s3a=any(map(_S3A.search, names)),
        hadoop=client[1] if client else None,
    )


def require_same(home: Home) -> None:
    """Raise EngineError if this Python's PySpark is for another Spark: their halves do not understand each other."""
    import pyspark

    of_python = pyspark.__version__
    if of_python.split(".")[:2] != home.version.split(".")[:2]:
        raise EngineError(
            f"SPARK_HOME is Spark {home.version}, and this Python has PySpark {of_python}",
            hint=f'unset SPARK_HOME, or: pip install "pyspark=={home.version.partition("-")[0]}"',
        )


def has_delta(words: Iterable[str]) -> bool:
    """Whether jars, packages or options of `spark-submit` name Delta."""
    return any(map(_DELTA.search, words))


def left_out(*, delta: bool, s3a: bool) -> tuple[str, ...]:
    """How the names of the jars begin that a Spark with Delta or S3A of its own does not get."""
    of_s3a = ("org.apache.hadoop_hadoop-aws-", "software.amazon.", "com.amazonaws_")
    return (*(("io.delta_",) if delta else ()), *(of_s3a if s3a else ()))


def require_known(folder: Path) -> None:
    """Raise EngineError unless each jar of the folder is the one that `conf/spark-jars.sha256` lists; delete others.

    A mirror or a cache that hands out something else is found before Java loads it.
    """
    lines = (home() / "conf" / "spark-jars.sha256").read_text(encoding="utf-8").splitlines()
    known = {name: digest for digest, name in map(str.split, lines)}
    wrong = [jar for jar in sorted(folder.glob("*.jar")) if _sha256(jar) != known.get(jar.name)]
    for jar in wrong:
        jar.unlink()
    if wrong:
        raise EngineError(
            f"not the jars that conf/spark-jars.sha256 lists, and deleted: {', '.join(jar.name for jar in wrong)}",
            hint="see where Maven and Ivy fetch from (~/.m2, ~/.ivy2, settings.xml), then run the same command again",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names_delta(arguments: Sequence[str]) -> bool:
    """Whether arguments of `spark-submit` bring Delta, by `--jars`, `--packages` or `--conf`."""
    options = {"--jars", "--packages", "--conf", "-c", "--driver-class-path"}
    values = [value for option, value in pairwise(arguments) if option in options]
    joined = [each for each in arguments if each.partition("=")[0] in options and "=" in each]
    return has_delta([*values, *joined])
