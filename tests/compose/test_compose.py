"""docker-compose.yml and Dockerfile, without Docker: valid, tight, and each command of ours does its work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from retail.config.settings import home
from retail.lake.engine import jars
from tests.airflow.server import needs_airflow
from tests.conftest import needs_java, settings_for
from tests.s3 import needs_versitygw

HERE = Path(__file__).parent
COMPOSE = yaml.safe_load((home() / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (home() / "Dockerfile").read_text(encoding="utf-8")
# With a namespace for processes, all of them end with the first.
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
ONCE = {"bucket", "airflow-migrate", "pipeline"}
UNPAUSE = ("airflow-scheduler", "airflow", "dags", "unpause", "-y", "retail_data_pipeline")


def secrets_of(service: dict[str, Any]) -> set[str]:
    return {each if isinstance(each, str) else each["source"] for each in service.get("secrets", [])}


def test_the_file_is_as_the_compose_specification_has_it() -> None:
    # github.com/compose-spec/compose-spec, schema/compose-spec.json of 2026-06-23, Apache-2.0.
    schema = json.loads((HERE / "compose-spec.json").read_text(encoding="utf-8"))
    errors = Draft7Validator(schema).iter_errors(COMPOSE)
    assert [f"{'.'.join(map(str, error.path))}: {error.message}" for error in errors] == []


def test_every_name_that_a_service_uses_is_declared_and_every_secret_declared_is_used() -> None:
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        volumes = {
            volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")
        }
        assert volumes <= set(COMPOSE["volumes"]), name
        for other, needed in service.get("depends_on", {}).items():
            waits_for_health = needed["condition"] == "service_healthy"
            assert ("healthcheck" in SERVICES[other]) == waits_for_health, f"{name} waits for {other}"
    assert {each for service in SERVICES.values() for each in secrets_of(service)} == set(COMPOSE["secrets"])


def test_a_secret_is_read_only_where_it_is_mounted() -> None:
    for name, service in SERVICES.items():
        text = json.dumps([service.get(key) for key in ("command", "environment", "healthcheck")])
        named = {file.removesuffix(".json") for file in re.findall(r"/run/secrets/([\w.]+)", text)}
        assert named <= secrets_of(service), name


def test_what_serves_is_watched_and_what_runs_once_is_not_started_again_for_ever() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONCE
    assert all(SERVICES[name]["restart"] != "unless-stopped" for name in ONCE)


def test_versions_are_pinned_and_nothing_is_open_to_other_machines() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(
        r"^FROM (\S+:\S+)", DOCKERFILE, re.M
    )
    assert [image for image in images if not re.search(r":v?\d+\.\d+", image)] == []
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_a_network_has_no_way_out_and_one_that_publishes_a_port_has_one_service() -> None:
    for name, network in COMPOSE["networks"].items():
        if not network.get("internal"):
            assert network["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}, name
            (only,) = (each for each in SERVICES.values() if name in each["networks"])
            assert only["ports"]


def test_no_service_reaches_another_that_it_does_not_need() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    apart = [("simulator", "s3"), ("simulator", "postgresql"), ("s3", "postgresql"), ("airflow-api", "s3")]
    apart += [("spark-worker", "postgresql"), ("spark-worker", "simulator"), ("airflow-api", "simulator")]
    apart += [("spark-master", "postgresql"), ("spark-master", "airflow-api"), ("spark-master", "s3")]
    assert [pair for pair in apart if networks[pair[0]] & networks[pair[1]]] == []


def test_spark_s_processes_find_each_other_whatever_networks_their_containers_have() -> None:
    # Docker has interfaces, and the addresses of a container's own name, in the order of the networks' names.
    assert {min(SERVICES[name]["networks"]) for name in ("spark-master", "spark-worker")} == {"cluster"}
    told = tomllib.loads((home() / "conf" / "compose-airflow.toml").read_text(encoding="utf-8"))
    options = dict(each.split("=") for each in told["spark_arguments"] if "=" in each)
    assert options["spark.driver.bindAddress"] == "0.0.0.0"  # noqa: S104
    assert "cluster" in SERVICES[options["spark.driver.host"]]["networks"]


def test_an_image_of_ours_has_one_build_and_is_never_pulled() -> None:
    ours = [service for service in SERVICES.values() if service["image"].startswith("retail-lakehouse")]
    builds = [(service["image"], service["build"]["target"]) for service in ours if "build" in service]
    assert sorted(builds) == [
        ("retail-lakehouse-airflow:0.1.0", "airflow"),
        ("retail-lakehouse:0.1.0", "pipeline"),
    ]
    assert all(f" AS {target}\n" in DOCKERFILE for _, target in builds)
    assert {service["image"] for service in ours} == {image for image, _ in builds}
    assert {service["pull_policy"] for service in ours} == {"never"}


def test_the_documents_say_how_the_dag_is_switched_on_in_the_stack() -> None:
    told = f"docker compose exec {' '.join(UNPAUSE)}"
    for document in ("docs/COMPOSE.md", "docker-compose.yml"):
        assert told in (home() / document).read_text(encoding="utf-8"), document


def test_a_service_writes_to_its_volumes_alone_and_has_bounds() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["pids_limit"], name


def test_the_s3_server_s_root_keys_go_to_nobody_who_works_with_the_lake() -> None:
    having = {name for name, service in SERVICES.items() if "s3_root_secret_key" in secrets_of(service)}
    assert having == {"s3", "bucket"}


def test_ours_run_as_a_user_without_rights_and_hold_no_secret() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.M)
    for stage in stages[-2:]:
        assert re.findall(r"^USER (\S+)", stage, re.M)[-1] == "10001"
    ignored = (home() / ".dockerignore").read_text(encoding="utf-8").split()
    assert {"*", "conf/demo.env"} <= set(ignored)
    assert not {"!var", "!.git", "!.venv"} & set(ignored)


def test_every_file_that_the_image_copies_is_in_the_build_s_context() -> None:
    ignored = (home() / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = [
        path
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M)
        for path in line.split()
        if path != "."
    ]
    assert copied
    for path in (*copied, *allowed):
        assert (home() / path).exists(), path
        assert path in allowed, path


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "--failure-threshold", "info", "Dockerfile"],
        ["shellcheck", *sorted(str(path.relative_to(home())) for path in home().glob("docker/*.sh"))],
        ["shellcheck", "spark-submit.sh", ".ci/run"],
    ],
    ids=lambda command: " ".join(command[:1] + command[-1:]),
)
def test_linters_have_nothing_to_say(command: list[str]) -> None:
    tool = Path(sys.executable).parent / command[0]
    said = subprocess.run([tool, *command[1:]], cwd=home(), capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_make_secrets_makes_every_file_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    def make() -> dict[str, bytes]:
        subprocess.run([home() / "docker" / "make_secrets.sh", folder], check=True)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    made = make()
    assert make() == made
    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} == set(made)
    assert folder.stat().st_mode & 0o077 == 0
    assert [name for name, value in made.items() if value.endswith(b"\n") and not name.endswith(".pem")] == []
    assert len(set(made.values())) == len(made)


class Stack:
    """Services that run outside of containers; `run` gives one of them another command."""

    def __init__(self, folder: Path, *names: str) -> None:
        command = [
            *UNSHARE,
            sys.executable,
            "-m",
            "tests.compose.outside",
            str(folder),
            *names,
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home(),
            env={**os.environ, "PYTHONPATH": str(home())},
        )  # fmt: skip
        for name in names:
            assert self._answer()["started"] == name

    def run(self, service: str, *command: str) -> tuple[int, str]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"service": service, "command": command}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        return answer["code"], answer["said"]

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=120)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert "failed" not in answer, answer["failed"]
        return answer


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services, in the order in which they wait for each other."""
    allowed = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip(f"namespaces of its own need root: {' '.join(UNSHARE)}")
    needs_versitygw()
    needs_airflow()
    needs_java()
    # The image has them; the stack has no network to fetch them by.
    jars(settings_for("spark", tmp_path_factory.mktemp("lake")))
    found = Stack(tmp_path_factory.mktemp("compose"), *(name for name in SERVICES if name != "pipeline"))
    yield found
    found.stop()


