#!/bin/sh
# Run once by the PostgreSQL image, in an empty data folder: a login and a database for the pipeline, and for Airflow.
set -eu
secrets=${SECRETS_FOLDER:-/run/secrets}
psql --quiet --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
\set pipeline \`cat $secrets/warehouse_password\`
\set airflow \`cat $secrets/airflow_database_password\`
CREATE ROLE retail_pipeline LOGIN PASSWORD :'pipeline';
CREATE DATABASE retail OWNER retail_pipeline;
CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE DATABASE airflow OWNER airflow;
REVOKE CONNECT ON DATABASE retail FROM PUBLIC;
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;
SQL
