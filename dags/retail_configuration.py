"""conf/airflow.toml, and the names of the tasks."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

INGEST: Final = "ingest_retailers_to_s3"
RECONCILE: Final = "reconcile"
# The `retail` command that does the same work by hand.
COMMANDS: Final = {
    INGEST: "ingest",
    "transform_s3_to_postgres": "transform",
    "data_quality_check": "check",
    "refresh_materialized_views": "refresh",
}


@dataclass(frozen=True)
class Configuration:
    """conf/airflow.toml, with its paths made absolute."""

    home: Path
    time_zone: str
    conf: Path
    python: Path
    launcher: str
    spark_arguments: tuple[str, ...]
    retry_delay: timedelta
    timeout: timedelta

    @classmethod
    def read(cls, home: Path) -> Configuration:
        """The configuration. Raises ValueError naming the fault, which Airflow shows as the DAG's import error."""
        path = Path(os.environ.get("RETAIL_AIRFLOW_CONF") or home / "conf" / "airflow.toml")
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        if values.get("launcher") not in ("python", "spark-submit"):
            raise ValueError(f'{path}: launcher must be "python" or "spark-submit"')
        try:
            return cls(
                home=home,
                time_zone=values.pop("time_zone"),
                conf=home / values.pop("conf"),
                python=home / values.pop("python"),
                launcher=values.pop("launcher"),
                spark_arguments=tuple(values.pop("spark_arguments", ())),
                retry_delay=timedelta(minutes=values.pop("retry_minutes", 5)),
                timeout=timedelta(hours=values.pop("timeout_hours", 20)),
                **values,
            )
        except KeyError as error:
            raise ValueError(f"{path}: {error.args[0]} is missing") from None
        except TypeError as error:
            raise ValueError(f"{path}: unknown key: {', '.join(values)}") from error

    def command(self, script: str, arguments: list[str]) -> list[str]:
        """The command that launches the job."""
        job = [str(self.home / "jobs" / f"{script}.py"), *arguments]
        if self.launcher == "spark-submit":
            return [str(self.home / "spark-submit.sh"), *self.spark_arguments, *job]
        return [str(self.python), *job]


def home() -> Path:
    """RETAIL_HOME, or the checkout that contains this DAG."""
    return Path(os.environ.get("RETAIL_HOME") or Path(__file__).resolve().parents[1])
