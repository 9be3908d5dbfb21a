"""`sslmode = "verify-full"` on a real server with a certificate made here: who is let in, what others are told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from retail.errors import WarehouseError
from retail.secrets import Secrets
from retail.settings import WarehouseSettings
from retail.warehouse.connection import open_warehouse
from tests.warehouse import servers
from tests.warehouse.conftest import temporary_folder

pytestmark = pytest.mark.postgres

RIGHT = Secrets({"RETAIL_WAREHOUSE_PASSWORD": servers.PASSWORD})


class Authority:
    """A certificate authority; `file` is what a client trusts."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.crt"
        issued = self._certificate(self.name, self.key.public_key())
        issued = issued.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._write(self.file, issued)

    def issue(self, folder: Path, *, host: str, expired: bool = False) -> dict[str, Path]:
        """A server's certificate for the name `host` and its key, as files by the names that PostgreSQL looks for."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        issued = self._certificate(subject, key.public_key(), expired=expired)
        self._write(
            folder / "server.crt",
            issued.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False),
        )
        (folder / "server.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return {name: folder / name for name in ("server.crt", "server.key")}

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool = False
    ) -> x509.CertificateBuilder:
        begin = datetime.now(UTC) - timedelta(days=2)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=1 if expired else 10))
        )

    def _write(self, file: Path, certificate: x509.CertificateBuilder) -> None:
        file.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def with_tls() -> Path:
    """Programs of the chosen PostgreSQL, or of Debian's: the embedded one is built without TLS."""
    return servers.programs("15" if servers.major() == servers.EMBEDDED else servers.major())


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
        **{"host": "localhost", "port": port, "database": "postgres", "sslmode": "verify-full", **changed}  # type: ignore[arg-type]
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
