"""The lake in an S3 bucket, using boto3."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Self, TypedDict

import boto3
import botocore.session
import structlog
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from retail.config import environment
from retail.config.settings import LakeSettings
from retail.errors import ConfigurationError, ObjectNotFoundError, StorageError
from retail.lake import location, s3_address
from retail.lake.storage.object_info import ObjectInfo
from retail.lake.storage.retries import Failures, RetryBudget

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

log = structlog.get_logger(__name__)

# docs/OPERATIONS.md describes their effect. boto3 sends a body in blocks, and each has the connection
# timeout; a response's timeout begins after the last block, with some megabytes still on their way to a slow
# server.
_SECONDS_TO_CONNECT: Final = 5
_SECONDS_TO_ANSWER: Final = 30
_TRIES_TO_CREATE: Final = 5

# Transient errors, as in boto3's own standard retries, which end after a number of tries, however short they
# were.
_PASSING_STATUS: Final = (429, 500, 502, 503, 504)
_PASSING_CODES: Final = (
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttling",
    "InternalError",
)
_WRITES: Final = (
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "DeleteObject",
)
# Errors of a body that breaks off, or is not the one that its checksum is of: an object may be overwritten while it is
# read. boto3 considers a call done when a response's headers arrive.
_BROKEN_OFF: Final = (ResponseStreamingError, ReadTimeoutError, IncompleteReadError, FlexibleChecksumError)
_REFUSED: Final = ("PreconditionFailed", "ConditionalRequestConflict")


Answer = tuple[Any, dict[str, Any]]  # as passed to botocore's hooks: the response and its parsed content


class _Encryption(TypedDict, total=False):
    """The encryption that a write requests from S3; empty if the bucket's own setting applies."""

    ServerSideEncryption: Literal["AES256", "aws:kms"]
    SSEKMSKeyId: str


