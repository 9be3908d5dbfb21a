"""`sslmode = "verify-full"` on a real server with a certificate made here: who is let in, what others are told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from retail.config.secrets import Secrets
from retail.config.settings import WarehouseSettings
from retail.errors import WarehouseError
from retail.warehouse.connection import open_warehouse
from tests.warehouse import servers
from tests.warehouse.conftest import temporary_folder
from tests.warehouse.tls import Authority, with_tls

pytestmark = pytest.mark.postgres

RIGHT = Secrets({"RETAIL_WAREHOUSE_PASSWORD": servers.PASSWORD})


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "ours")


@pytest.fixture(scope="module")
def port(folder: Path, authority: Authority) -> Iterator[int]:
    """A server that takes TLS only, with a certificate for `localhost`."""
    files = authority.issue(folder, host="localhost")
    with servers.started(with_tls(), folder / "server", options={"ssl": "on"}, files=files) as server:
        (folder / "server" / "data" / "pg_hba.conf").write_text(
            "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        with server.connect("take TLS only") as connection:
            connection.cursor().execute("SELECT pg_reload_conf()")
        yield server.port


def settings(port: int, **changed: object) -> WarehouseSettings:
    return WarehouseSettings(
        **{"host": "localhost", "port": port, "database": "postgres", "sslmode": "verify-full", **changed}
    )


def refusal(settings: WarehouseSettings) -> WarehouseError:
    with pytest.raises(WarehouseError) as refused, open_warehouse(settings, RIGHT):
        pass
    assert servers.PASSWORD not in str(refused.value)
    return refused.value


def test_the_right_authority_and_name_are_let_in_over_tls(port: int, authority: Authority) -> None:
    verified = settings(port, sslrootcert=str(authority.file))
    with open_warehouse(verified, RIGHT) as warehouse, warehouse.connect("look") as connection:
        assert connection.info.ssl_in_use
        with connection.cursor() as cursor:
            cursor.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            encrypted, version = cursor.fetchone() or (False, "")
        assert encrypted
        assert version in ("TLSv1.2", "TLSv1.3")


def test_a_certificate_of_another_authority_is_refused(port: int, folder: Path) -> None:
    other = Authority(folder, "other")
    refused = refusal(settings(port, sslrootcert=str(other.file)))
    assert "certificate verify failed" in refused.message
    assert "warehouse.sslrootcert" in refused.hint
    assert str(other.file) in refused.hint


def test_a_name_that_is_not_the_certificate_s_is_refused(port: int, authority: Authority) -> None:
    refused = refusal(settings(port, host="127.0.0.1", sslrootcert=str(authority.file)))
    assert 'does not match host name "127.0.0.1"' in refused.message
    assert "warehouse.host" in refused.hint


def test_a_file_of_authorities_that_is_not_there_is_asked_for(port: int, folder: Path) -> None:
    refused = refusal(settings(port, sslrootcert=str(folder / "nothing.crt")))
    assert "nothing.crt" in refused.message
    assert "warehouse.sslrootcert" in refused.hint


def test_without_tls_such_a_server_lets_nobody_in(port: int) -> None:
    refused = refusal(settings(port, sslmode="disable"))
    assert "no encryption" in refused.message
    assert "warehouse.sslmode" in refused.hint


def test_a_certificate_past_its_time_is_refused(folder: Path, authority: Authority) -> None:
    (folder / "late").mkdir()
    files = authority.issue(folder / "late", host="localhost", expired=True)
    with servers.started(
        with_tls(), folder / "late" / "server", options={"ssl": "on"}, files=files
    ) as server:
        refused = refusal(settings(server.port, sslrootcert=str(authority.file)))
    assert "certificate" in refused.message
    assert "expired" in refused.hint
    shutil.rmtree(folder / "late")


def test_a_server_without_tls_is_refused_where_it_is_asked_for(folder: Path, authority: Authority) -> None:
    with servers.started(with_tls(), folder / "plain", options={"ssl": "off"}) as server:
        refused = refusal(settings(server.port, sslrootcert=str(authority.file)))
    assert "server does not support SSL" in refused.message
    assert "ssl = on" in refused.hint


def test_the_default_takes_no_server_that_only_encrypts(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server off this machine is; one that proves nothing would be taken by `prefer`."""
    monkeypatch.setattr(WarehouseSettings, "is_on_this_machine", False)
    refused = refusal(settings(port, sslmode=None))
    assert refused.code == "warehouse-refused"
    assert "sslmode=verify-full" in refused.message
