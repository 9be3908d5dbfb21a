"""A certificate authority made for a test, and the programs of a PostgreSQL that has TLS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.warehouse import servers


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