class S3Storage:
    """A bucket. Credentials come from the default chain: environment, profile, web identity or role.

    `budget` is how long calls are retried (default: `settings.s3_retry_seconds`).
    """

    def __init__(self, settings: LakeSettings, *, budget: RetryBudget | None = None) -> None:
        self._settings = settings
        self._address = s3_address.of(settings)
        self.bucket = s3_address.bucket_of(settings)
        self._prefix = location.prefix_of(settings)
        self.url = f"s3://{self.bucket}/{self._prefix}".rstrip("/")
        self._budget = budget or RetryBudget(settings.s3_retry_seconds, self.url)
        self._encryption = _encryption(settings)
        environment.keep_loopback_direct()
        try:
            core = botocore.session.get_session()
            _require_endpoint(settings, core)
            environment.settle_s3(settings.s3_region)
            self._session = boto3.Session(botocore_session=core)
            self.client = self._client(before_rewriting=lambda: None)
        except (BotoCoreError, ValueError) as error:
            raise StorageError(
                f"cannot open {self.url}: {error}",
                hint="fix lake.s3_endpoint, lake.s3_region, or the AWS_… variables and ~/.aws that boto3 reads",
            ) from error

    def _client(self, before_rewriting: Callable[[], None]) -> S3Client:
        """A client that retries a call while the budget lasts, a write only after `before_rewriting`."""
        settings = self._settings
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},  # instead of boto3's limit by count
            connect_timeout=_SECONDS_TO_CONNECT,
            read_timeout=_SECONDS_TO_ANSWER,
            s3={"addressing_style": self._address.for_boto3},
            # Other servers than Amazon's refuse boto3's checksums, or store the trailer in the object
            # (github.com/boto/boto3/issues/4392, 4435). S3 itself keeps them.
            request_checksum_calculation="when_required" if settings.s3_endpoint else None,
        )
        client: S3Client = self._session.client(
            "s3", endpoint_url=settings.s3_endpoint, region_name=settings.s3_region, config=config
        )

        def needs_retry(
            response: Answer | None,
            caught_exception: Exception | None,
            operation: OperationModel,
            request_dict: dict[str, Any],
            **_: object,
        ) -> int | None:
            """Called after each try. None if it was the last; 0, after a pause, for another one."""
            passing = _passing(response, caught_exception)
            if passing is None:
                if response is not None:
                    self._budget.answered()
                return None
            failures = request_dict["context"].setdefault("retail_failures", Failures())
            if not self._budget.retry(failures, passing):
                return None
            if operation.name in _WRITES:
                before_rewriting()
            return 0

        client.meta.events.register("needs-retry.s3", needs_retry)  # type: ignore[arg-type]
        return client

    def require_writer(self) -> None:
        """Nothing prevents writing without a lease."""

    def for_writer(self, guard: Callable[[], None]) -> Self:
        guarded = copy.copy(self)
        guarded.client = self._client(guard)
        return guarded

    def read(self, key: str) -> bytes:
        failures = Failures()
        with self._failing("read", key):
            while True:
                body = self._body(key)
                try:
                    return body.read()
                except _BROKEN_OFF as error:
                    if not self._budget.retry(failures, error):
                        raise
                    log.info(
                        "the response was cut off; reading again", url=self.url, key=key, error=str(error)
                    )

    def _body(self, key: str) -> StreamingBody:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self._prefix + key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise ObjectNotFoundError(f"{self.url}/{key} does not exist") from None
            raise

    def write(self, key: str, data: bytes) -> None:
        with self._failing("write", key):
            self.client.put_object(Bucket=self.bucket, Key=self._prefix + key, Body=data, **self._encryption)

    def write_from(self, key: str, file: IO[bytes]) -> None:
        with self._failing("write", key):
            # In parts if it is large; the object appears with the last of them.
            self.client.upload_fileobj(file, self.bucket, self._prefix + key, ExtraArgs={**self._encryption})

    def create(self, key: str, data: bytes) -> bool:
        """Also True if the object exists with the same bytes: then this call wrote it.

        A put is retried if its response was lost, and S3 refuses the retry because the first one succeeded. Two writers
        of the same bytes would both be reported as first; every object created in the lake names its run or its writer.
        """
        for attempt in range(_TRIES_TO_CREATE):
            if self._put_if_absent(key, data):
                return True
            with suppress(ObjectNotFoundError):
                return self.read(key) == data
            time.sleep(0.1 * 2**attempt)  # refused by a put in progress, or for an object deleted since
        raise StorageError(
            f"cannot create {self.url}/{key}: refused {_TRIES_TO_CREATE} times, although it does not exist",
            hint="check what else writes to the bucket, then run again",
        )

    def _put_if_absent(self, key: str, data: bytes) -> bool:
        with self._failing("create", key):
            try:
                self.client.put_object(
                    Bucket=self.bucket, Key=self._prefix + key, Body=data, IfNoneMatch="*", **self._encryption
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _REFUSED:
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        with self._failing("delete", key):
            self.client.delete_object(Bucket=self.bucket, Key=self._prefix + key)

    def list(self, prefix: str) -> Iterator[str]:
        return (each.key for each in self.details(prefix))

    def details(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._failing("list", prefix):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for item in page.get("Contents", []):
                    # The marker of a folder, which consoles leave: nothing of ours.
                    if item["Key"].endswith("/"):
                        continue
                    yield ObjectInfo(
                        item["Key"].removeprefix(self._prefix), item["Size"], item["LastModified"]
                    )

    def sweep(self, prefix: str) -> None:
        """Abort multipart uploads that were never completed: they are invisible, but are paid for."""
        try:
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for upload in page.get("Uploads", []):
                    self.client.abort_multipart_upload(
                        Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
        except (BotoCoreError, ClientError) as error:
            # A policy may forbid it; the bucket's own rules do as well.
            log.info("unfinished uploads were not removed", url=self.url, error=str(error))

    def engine_path(self, key: str) -> str:
        return f"s3a://{self.bucket}/{self._prefix}{key}"

    def shared_path(self, key: str) -> str:
        return self.engine_path(key)

    def delta_url(self, key: str) -> str:
        return f"s3://{self.bucket}/{location.in_uri(self._prefix)}{key}"

    def delta_options(self) -> dict[str, str]:
        settings = self._settings
        options = {
            "aws_region": settings.s3_region,
            "aws_virtual_hosted_style_request": str(not self._address.path_style).lower(),
            "aws_conditional_put": "etag",
            # Only time limits the retries: as many as fit, with pauses about as long as boto3's.
            "retry_timeout": f"{settings.s3_retry_seconds * 1000:.0f}ms",
            "max_retries": "1000000",
            "backoff_config.max_backoff": "5s",
        }
        if settings.s3_endpoint:
            options["aws_endpoint"] = str(self._address.for_object_store)
            options["aws_allow_http"] = str(settings.s3_endpoint.startswith("http://")).lower()
        if settings.s3_encryption != "bucket":
            options["aws_server_side_encryption"] = settings.s3_encryption
        if settings.s3_kms_key:
            options["aws_sse_kms_key_id"] = settings.s3_kms_key
        found = self._session.get_credentials()  # deltalake itself does not support profiles
        if found is not None:
            frozen = found.get_frozen_credentials()
            options["aws_access_key_id"] = str(frozen.access_key)
            options["aws_secret_access_key"] = str(frozen.secret_key)
            if frozen.token:
                options["aws_session_token"] = frozen.token
        return options

    @contextmanager
    def _failing(self, verb: str, key: str) -> Iterator[None]:
        """Anything boto3 raises within is a StorageError."""
        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise StorageError(
                f"cannot {verb} {self.url}/{key}: {error}",
                hint="check that the server answers and that bucket, region and credentials are right "
                "(`retail doctor`), then run again",
            ) from error


def _require_endpoint(settings: LakeSettings, core: botocore.session.Session) -> None:
    """Raises ConfigurationError if another tool's setting names a server for S3, and ours names none.

    To follow it would need every client to know it; to ignore it would write to another server than was meant.
    """
    if settings.s3_endpoint is not None:
        return
    profile = core.get_scoped_config()
    services = core.full_config.get("services", {}).get(profile.get("services"), {})
    named = environment.named_endpoint()
    if named is None and (profile.get("endpoint_url") or services.get("s3", {}).get("endpoint_url")):
        named = f"endpoint_url of the profile {core.profile or 'default'} in ~/.aws/config"
    if named is not None:
        raise ConfigurationError(
            [f"lake.s3_endpoint is not set, and {named} names a server for S3, which is not read"],
            hint=f"set lake.s3_endpoint (RETAIL_LAKE__S3_ENDPOINT) to the server that holds {settings.url}; "
            f"for AWS itself to https://s3.{settings.s3_region}.amazonaws.com",
        )


def _passing(response: Answer | None, error: Exception | None) -> str | None:
    """The failure in words if a retry may help; None if the response, or the error, is final."""
    if error is not None:
        # A bad certificate is refused at the next try as well, while a handshake that is cut off is an
        # SSLError too.
        if isinstance(error, SSLError) and "certificate" in str(error).lower():
            return None
        return str(error) if isinstance(error, (BotoConnectionError, HTTPClientError)) else None
    if response is None:
        return None
    http, parsed = response
    code = parsed.get("Error", {}).get("Code", "")
    if http.status_code in _PASSING_STATUS or code in _PASSING_CODES:
        return f"{http.status_code} {code}".strip()
    return None


def _encryption(settings: LakeSettings) -> _Encryption:
    asked = _Encryption()
    if settings.s3_encryption != "bucket":
        asked["ServerSideEncryption"] = settings.s3_encryption
    if settings.s3_kms_key is not None:
        asked["SSEKMSKeyId"] = settings.s3_kms_key
    return asked
