"""The daily run as an Airflow DAG: the four tasks of the pipeline, each one of jobs/*.py. docs/AIRFLOW.md explains it.

Airflow's own catch-up is off: the pipeline itself goes from each retailer's checkpoint to its last day that is over,
so a night without a run needs no run of its own.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronTriggerTimetable, Param

# Airflow's processes have this folder on their path as the bundle's; whoever imports this file alone has not.
sys.path.append(str(Path(__file__).parent))
from retail_configuration import COMMANDS, Configuration, home
from retail_jobs import AllRetailersAnswered, RetailJob, note_failure, note_retry

CONFIGURATION = Configuration.read(home())

with DAG(
    dag_id="retail_data_pipeline",
    description="Three retailers' sales to a Delta star and PostgreSQL views, every row and cent tied out",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 2 * * *", timezone=CONFIGURATION.time_zone),
    start_date=datetime(2026, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(CONFIGURATION.time_zone)),
    catchup=False,
    max_active_runs=1,
    tags=["retail"],
    params={
        "to": Param(
            None,
            type=["null", "string"],
            format="date",
            description="The last day to fetch, for a run by hand; else the last that is over in each retailer's zone.",
        )
    },
    default_args={
        "retries": 2,
        "retry_delay": CONFIGURATION.retry_delay,
        "execution_timeout": CONFIGURATION.timeout,
        "on_failure_callback": note_failure,
        "on_retry_callback": note_retry,
    },
) as dag:
    ingest, transform, check, refresh = (
        RetailJob(task_id=task_id, configuration=CONFIGURATION) for task_id in COMMANDS
    )
    ingest >> transform >> check >> refresh
    # A leaf of its own: it tells at once that a retailer is missing, and the others go on meanwhile.
    ingest >> AllRetailersAnswered(task_id="all_retailers_answered", retries=0)
