"""bi/superset_zip.py puts all of bi/superset and the address of PostgreSQL into a file, and no password."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

from tests.test_bi import ROOT, SOURCE, documents


def zipped(target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bi" / "superset_zip.py"), *arguments, str(target)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_zip_file_holds_every_file_and_the_address_but_no_password(tmp_path: Path) -> None:
    address = (
        "postgresql+psycopg2://bi@db.example.com:6432/shop?sslmode=verify-full&sslrootcert=/etc/ssl/ca.crt"
        "&passfile=/etc/superset/pgpass"
    )
    done = zipped(tmp_path / "retail.zip", "--uri", address)
    assert done.returncode == 0, done.stderr
    with ZipFile(tmp_path / "retail.zip") as archive:
        written = {name: archive.read(name).decode() for name in archive.namelist()}
    files = {f"retail/{file.relative_to(SOURCE).as_posix()}": file for file in SOURCE.rglob("*.yaml")}
    assert written.keys() == files.keys()
    database = yaml.safe_load(written.pop("retail/databases/retail.yaml"))
    assert database["sqlalchemy_uri"] == address.replace("bi@", "bi:XXXXXXXXXX@")
    assert all(text == files[name].read_text("utf-8") for name, text in written.items())


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://bi:geheim@db.example.com/shop", "leave the password out"),
        ("postgresql://bi@db.example.com/shop?sslmode=require&password=geheim", "leave the password out"),
        ("postgresql://bi@db.example.com/shop?p%61ssword=geheim", "leave the password out"),
        ("postgresql://bi@db.example.com/shop?PASSWORD=geheim", "leave the password out"),
        ("postgresql://bi@db.example.com/shop?sslpassword=geheim", "leave the password out"),
        ("postgresql://bi@db.example.com/shop?oauth_client_secret=geheim", "leave the password out"),
        ("postgresql://bi@db.example.com/shop?dsn=password%3Dgeheim", "leave the password out"),
        ("postgresql://bi@db.example.com/shop#?password=geheim", "is not like postgresql"),
        ("mysql://bi@db.example.com/shop", "is not like postgresql"),
        ("db.example.com", "is not like postgresql"),
    ],
)
def test_an_address_that_will_not_do_is_refused(address: str, told: str, tmp_path: Path) -> None:
    done = zipped(tmp_path / "retail.zip", "--uri", address)
    assert done.returncode == 2
    assert told in done.stderr
    assert "geheim" not in done.stderr
    assert not (tmp_path / "retail.zip").exists()


def test_the_source_asks_for_its_password_and_for_a_certificate() -> None:
    address = documents("databases")["retail"]["sqlalchemy_uri"]
    assert ":XXXXXXXXXX@" in address
    assert "sslmode=verify-full" in address
