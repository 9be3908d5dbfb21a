"""References to secrets: each store by a real server or a written exchange; refusals name them without a value."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from retail.config.secret_stores import SecretStores, UnreadableError
from retail.config.secrets import Secrets
from retail.config.settings import load_settings
from retail.errors import ConfigurationError

# Written from the documentation of Vault's HTTP API (KV, version 2): no Vault server can be installed here.
RECORDED = Path(__file__).parent / "data" / "vault_kv2.json"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The recorded server's variables, and the requests that it got as `asked`."""
    recorded = json.loads(RECORDED.read_text())
    asked: list[tuple[str, str | None, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token, space = self.headers.get("X-Vault-Token"), self.headers.get("X-Vault-Namespace")
            asked.append((self.path, token, space))
            found = recorded.get(self.path.partition("?")[0], recorded["absent"])
            if token != "of-the-operator":
                found = recorded["forbidden"]
            body = json.dumps(found["body"]).encode()
            self.send_response(found["status"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setenv("HOME", str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield {
        "VAULT_ADDR": f"http://127.0.0.1:{server.server_address[1]}",
        "VAULT_TOKEN": "of-the-operator",
        "asked": asked,
    }
    server.shutdown()
    server.server_close()


def test_secrets_manager_s_current_version_is_read_once_and_again_when_it_is_renewed(
    aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.Session().client("secretsmanager", endpoint_url=aws)  # the default one would stay
    stored = {"client_id": "an id", "client_secret": "first"}
    arn = client.create_secret(Name="retail/amazon", SecretString=json.dumps(stored))["ARN"]
    client.create_secret(Name="plain", SecretString="a pepper\n")
    client.create_secret(Name="binary", SecretBinary=b"\x00")
    references = {
        "by_name": "aws-secretsmanager:retail/amazon#client_secret",
        "by_arn": f"aws-secretsmanager:{arn}#client_id",
        "plain": "aws-secretsmanager:plain",
        "binary": "aws-secretsmanager:binary",
        "unknown": "aws-secretsmanager:nowhere",
        "no_json": "aws-secretsmanager:plain#key",
        "no_key": "aws-secretsmanager:retail/amazon#clientsecret",
    }
    secrets = Secrets({"AWS_ENDPOINT_URL_SECRETS_MANAGER": aws}, references)
    secret = secrets.require("by_name")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert secrets.require("by_arn").reveal() == "an id"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert secrets.require("plain").reveal() == "a pepper"
    client.put_secret_value(
        SecretId="retail/amazon", SecretString=json.dumps(stored | {"client_secret": "second"})
    )
    assert secrets.require("by_name").reveal() == secret.reveal() == "first"
    assert (secret.renew(), secret.reveal(), secret.renew()) == (True, "second", False)
    for name in ("binary", "unknown", "no_json", "no_key"):
        with pytest.raises(ConfigurationError) as refused:
            secrets.get(name)
        assert refused.value.problems[0].startswith(f"secrets.{name}: {references[name]}: ")
        assert "a pepper" not in str(refused.value)
        assert "second" not in str(refused.value)


def test_vault_s_newest_version_is_read_by_the_variables_of_its_own_command(vault: dict[str, Any]) -> None:
    stores = SecretStores(vault | {"VAULT_NAMESPACE": "retail"})
    assert stores.read("vault:secret/retail/amazon#client_secret") == "hvs-recorded-secret"
    assert stores.read("vault:secret/retail/amazon#client_id") == "amzn1.application-oa2-client.recorded"
    assert vault["asked"] == [("/v1/secret/data/retail/amazon", "of-the-operator", "retail")]
    for reference in (
        "vault:secret/retail/amazon#no",
        "vault:secret/absent#x",
        "vault:secret/retail/deleted#x",
    ):
        with pytest.raises(UnreadableError):
            stores.read(reference)
    with pytest.raises(UnreadableError, match="Forbidden"):
        SecretStores(vault | {"VAULT_TOKEN": "stolen"}).read("vault:secret/retail/amazon#client_id")
    with pytest.raises(UnreadableError, match="VAULT_ADDR"):
        SecretStores({}).read("vault:secret/retail/amazon#client_id")
    with pytest.raises(UnreadableError, match="ConnectionError"):
        SecretStores(vault | {"VAULT_ADDR": "http://127.0.0.1:9"}).read(
            "vault:secret/retail/amazon#client_id"
        )


def test_a_variable_counts_over_a_reference_and_a_file_s_new_text_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a secret#1"
    path.write_text("first\n")
    references = {"key": f"file:{path}", "other": "env:ELSEWHERE", "gone": "env:NOWHERE"}
    secrets = Secrets({"RETAIL_OTHER": "ours", "ELSEWHERE": "theirs"}, references)
    assert secrets.require("other").reveal() == "ours"
    secret = secrets.require("key")
    assert (secret.reveal(), secret.renew()) == ("first", False)
    path.write_text("second")
    assert (secret.renew(), secret.reveal()) == (True, "second")
    path.unlink()
    assert (secret.renew(), secret.reveal()) == (False, "second")
    with pytest.raises(ConfigurationError, match=r"secrets\.gone: env:NOWHERE"):
        secrets.get("gone")


@pytest.mark.parametrize(
    "value",
    [
        "hunter2-the-password",
        "vault:secret#key",
        "vault:secret/path",
        "file:#no-path",
        "aws-secretsmanager:#key",
    ],
)
def test_what_is_no_reference_is_refused_and_not_repeated(value: str, tmp_path: Path) -> None:
    path = tmp_path / "retail.toml"
    path.write_text(
        'start_date = 2017-01-01\n[lake]\nurl = "lake"\n[secrets]\ncustomer_pepper = "' + value + '"\n'
        '[retailers.a]\nservice = "walmart"\nname = "A"\nbase_url = "http://127.0.0.1:9"\ntime_zone = "UTC"\n'
    )
    with pytest.raises(ConfigurationError) as refused:
        load_settings(path)
    assert len(refused.value.problems) == 1
    assert "customer_pepper: must " in refused.value.problems[0]
    assert value not in str(refused.value)
