"""A real S3 server for tests: versitygw over a folder, on a free port of the loopback interface."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from retail.config.settings import LakeSettings, home


class S3Server:
    """A running server; `new_lake` gives the settings of a lake in a bucket of its own."""

    def __init__(self, endpoint: str, program: str) -> None:
        self.endpoint = endpoint
        self._program = program
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(retries={"max_attempts": 1})
        )

    def new_lake(self) -> LakeSettings:
        bucket = f"lake-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=bucket)
        return LakeSettings(url=f"s3://{bucket}/lake", s3_endpoint=self.endpoint, s3_path_style=True)

    def new_user(self, bucket: str, statements: list[dict[str, Any]]) -> tuple[str, str]:
        """Key and secret of a user who may do in the bucket what the policy's statements allow, and nothing else."""
        key, secret = f"user-{uuid.uuid4().hex[:8]}", secrets.token_hex(16)
        administrator = {
            "ADMIN_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
            "ADMIN_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
            "ADMIN_ENDPOINT_URL": self.endpoint,
        }
        command = [
            self._program,
            "admin",
            "create-user",
            "--access",
            key,
            "--secret",
            secret,
            "--role",
            "user",
        ]
        subprocess.run(command, env=os.environ | administrator, check=True, capture_output=True)
        allowed = [{**each, "Principal": {"AWS": [key]}} for each in statements]
        self.client.put_bucket_policy(
            Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": allowed})
        )
        return key, secret


def needs_versitygw() -> str:
    """The program. Skips, or fails in CI, where it is not installed."""
    program = shutil.which("versitygw", path=f"{home() / 'var' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        if os.environ.get("RETAIL_REQUIRE_S3"):
            pytest.fail(
                "RETAIL_REQUIRE_S3 is set, and versitygw is not there; `make s3-server` builds it with Go"
            )
        pytest.skip("the S3 server versitygw is not there; `make s3-server` builds it with Go")
    return program


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """Start the server and wait until it answers. Skips, or fails in CI, where it is not installed."""
    program = needs_versitygw()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ["AWS_ACCESS_KEY_ID"] = "test"
    os.environ["AWS_SECRET_ACCESS_KEY"] = secrets.token_hex(16)
    environment = {
        **os.environ,
        "ROOT_ACCESS_KEY": os.environ["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    data = folder / "objects"
    data.mkdir()
    command = [
        program,
        "--port",
        f"127.0.0.1:{port}",
        "--quiet",
        "--iam-dir",
        str(folder / "users"),
        "posix",
        "--sidecar",
        str(folder / "meta"),
        str(data),
    ]
    (folder / "meta").mkdir()
    (folder / "users").mkdir()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = S3Server(f"http://127.0.0.1:{port}", program)
        _wait_until_it_answers(server, process)
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.client.list_buckets()
            return
        except (EndpointConnectionError, ClientError):
            time.sleep(0.05)
    pytest.fail("versitygw did not come up within 30 s")
