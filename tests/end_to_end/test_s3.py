"""The whole way with the lake on an S3 server, payloads, raw files, ledger, lease and Delta tables alike."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from retail.config.settings import home
from tests.conftest import needs_java
from tests.end_to_end.conftest import Truth
from tests.end_to_end.installation import Installation
from tests.s3 import S3Server
from tests.s3_between import listened_to, profile

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.s3]

DAY = date(2017, 1, 1)
# Consoles and other tools leave an empty object with such a name where somebody made a folder.
FOLDERS = (
    "raw/retailer_1/year=2017/month=01/day=01",
    "payloads/retailer_1/date=2017-01-01",
    "star/fact_sales/_delta_log",
    "star/dim_product",
    "staged/sales",
    "raw/master-data/products/retailer_2",
    "ops/runs",
    "ops/lease",
)


@pytest.mark.parametrize(
    "engine", ["sail", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.nightly])]
)
def test_a_day_from_the_retailers_to_the_views(
    engine: str, install: Callable[[str], Installation], s3_server: S3Server, truth: Truth, tmp_path: Path
) -> None:
    """By a profile's credentials, which may do what docs/DEPLOY.md grants; every object encrypted as is asked for."""
    if engine == "spark":
        needs_java()
    made, lake = install(f"on_s3_{engine}"), s3_server.new_lake()
    bucket = lake.url.split("/")[2]
    key, secret = s3_server.new_user(bucket, _granted(lake.url))
    s3_server.client.create_multipart_upload(Bucket=bucket, Key="lake/ops/lease/cut-off")
    for folder in FOLDERS:
        s3_server.client.put_object(Bucket=bucket, Key=f"lake/{folder}/")
    with listened_to(s3_server.endpoint) as wire:
        variables = {
            "RETAIL_ENGINE": engine,
            "RETAIL_LAKE__URL": lake.url,
            "RETAIL_LAKE__S3_ENDPOINT": wire.endpoint,
            "RETAIL_LAKE__S3_PATH_STYLE": "true",
            "RETAIL_LAKE__S3_ENCRYPTION": "aws:kms",
            "RETAIL_LAKE__S3_KMS_KEY": "alias/retail",
            "RETAIL_EXTRACT__MASTER_CALLS": "8",
            **profile(tmp_path, key, secret),
        }
        first = made.retail("run", "--date", str(DAY), **variables)
        again = made.retail("run", "--date", str(DAY), **variables)
    assert first.returncode == 0, first.stdout + first.stderr
    assert ": success" in first.stdout
    assert made.postgresql_figures() == truth([DAY])
    with made.postgresql() as cursor:
        cursor.execute("SELECT count(DISTINCT retailer_id) FROM star.dim_product WHERE gtin IS NOT NULL")
        assert cursor.fetchone() == (3,)

    assert "Uploads" not in s3_server.client.list_multipart_uploads(Bucket=bucket)
    listed = s3_server.client.list_objects_v2(Bucket=bucket)["Contents"]
    rooms = {item["Key"].split("/")[1] for item in listed if not item["Key"].endswith("/")}
    assert rooms == {"payloads", "raw", "staged", "quarantine", "star", "quality", "ops"}
    assert not (made.folder / "lake").exists()

    assert again.returncode == 0, again.stdout + again.stderr
    assert sum(item["Key"].endswith("/run.json") for item in listed) == 1
    written = wire.writes()
    assert len({path.split("/")[3] for path, _ in written} & rooms) == len(rooms)
    bare = [
        path
        for path, headers in written
        if headers.get("x-amz-server-side-encryption") != "aws:kms"
        or headers.get("x-amz-server-side-encryption-aws-kms-key-id") != "alias/retail"
    ]
    assert bare == []


def _granted(url: str) -> list[dict[str, Any]]:
    """The role of docs/DEPLOY.md as statements on this lake's bucket. versitygw knows no condition, and no KMS."""
    bucket, prefix = url.removeprefix("s3://").split("/")
    told = re.findall(
        r"```json\n(.*?)```", (home() / "docs/DEPLOY.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (policy,) = (json.loads(each) for each in told if '"Objects"' in each)
    granted = []
    for statement in policy["Statement"]:
        if statement["Sid"] in ("Objects", "List", "Uploads"):
            resource = statement["Resource"].replace("your-bucket/retail", f"{bucket}/{prefix}")
            granted.append(
                {
                    "Effect": "Allow",
                    "Action": statement["Action"],
                    "Resource": resource.replace("your-bucket", bucket),
                }
            )
    assert len(granted) == 3
    return granted
