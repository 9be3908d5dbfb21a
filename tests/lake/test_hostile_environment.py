"""The environment of other tools does not move the lake's clients: boto3, the engine, the deltalake package."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.conftest import settings_for
from tests.s3 import S3Server, needs_versitygw
from tests.warehouse.tls import Authority

from retail.config import environment
from retail.config.settings import LakeSettings
from retail.errors import ConfigurationError
from retail.lake import delta
from retail.lake.engine import open_session
from retail.lake.storage import open_storage
from retail.lake.storage.s3 import S3Storage
from retail.warehouse.embedded.cluster import free_port

NOBODY = "http://127.0.0.1:9"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_KEYS = {"ACCESS": "ACCESS_KEY_ID", "SECRET": "SECRET_ACCESS_KEY"}
PROFILE = "[profile lake]\nregion = mars-1\nendpoint_url = http://127.0.0.1:9\n"


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set for good within a test is undone after it."""
    for name in (*environment.S3_OPTIONS, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_each_client_reaches_the_configured_bucket_with_the_profile_s_key(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = s3_server.new_lake()
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    login = f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    (tmp_path / "config").write_text(PROFILE)
    (tmp_path / "credentials").write_text(f"[lake]\n{login}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    hostile = {name: NOBODY for each in PROXIES for name in (each, each.upper())}
    hostile |= dict.fromkeys(environment.S3_ENDPOINTS, NOBODY)
    hostile |= {
        "no_grpc_proxy": "example.com",
        "no_proxy": "example.com",
        "AWS_PROFILE": "lake",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_REGION": "mars-1",
        "AWS_DEFAULT_REGION": "mars-1",
        "AWS_ALLOW_HTTP": "false",
        "AWS_BUCKET": "other",
        "AWS_S3_LOCKING_PROVIDER": "dynamodb",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    settings = settings_for("sail", tmp_path).model_copy(update={"lake": lake})
    storage = open_storage(lake)
    storage.write("a", b"1")
    assert storage.read("a") == b"1"
    write_deltalake(storage.delta_url("t"), pa.table({"n": [1]}), storage_options=storage.delta_options())
    with open_session(settings) as session:
        assert delta.read(session, storage, "t").count() == 1
        delta.replace(session.range(2), storage, "t")
    assert len(delta.query(storage, "t", "SELECT id FROM {table}")) == 2
    assert os.environ["no_proxy"].startswith("example.com,127.0.0.1")


@pytest.mark.parametrize("where", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "profile"])
def test_a_server_that_only_another_tool_names_is_refused_not_passed_by(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "profile":
        (tmp_path / "config").write_text(PROFILE)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "lake")
    else:
        monkeypatch.setenv(where, NOBODY)
    with pytest.raises(ConfigurationError, match=rf"lake\.s3_endpoint is not set, and .*{where}") as caught:
        open_storage(LakeSettings(url="s3://bucket/lake"))
    assert "RETAIL_LAKE__S3_ENDPOINT" in caught.value.hint


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "127.0.0.1,localhost,::1"),
        ("*", "*"),
        ("db,localhost", "db,localhost,127.0.0.1,::1"),
    ],
)
def test_a_user_s_list_of_hosts_without_a_proxy_gains_this_machine(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", before)
    environment.keep_loopback_direct()
    environment.keep_loopback_direct()
    assert (os.environ.get("no_proxy", before), os.environ["NO_PROXY"]) == (after, after)


def test_a_server_of_our_own_gets_a_clean_environment() -> None:
    given = {"PATH": "/bin", "RETAIL_CUSTOMER_PEPPER": "x", "PGOPTIONS": "-c a=b", "HTTPS_PROXY": NOBODY}
    cleaned = environment.for_server(given | {"AWS_PROFILE": "x", "all_proxy": NOBODY})
    assert cleaned == {"PATH": "/bin", "RETAIL_CUSTOMER_PEPPER": "x"}


@pytest.mark.nightly
def test_a_ca_bundle_of_aws_holds_for_every_client(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del s3_server  # Sail keeps the first credentials of a process, which are that server's
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    authority = Authority(tmp_path, "authority")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
    made = authority.issue(tmp_path, host="localhost")
    for folder in ("objects", "meta"):
        (tmp_path / folder).mkdir()
    port = free_port()
    command = [needs_versitygw(), "--port", f"127.0.0.1:{port}", "--quiet"]
    command += ["--cert", str(made["server.crt"]), "--key", str(made["server.key"])]
    command += ["posix", "--sidecar", str(tmp_path / "meta"), str(tmp_path / "objects")]
    root = {f"ROOT_{name}_KEY": os.environ[f"AWS_{id_}"] for name, id_ in _KEYS.items()}
    process = subprocess.Popen(command, env={**os.environ, **root}, stdout=subprocess.DEVNULL)
    try:
        lake = LakeSettings(url="s3://lake-1/l", s3_endpoint=f"https://localhost:{port}", s3_path_style=True)
        storage = S3Storage(lake)
        storage.client.create_bucket(Bucket=storage.bucket)  # retried until the server answers
        write_deltalake(storage.delta_url("t"), pa.table({"n": [1]}), storage_options=storage.delta_options())
        settings = settings_for("sail", tmp_path).model_copy(update={"lake": lake})
        with open_session(settings) as session:
            assert delta.read(session, storage, "t").count() == 1
    finally:
        process.terminate()
        process.wait()
