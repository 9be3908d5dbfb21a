"""Create the bucket of `lake.url` for the pipeline's own account, where there is none: for a new S3 server.

Acts with the root keys of the gateway, which no other service has. The pipeline's keys are those of the files that
PIPELINE_ACCESS_KEY_FILE and PIPELINE_SECRET_KEY_FILE name; its account owns the bucket and may create no other.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import boto3
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from retail.config.settings import LakeSettings, load_settings
from retail.lake import s3_address

_EXISTS: Final = 409
_SECONDS: Final = 30


def create(lake: LakeSettings, access: str, secret: str) -> None:
    """Make account and bucket, and give the bucket to the account; what is there already stays."""
    client = boto3.client(
        "s3",
        endpoint_url=lake.s3_endpoint,
        region_name=lake.s3_region,
        config=Config(s3={"addressing_style": s3_address.of(lake).for_boto3}),
    )
    account = f"<Account><Access>{escape(access)}</Access><Secret>{escape(secret)}</Secret><Role>user</Role></Account>"
    if _administer(lake, "create-user", account) == _EXISTS:  # the file's key counts: it may be a new one
        props = f"<MutableProps><Secret>{escape(secret)}</Secret></MutableProps>"
        _administer(lake, f"update-user?{urlencode({'access': access})}", props)
    bucket = s3_address.bucket_of(lake)
    if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
    _administer(lake, f"change-bucket-owner?{urlencode({'bucket': bucket, 'owner': access})}")


def _administer(lake: LakeSettings, action: str, body: str = "") -> int:
    """The status of a call of the gateway's administration, which S3's own API lacks. Raises requests.HTTPError."""
    request = AWSRequest("PATCH", f"{lake.s3_endpoint}/{action}", data=body.encode())
    credentials = boto3.Session().get_credentials()
    S3SigV4Auth(credentials, "s3", lake.s3_region).add_auth(request)
    answer = requests.patch(
        request.url, data=request.data, headers=dict(request.headers), timeout=_SECONDS, allow_redirects=False
    )
    if answer.status_code != _EXISTS:
        answer.raise_for_status()
    return answer.status_code


if __name__ == "__main__":
    create(
        load_settings().lake,
        *(
            Path(os.environ[name]).read_text(encoding="utf-8").strip()
            for name in ("PIPELINE_ACCESS_KEY_FILE", "PIPELINE_SECRET_KEY_FILE")
        ),
    )
