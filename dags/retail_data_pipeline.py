"""The daily run as an Airflow DAG: the four tasks of the pipeline, each one of jobs/*.py. docs/AIRFLOW.md explains it.

Airflow's own catch-up is off: the pipeline itself runs from each retailer's checkpoint to its last complete day,
so a missed night needs no run of its own.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronTriggerTimetable, Param

# Airflow adds this folder to the path as the bundle's; an import of this file alone does not.
sys.path.append(str(Path(__file__).parent))
from retail_configuration import COMMANDS, Configuration, home
from retail_jobs import AllRetailersAnswered, RetailJob, default_arguments

CONFIGURATION = Configuration.read(home())

with DAG(
    dag_id="retail_data_pipeline",
    description="Three retailers' sales to a Delta star and PostgreSQL views, every row and cent tied out",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 2 * * *", timezone=CONFIGURATION.time_zone),
    # Before any sale: Airflow's own backfill would leave out the tasks of earlier nights, and call the run a success.
    start_date=datetime(2000, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(CONFIGURATION.time_zone)),
    catchup=False,
    max_active_runs=1,
    tags=["retail"],
    params={
        "to": Param(
            None,
            type=["null", "string"],
            format="date",
            description="The last day to fetch, for a manual run; by default each retailer's last complete day.",
        )
    },
    default_args=default_arguments(CONFIGURATION),
) as dag:
    ingest, transform, check, refresh = (
        RetailJob(task_id=task_id, configuration=CONFIGURATION) for task_id in COMMANDS
    )
    ingest >> transform >> check >> refresh
    # A separate leaf: it reports a missing retailer at once, while the other tasks continue.
    ingest >> AllRetailersAnswered(task_id="all_retailers_answered", retries=0)
