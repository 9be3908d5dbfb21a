#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, each a file; what is there stays. `make secrets` runs it.
#   docker/make_secrets.sh [FOLDER]     (var/secrets)
# The files can be read by every user, for a container's user is another than yours; the folder by you alone.
set -eu
folder=${1:-var/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() { openssl rand -hex 32; }
# Without a line's end: Airflow's …_CMD would take it for a part of the secret.
keep() { [ -s "$1" ] || tr -d '\n' >"$1"; }

for name in postgresql_password warehouse_password airflow_database_password airflow_jwt_secret airflow_api_secret \
    customer_pepper s3_root_access_key s3_root_secret_key s3_access_key s3_secret_key retailer_1_refresh_token; do
    random | keep "$name"
done
for retailer in 1 2 3; do
    random | keep "retailer_${retailer}_client_id"
    random | keep "retailer_${retailer}_client_secret"
done
openssl rand -base64 32 | tr '+/' '-_' | keep airflow_fernet_key
printf '{"viewer": "%s", "operator": "%s", "admin": "%s"}\n' "$(random)" "$(random)" "$(random)" | keep airflow_users.json
printf 'postgresql+psycopg2://airflow:%s@postgresql:5432/airflow\n' "$(cat airflow_database_password)" | keep airflow_database
if [ ! -s simulator_certificate.pem ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=simulator -addext subjectAltName=DNS:simulator,DNS:localhost \
        -keyout simulator_key.pem -out simulator_certificate.pem 2>/dev/null
fi

retailer() {
    printf '"retail_retailer_%s": {"conn_type": "generic", "login": "%s", "password": "%s"%s},\n' \
        "$1" "$(cat "retailer_$1_client_id")" "$(cat "retailer_$1_client_secret")" "$2"
}
{
    echo '{'
    retailer 1 ", \"extra\": {\"refresh_token\": \"$(cat retailer_1_refresh_token)\"}"
    retailer 2 ""
    retailer 3 ""
    printf '"retail_customer": {"conn_type": "generic", "password": "%s"},\n' "$(cat customer_pepper)"
    printf '"retail_s3": {"conn_type": "aws", "login": "%s", "password": "%s"},\n' "$(cat s3_access_key)" "$(cat s3_secret_key)"
    printf '"retail_warehouse": {"conn_type": "postgres", "password": "%s"}\n' "$(cat warehouse_password)"
    echo '}'
} | keep airflow_connections.json
chmod 444 ./*
