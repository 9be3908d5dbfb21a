"""Create the bucket of `lake.url` where there is none: for a new S3 server, before the first run."""

from __future__ import annotations

import boto3
from botocore.config import Config

from retail.config.settings import load_settings

if __name__ == "__main__":
    lake = load_settings().lake
    client = boto3.client(
        "s3",
        endpoint_url=lake.s3_endpoint,
        region_name=lake.s3_region,
        config=Config(s3={"addressing_style": "path" if lake.s3_path_style else "auto"}),
    )
    bucket = lake.url.split("/")[2]
    if bucket not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
