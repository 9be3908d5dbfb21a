"""The findings of `retail doctor` on the lake's bucket: who could read it, and how its objects are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retail.config.settings import LakeSettings
from retail.errors import StorageError
from retail.lake import layout
from retail.lake.storage.s3 import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_UNKNOWN = "unknown"


def examine_bucket(settings: LakeSettings) -> str:
    """Encryption, public access and versioning, in words, including what the server or the permissions do not reveal.

    Raises StorageError if the bucket does not exist, or if the public can read it.
    """
    storage = S3Storage(settings)
    client, bucket = storage.client, storage.bucket
    next(storage.details(layout.OPS), None)
    if (
        _or_unknown(lambda: client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"])
        is True
    ):
        raise StorageError(
            f"the policy of bucket {bucket} makes it public",
            hint="block public access to it: it holds every sale",
        )
    found = {
        "encryption requested per object": settings.s3_encryption
        if settings.s3_encryption != "bucket"
        else None,
        "default encryption": _default_encryption(client, bucket),
        "public access": _public_access(client, bucket),
        "versioning": _or_unknown(lambda: client.get_bucket_versioning(Bucket=bucket).get("Status", "off")),
    }
    return ", ".join(f"{name}: {value}" for name, value in found.items() if value is not None)


def _default_encryption(client: S3Client, bucket: str) -> str:
    def ask() -> str:
        rules = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return str(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])

    return str(_or_unknown(ask))


def _public_access(client: S3Client, bucket: str) -> str:
    def ask() -> str:
        blocked = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        open_ = sorted(name for name, value in blocked.items() if not value)
        return f"not blocked ({', '.join(open_)} off)" if open_ else "blocked"

    return str(_or_unknown(ask))


def _or_unknown(ask: Callable[[], Any]) -> Any:
    """The answer, or a note that it is unknown: the server does not support it, nothing is set, or access is denied."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as error:
        return f"{_UNKNOWN} ({error.response['Error']['Code']})"
    except (BotoCoreError, KeyError, IndexError):
        return _UNKNOWN
