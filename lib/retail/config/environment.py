"""The environment variables of other tools that would move us, and how they are kept from it.

docs/CONFIGURATION.md says what each means here, docs/decisions/0035-other-tools-environment.md why.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

# All that libpq reads: https://www.postgresql.org/docs/18/libpq-envars.html
LIBPQ: Final = frozenset(
    {
        "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGREQUIREAUTH",
        "PGCHANNELBINDING", "PGSERVICE", "PGSERVICEFILE", "PGREALM", "PGOPTIONS", "PGAPPNAME", "PGSSLMODE",
        "PGREQUIRESSL", "PGSSLNEGOTIATION", "PGSSLCOMPRESSION", "PGSSLCERT", "PGSSLKEY", "PGSSLCERTMODE",
        "PGSSLROOTCERT", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLSNI", "PGSSLKEYLOGFILE", "PGREQUIREPEER",
        "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION", "PGGSSENCMODE", "PGKRBSRVNAME", "PGGSSLIB",
        "PGGSSDELEGATION", "PGCONNECT_TIMEOUT", "PGCLIENTENCODING", "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS",
        "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGSYSCONFDIR",
        "PGLOCALEDIR", "PGOAUTHDEBUG", "PGTTY",
    }
)  # fmt: skip
# Addresses of an S3 server; lake.s3_endpoint is ours.
S3_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_S3_ENDPOINT")
# What clients read about the bucket and how it is called, which [lake] says. Credentials are not among them.
S3_OPTIONS: Final = frozenset(
    {
        "AWS_ALLOW_HTTP", "AWS_BUCKET", "AWS_BUCKET_NAME", "AWS_CHECKSUM_ALGORITHM", "AWS_CONDITIONAL_PUT",
        "AWS_COPY_IF_NOT_EXISTS", "AWS_DEFAULT_REGION", "AWS_DISABLE_TAGGING", "AWS_REGION", "AWS_REQUEST_PAYER",
        "AWS_S3_ALLOW_UNSAFE_RENAME", "AWS_S3_EXPRESS", "AWS_S3_LOCKING_PROVIDER", "AWS_SERVER_SIDE_ENCRYPTION",
        "AWS_SKIP_SIGNATURE", "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_SSE_CUSTOMER_KEY_BASE64", "AWS_SSE_KMS_KEY_ID",
        "AWS_UNSIGNED_PAYLOAD", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", *S3_ENDPOINTS,
    }
)  # fmt: skip
PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "grpc_proxy", "no_grpc_proxy")
# Without brackets: httpx, which Airflow uses, cannot read `[::1]`.
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_CHANGING: Final = threading.RLock()


def keep_loopback_direct() -> None:
    """Make every client of this process, and of its children, reach this machine without a proxy.

    A user's proxy stays for everything else. Clients differ in the case that they read, so both are set.
    """
    with _CHANGING:
        lower, upper = os.environ.get("no_proxy"), os.environ.get("NO_PROXY")
        for name, value in (("no_proxy", lower or upper), ("NO_PROXY", upper or lower)):
            hosts = [each.strip() for each in (value or "").split(",") if each.strip()]
            direct = ",".join([*hosts, *(each for each in LOOPBACK if each not in hosts)])
            if hosts != ["*"] and os.environ.get(name) != direct:
                os.environ[name] = direct


@contextmanager
def without(names: Collection[str]) -> Iterator[None]:
    """Removes these variables from this process for a block. Blocks take turns, as the environment is one."""
    if not any(name in os.environ for name in names):
        yield
        return
    with _CHANGING:
        removed = {name: os.environ.pop(name) for name in names if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(removed)


def drop_libpq() -> None:
    """Remove what libpq would read, for good: for a process that is all ours, and the programs that it starts."""
    with _CHANGING:
        for name in LIBPQ:
            os.environ.pop(name, None)


def settle_s3(region: str) -> None:
    """Make the clients of this process that read AWS_… variables see what [lake] says, and the same credentials.

    The region is the bucket's, where STS is asked too. `AWS_CA_BUNDLE`, which only boto3 reads, holds for Sail and
    deltalake as well.
    """
    wanted = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    if os.environ.get("AWS_CA_BUNDLE"):
        wanted["SSL_CERT_FILE"] = os.environ["AWS_CA_BUNDLE"]
    with _CHANGING:
        for name in S3_OPTIONS - wanted.keys():
            os.environ.pop(name, None)
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def named_endpoint(environment: Mapping[str, str] | None = None) -> str | None:
    """The first variable that names a server for S3, or None."""
    environment = os.environ if environment is None else environment
    return next((name for name in S3_ENDPOINTS if environment.get(name)), None)


def for_server(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a server of our own on this machine: no proxy, no other database, no S3."""
    return {
        name: value
        for name, value in environment.items()
        if name not in LIBPQ and name.lower() not in PROXIES and not name.startswith("AWS_")
    }
