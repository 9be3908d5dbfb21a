"""In Airflow's own Python: prints as JSON what the DAG is."""

import json
import os
from typing import Any

from airflow.dag_processing.dagbag import DagBag


def _task(task: Any) -> dict[str, Any]:
    return {
        "behind": sorted(task.downstream_task_ids),
        "retries": task.retries,
        "retry_seconds": task.retry_delay.total_seconds(),
        "timeout_hours": task.execution_timeout.total_seconds() / 3600,
        "template_fields": list(task.template_fields),
        "callbacks": [callback.__name__ for callback in (*task.on_failure_callback, *task.on_retry_callback)],
    }


bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
print(  # noqa: T201
    json.dumps(
        {
            "errors": bag.import_errors,
            "dags": {
                dag.dag_id: {
                    "schedule": dag.timetable.expression,
                    "zone": str(dag.timetable.timezone),
                    "max_active_runs": dag.max_active_runs,
                    "catchup": dag.catchup,
                    "tasks": {task.task_id: _task(task) for task in dag.tasks},
                }
                for dag in bag.dags.values()
            },
        }
    )
)
