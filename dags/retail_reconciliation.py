"""The weekly comparison as an Airflow DAG: `retail reconcile` over the last two weeks. docs/AIRFLOW.md explains it.

It brings what the retailers listed too late for the nightly runs, and marks what was deleted there.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, CronTriggerTimetable

# Airflow adds this folder to the path as the bundle's; an import of this file alone does not.
sys.path.append(str(Path(__file__).parent))
from retail_configuration import RECONCILE, Configuration, home
from retail_jobs import ReconcileJob, default_arguments

CONFIGURATION = Configuration.read(home())

with DAG(
    dag_id="retail_reconciliation",
    description="The last two weeks compared with the retailers again: what came late, what was deleted",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 6 * * 0", timezone=CONFIGURATION.time_zone),
    start_date=datetime(2026, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(CONFIGURATION.time_zone)),
    catchup=False,
    max_active_runs=1,
    tags=["retail"],
    default_args=default_arguments(CONFIGURATION),
) as dag:
    ReconcileJob(task_id=RECONCILE, configuration=CONFIGURATION)
