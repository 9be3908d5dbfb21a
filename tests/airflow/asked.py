"""In Airflow's own Python: prints as JSON the arguments of a task's job for each DAG run and try given.

Each is `{"type": …, "logical_date": …, "to": …, "max_tries": …}`; what is missing is a scheduled run's first try's.
"""

import json
import os
import sys
from datetime import datetime
from types import SimpleNamespace

sys.path.append(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
from airflow.utils.types import DagRunType
from retail_data_pipeline import dag

task = dag.get_task(sys.argv[1])


def context(asked: dict[str, str]) -> dict[str, object]:
    night = datetime.fromisoformat(asked.get("logical_date", "2026-01-05T10:00:00+00:00"))
    run = SimpleNamespace(run_id="r", run_type=DagRunType(asked.get("type", "scheduled")), logical_date=night)
    ti = SimpleNamespace(max_tries=asked.get("max_tries", task.retries))
    return {"dag_run": run, "ti": ti, "params": {"to": asked.get("to")}}


print(json.dumps([task.arguments(context(each))[2:] for each in json.loads(sys.argv[2])]))  # noqa: T201
