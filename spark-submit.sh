#!/usr/bin/env bash
# spark-submit with this project's jars, package and configuration:
#   ./spark-submit.sh jobs/run_pipeline.py --date 2017-01-05
#   ./spark-submit.sh --master spark://host:7077 --executor-memory 4g jobs/run_pipeline.py --date 2017-01-05
# What stands before the script goes to spark-submit, what stands behind it to the script.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${RETAIL_PYTHON:-$here/.venv/bin/python}
if [ ! -x "$python" ]; then
    echo "spark-submit.sh: $python is not there; run 'make setup' first, or name a Python in RETAIL_PYTHON" >&2
    exit 2
fi
export RETAIL_ENGINE=spark RETAIL_HOME=${RETAIL_HOME:-$here} PYSPARK_PYTHON=$python PYSPARK_DRIVER_PYTHON=$python
package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
(cd "$here/lib" && "$python" -m zipfile -c "$package/retail.zip" retail)
"$python" -m retail.cli spark-options -- "$@" > "$package/options"
options=()
while IFS= read -r option; do options+=("$option"); done < "$package/options"
"$("$python" -m pyspark.find_spark_home)/bin/spark-submit" \
    --master "${SPARK_MASTER:-local[*]}" --py-files "$package/retail.zip" "${options[@]}" \
    --properties-file "$here/conf/spark.conf" "$@"
