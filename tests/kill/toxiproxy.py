"""A proxy between the product and its S3 server, that disturbs what goes through it: toxiproxy, on free ports."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from retail.config.settings import home
from retail.warehouse.embedded.cluster import free_port


@dataclass(frozen=True)
class Proxy:
    """`endpoint` leads to the server; `api` is where the proxy is told what to do."""

    endpoint: str
    api: str

    @contextmanager
    def poisoned(
        self, kind: str, *, toxicity: float = 1.0, stream: str = "downstream", **attributes: int
    ) -> Iterator[None]:
        """Within the block answers, or what goes `upstream`, have this toxic, on that share of the connections."""
        body = {"name": kind, "type": kind, "toxicity": toxicity, "stream": stream, "attributes": attributes}
        requests.post(f"{self.api}/toxics", json=body, timeout=10).raise_for_status()
        try:
            yield
        finally:
            requests.delete(f"{self.api}/toxics/{kind}", timeout=10).raise_for_status()

    def serve(self, enabled: bool) -> None:
        requests.post(self.api, json={"enabled": enabled}, timeout=10).raise_for_status()

    def outage(self, seconds: float | None) -> tuple[str, ...]:
        """The program that cuts the proxy off, and lets it serve again after so many seconds, or never."""
        off, on = (
            f'curl -sf -o /dev/null -X POST -d \'{{"enabled": {word}}}\' "$0"' for word in ("false", "true")
        )
        later = f"; (sleep {seconds}; {on}) >/dev/null 2>&1 &" if seconds is not None else ""
        return ("bash", "-c", off + later, self.api)


@contextmanager
def proxy_to(endpoint: str) -> Iterator[Proxy]:
    """Skips, or fails in CI, where toxiproxy is not installed."""
    program = shutil.which(
        "toxiproxy-server", path=f"{home() / 'var' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        missing = "toxiproxy is not there; `make s3-server` builds it with Go"
        if os.environ.get("RETAIL_REQUIRE_S3"):
            pytest.fail(f"RETAIL_REQUIRE_S3 is set, and {missing}")
        pytest.skip(missing)
    control, port = free_port(), free_port()
    process = subprocess.Popen(
        [program, "-host", "127.0.0.1", "-port", str(control)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "LOG_LEVEL": "error"},
    )  # fmt: skip
    try:
        api = f"http://127.0.0.1:{control}/proxies"
        upstream = urlsplit(endpoint).netloc
        body = {"name": "s3", "listen": f"127.0.0.1:{port}", "upstream": upstream, "enabled": True}
        with requests.Session() as session:  # until it is up
            session.mount(
                "http://", HTTPAdapter(max_retries=Retry(8, backoff_factor=0.05, allowed_methods=None))
            )
            session.post(api, json=body, timeout=10).raise_for_status()
        yield Proxy(f"http://127.0.0.1:{port}", f"{api}/s3")
    finally:
        process.terminate()
        process.wait()
