"""Create the bucket of `lake.url` where there is none: for a new S3 server, before the first run."""

from __future__ import annotations

import boto3
from botocore.config import Config

from retail.config.settings import load_settings
from retail.lake import s3_address

if __name__ == "__main__":
    lake = load_settings().lake
    client = boto3.client(
        "s3",
        endpoint_url=lake.s3_endpoint,
        region_name=lake.s3_region,
        config=Config(s3={"addressing_style": s3_address.of(lake).for_boto3}),
    )
    bucket = s3_address.bucket_of(lake)
    if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
