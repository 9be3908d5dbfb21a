"""The bucket's address is decided once: boto3, the engines and deltalake write into the same bucket."""

from __future__ import annotations

import uuid
from io import BytesIO
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from tests.conftest import needs_java, settings_for
from tests.s3 import S3Server
from urllib3 import HTTPResponse

from retail.config.settings import LakeSettings
from retail.lake import delta, location, s3_address
from retail.lake.engine import open_session, spark_options
from retail.lake.storage import open_storage
from retail.lake.storage.s3 import S3Storage


@pytest.mark.parametrize(
    ("endpoint", "setting", "bucket", "decided"),
    [
        (None, None, "b-1", (False, None)),
        (None, True, "b-1", (True, None)),
        (None, None, "b.with.dots", (True, None)),
        ("http://127.0.0.1:7070", None, "b-1", (True, "http://127.0.0.1:7070")),
        ("http://127.0.0.1:7070", False, "b-1", (True, "http://127.0.0.1:7070")),
        ("http://[::1]:7070", None, "b-1", (True, "http://[::1]:7070")),
        ("https://s3.example.com", None, "b-1", (True, "https://s3.example.com")),
        ("https://s3.example.com:9", False, "b-1", (False, "https://b-1.s3.example.com:9")),
        (
            "https://s3.eu-west-1.amazonaws.com",
            None,
            "b-1",
            (False, "https://b-1.s3.eu-west-1.amazonaws.com"),
        ),
        ("https://s3.eu-west-1.amazonaws.com", True, "b-1", (True, "https://s3.eu-west-1.amazonaws.com")),
    ],
)
def test_every_client_is_given_the_same_decision(
    endpoint: str | None,
    setting: bool | None,
    bucket: str,
    decided: tuple[bool, str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    lake = LakeSettings(url=f"s3://{bucket}/lake", s3_endpoint=endpoint, s3_path_style=setting)
    address = s3_address.of(lake)
    path_style, for_object_store = decided
    assert (address.path_style, address.for_object_store) == decided
    storage = S3Storage(lake)
    signed = storage.client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert (f"://{bucket}." in signed) is not path_style
    options = storage.delta_options()
    assert options["aws_virtual_hosted_style_request"] == str(not path_style).lower()
    assert options.get("aws_endpoint") == for_object_store
    if endpoint is not None:
        spark = spark_options(settings_for("spark", Path("x")).model_copy(update={"lake": lake}))
        assert spark["spark.hadoop.fs.s3a.path.style.access"] == str(path_style).lower()
        assert spark["spark.hadoop.fs.s3a.endpoint"] == endpoint


@pytest.mark.parametrize(
    ("endpoint", "sent"), [("https://s3.example.com", set()), (None, {"x-amz-sdk-checksum-algorithm"})]
)
def test_a_server_that_is_not_amazon_s_gets_the_bytes_alone(
    endpoint: str | None, sent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    storage = S3Storage(LakeSettings(url="s3://b-1/lake", s3_endpoint=endpoint))
    seen: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        seen.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), HTTPResponse(BytesIO(), preload_content=False))

    storage.client.meta.events.register("before-send.s3", answer)  # type: ignore[arg-type]
    storage.write("key", b"bytes")
    headers = {name.lower() for name in seen[0].headers}
    checksums = {name for name in headers if "checksum" in name or name == "x-amz-trailer"}
    assert sent <= checksums if sent else checksums == set()
    assert "aws-chunked" not in str(seen[0].headers.get("Content-Encoding")) or sent


@pytest.mark.s3
@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("sail", "pre'fix/a+b=c"),
        pytest.param(
            "spark",
            "pre é#'\" %<>~| fix",
            marks=[pytest.mark.spark, pytest.mark.nightly, pytest.mark.xdist_group("spark")],
        ),
    ],
)
def test_by_an_ip_address_and_the_default_all_clients_write_into_the_one_bucket(
    name: location.Engine, prefix: str, s3_server: S3Server
) -> None:
    if name == "spark":
        needs_java()
    bucket = f"lake-{uuid.uuid4().hex[:12]}"
    s3_server.client.create_bucket(Bucket=bucket)
    before = {each["Name"] for each in s3_server.client.list_buckets()["Buckets"]}
    lake = LakeSettings(url=f"s3://{bucket}/{prefix}", s3_endpoint=s3_server.endpoint)
    settings = settings_for(name, Path("x")).model_copy(update={"lake": lake})
    storage = open_storage(lake, name)
    storage.write("raw/a.json", b"{}")
    with open_session(settings) as session:
        rows = session.createDataFrame([(1, "x y"), (2, "z")], "id int, part string")
        delta.replace(rows, storage, "star/t", partition_by=["part"])
        rows.createOrReplaceTempView("new_rows")
        target = location.in_sql(storage.engine_path("star/t"))
        session.sql(
            f"MERGE INTO delta.{target} AS t USING new_rows AS s ON t.id = s.id"
            " WHEN MATCHED AND t.id = 1 THEN UPDATE SET id = 11"
        ).collect()
    delta.add_columns(storage, "star/t", {"extra": "string"})
    assert {row["id"] for row in delta.rows(storage, "star/t", where="id > 0")} == {11, 2}
    keys = [each["Key"] for each in s3_server.client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert {key.removeprefix(f"{prefix}/").split("/")[0] for key in keys} == {"raw", "star"}
    assert {each["Name"] for each in s3_server.client.list_buckets()["Buckets"]} == before
