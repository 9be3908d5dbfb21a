"""How the bucket is addressed, decided once for boto3, Sail, Spark and the deltalake package.

boto3 and Spark put the bucket into the host name by themselves. Sail and the deltalake package (Rust's object_store)
take an endpoint that has it already; without it they write into a bucket named like the first folder of the lake.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from retail.config.settings import LakeSettings

_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn")
_HOST_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class S3Address:
    """`path_style`: the bucket is in the path, not in the host name.

    `for_object_store` is the endpoint for Sail and deltalake, None for AWS itself; `for_boto3` its addressing style.
    """

    path_style: bool
    for_object_store: str | None
    for_boto3: Literal["path", "virtual", "auto"]


def of(lake: LakeSettings) -> S3Address:
    """The address of the lake's bucket, by `s3_endpoint` and `s3_path_style`."""
    path_style = _has_no_host(lake) or (
        lake.s3_path_style if lake.s3_path_style is not None else not _is_aws(lake.s3_endpoint)
    )
    if lake.s3_endpoint is None:
        return S3Address(path_style, None, "path" if path_style else "auto")
    if path_style:
        return S3Address(path_style, lake.s3_endpoint, "path")
    return S3Address(path_style, _with_bucket(lake.s3_endpoint, bucket_of(lake)), "virtual")


def bucket_of(lake: LakeSettings) -> str:
    """The bucket's name."""
    return lake.url.split("://", 1)[1].partition("/")[0]


def _has_no_host(lake: LakeSettings) -> bool:
    """Whether no host name can have the bucket: at an IP address, or if a certificate would not match its dots."""
    endpoint = lake.s3_endpoint
    if endpoint is not None:
        try:
            ipaddress.ip_address(urlsplit(endpoint).hostname or "")
        except ValueError:
            pass
        else:
            return True
    return _HOST_LABEL.fullmatch(bucket_of(lake)) is None


def _is_aws(endpoint: str | None) -> bool:
    return endpoint is None or (urlsplit(endpoint).hostname or "").endswith(_AWS)


def _with_bucket(endpoint: str, bucket: str) -> str:
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))