# What each account gets for the same four questions, and somebody without an account.
ROLES = """
import json, sys, urllib.error, urllib.request as r
passwords = json.load(open("/run/secrets/airflow_users"))
def ask(method, path, body=None, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + token} if token else {})
    asked = r.Request("http://airflow-api:8080" + path, body and json.dumps(body).encode(), headers, method=method)
    try:
        with r.urlopen(asked) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, {}
for name, password in [*passwords.items(), ("admin", "guess"), ("nobody", "")]:
    token = ask("POST", "/auth/token", {"username": name, "password": password})[1].get("access_token")
    dag = "/api/v2/dags/retail_data_pipeline"
    print(name, *(ask(*each, token=token)[0] for each in [
        ("GET", dag), ("PATCH", dag, {"is_paused": True}),
        ("GET", "/api/v2/connections"), ("GET", "/auth/fab/v1/users"),
    ]))
"""


@pytest.mark.nightly
@pytest.mark.airflow
@pytest.mark.spark
@pytest.mark.s3
@pytest.mark.xdist_group("spark")
def test_every_service_becomes_healthy_and_a_day_goes_all_the_way_by_hand(stack: Stack) -> None:
    code, said = stack.run("airflow-migrate", "/opt/airflow/.venv/bin/python", "-c", ROLES)
    assert (code, said.split("\n")) == (0, [
        "viewer 200 403 403 403", "operator 200 200 403 403", "admin 200 200 200 200",
        "admin 401 401 401 401", "nobody 401 401 401 401", "",
    ])  # fmt: skip
    code, said = stack.run("pipeline", *map(str, SERVICES["pipeline"]["command"]))
    assert (code, said.splitlines()[-1]) == (0, "Everything is in place."), said
    code, said = stack.run("pipeline", "retail", "run", "--date", "2017-01-01")
    assert code == 0, said
    assert ": success" in said


@pytest.mark.cluster
def test_airflow_brings_the_days_that_are_due_on_the_spark_of_the_stack(stack: Stack) -> None:
    assert stack.run(*UNPAUSE)[0] == 0
    scheduler, *_, dag = UNPAUSE
    state, deadline = "", time.monotonic() + 1500
    while time.monotonic() < deadline:
        _, said = stack.run(scheduler, "airflow", "dags", "list-runs", dag, "-o", "json")
        # A DAG that is switched on runs for the last 02:00 that is past.
        state = ",".join(run["state"] for run in json.loads(said[said.index("[{") :])) if "[{" in said else ""
        if state in ("success", "failed"):
            break
    _, status = stack.run("pipeline", "retail", "status")
    assert state == "success", status
    assert re.search(r"scheduled-\w+-\w+ +spark +2017-01-0[12]…2017-01-07 .* success", status), status
