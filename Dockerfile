# Two images: `pipeline` (the command retail, jobs/*.py, the simulator, Spark with its jars) and `airflow`, which has
# Airflow beside it. No secret is in either: they come as files when a container starts (docker-compose.yml).

FROM python:3.11.14-slim-bookworm AS java
# Debian's security updates replace this version; an exact one would fail the build when they come.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/retail --create-home retail
WORKDIR /opt/retail

FROM java AS build
RUN pip install --no-cache-dir uv==0.13.9
# The dependencies first: they change seldom, and their layer is kept. The lock constrains them, with hashes.
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN uv venv --python /usr/local/bin/python3.11 .venv \
    && uv pip install --no-cache --constraint requirements.lock --requirement pyproject.toml --extra simulator
COPY . .
# The jars are what spark-submit.sh would resolve at its first start.
RUN uv pip install --no-cache --no-deps --editable . \
    && RETAIL_CONF=conf/compose.toml .venv/bin/retail spark-options > /dev/null

FROM java AS build-airflow
RUN pip install --no-cache-dir uv==0.13.9
COPY tests/airflow/requirements.txt /tmp/requirements.txt
RUN uv venv --python /usr/local/bin/python3.11 /opt/airflow/.venv \
    && uv pip install --no-cache --python /opt/airflow/.venv/bin/python --require-hashes --requirement /tmp/requirements.txt

FROM java AS pipeline
COPY --from=build /opt/retail /opt/retail
ENV PATH=/opt/retail/.venv/bin:$PATH RETAIL_HOME=/opt/retail PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/retail
ENTRYPOINT ["/opt/retail/docker/entrypoint.sh"]
CMD ["retail", "--help"]

FROM pipeline AS airflow
USER 0
COPY --from=build-airflow /opt/airflow /opt/airflow
RUN mkdir /var/lib/airflow && chown 10001:10001 /var/lib/airflow
ENV PATH=/opt/airflow/.venv/bin:$PATH AIRFLOW_HOME=/var/lib/airflow
USER 10001
WORKDIR /var/lib/airflow
CMD ["airflow", "version"]
