"""Print the digest of each jar that this environment's Spark gets, for `conf/spark-jars.sha256`: make jar-digests."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from retail.config.settings import home, load_settings
from retail.lake import engine, spark_artifacts

if __name__ == "__main__":
    spark_artifacts.require_known = lambda folder: None  # noqa: ARG005
    settings = load_settings(home() / "conf" / "local.toml")
    with tempfile.TemporaryDirectory() as folder:
        spark = settings.spark.model_copy(update={"jars_folder": folder})
        engine.jars(settings.model_copy(update={"spark": spark}))
        for jar in sorted(Path(folder).glob("*/jars/*.jar")):
            sys.stdout.write(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n")
