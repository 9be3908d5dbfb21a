"""In Airflow's own Python: prints as JSON for which of the tries given, `[max_tries, try_number]`, a job is redone."""

import json
import os
import sys
from types import SimpleNamespace

sys.path.append(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
from retail_data_pipeline import dag
from retail_jobs import _is_cleared

retries = dag.get_task(sys.argv[1]).retries
tries = [SimpleNamespace(max_tries=most, try_number=number) for most, number in json.loads(sys.argv[2])]
print(json.dumps([_is_cleared(ti, retries) for ti in tries]))  # noqa: T201
