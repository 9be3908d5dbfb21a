"""Put `bi/superset` into the zip file that Superset imports as a dashboard, with the address of your PostgreSQL in it.

    python bi/superset_zip.py --uri 'postgresql+psycopg2://LOGIN@db.example.com/retail?sslmode=verify-full' retail.zip

No password goes in: Superset asks for it when the file is imported. Plain Python, so that it runs anywhere.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

SOURCE = Path(__file__).parent / "superset"
DATABASE = "databases/retail.yaml"
# What Superset writes in place of a password, and asks to be given.
ASKED_FOR = "XXXXXXXXXX"

# What libpq and psycopg2 take in an address's query that is a password, or has room for one. `passfile` is neither.
SECRETS = {"password", "sslpassword", "oauth_client_secret", "dsn"}

_URI = re.compile(r"^sqlalchemy_uri: .*$", re.MULTILINE)


def write(target: Path, *, uri: str | None = None) -> None:
    """Write the zip file, the same bytes each time. Raises ValueError for a `uri` that Superset could not use, or
    that holds a password."""
    address = masked(uri) if uri else None
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for file in sorted(SOURCE.rglob("*.yaml")):
            name = file.relative_to(SOURCE).as_posix()
            text = file.read_text(encoding="utf-8")
            if name == DATABASE and address:
                text = _URI.sub(lambda _: f"sqlalchemy_uri: {address}", text)
            archive.writestr(ZipInfo(f"retail/{name}"), text, ZIP_DEFLATED)


def masked(uri: str) -> str:
    """The address with a mask for its password. Raises ValueError."""
    parts = urlsplit(uri)
    if (
        not parts.scheme.startswith("postgresql")
        or not parts.username
        or not parts.hostname
        or parts.fragment
    ):
        raise ValueError(
            "the address is not like postgresql+psycopg2://LOGIN@HOST:PORT/DATABASE?sslmode=verify-full"
        )
    asked = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.password not in (None, ASKED_FOR) or asked & SECRETS:
        raise ValueError("leave the password out of the address: Superset asks for it at the import")
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:{ASKED_FOR}@{host}").geturl()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument(
        "--uri", help="your PostgreSQL, without a password; else that of databases/retail.yaml"
    )
    arguments = parser.parse_args()
    try:
        write(arguments.target, uri=arguments.uri)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(
        f"{arguments.target}: import it in Superset under Dashboards, with the button `Import dashboard`\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
