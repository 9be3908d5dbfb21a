"""A real Superset from `var/superset`, for as long as a test needs it: what its browser asks, this asks."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import requests

from retail.config.settings import home
from retail.warehouse.embedded.cluster import HOST, free_port

HERE: Final = Path(__file__).parent
FOLDER: Final = home() / "var" / "superset"
STARTS_WITHIN: Final = 120.0  # seconds


def is_installed() -> bool:
    return (FOLDER / ".complete").exists()


class Superset:
    """Its REST API, as its administrator."""

    def __init__(self, address: str, password: str) -> None:
        self._address = address
        self._http = requests.Session()
        login = {"username": "admin", "password": password, "provider": "db"}
        token = self.ask("POST", "security/login", json=login)["access_token"]
        self._http.headers.update({"Authorization": f"Bearer {token}", "Referer": address})
        self._http.headers["X-CSRFToken"] = self.ask("GET", "security/csrf_token/")["result"]

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The answer, its numbers as Decimal; an answer that is an error fails the test."""
        answer = self._http.request(method, f"{self._address}/api/v1/{path}", timeout=120, **more)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return json.loads(answer.text, parse_float=Decimal)

    def load(self, dashboard: Path, password: str) -> None:
        """Import a dashboard's zip file, with the password of its PostgreSQL that Superset asks for."""
        with dashboard.open("rb") as file:
            self.ask(
                "POST",
                "dashboard/import/",
                files={"formData": (dashboard.name, file, "application/zip")},
                data={"passwords": json.dumps({"databases/retail.yaml": password})},
            )

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Everything of a kind: `chart`, `dataset`."""
        found = self.ask("GET", f"{kind}/", params={"q": "(page_size:100)"})["result"]
        return [self.ask("GET", f"{kind}/{one['id']}")["result"] for one in found]

    def data(self, context: dict[str, Any]) -> list[list[dict[str, Any]]]:
        """The rows of each query of a chart's query context."""
        answers = self.ask("POST", "chart/data", json=context)["result"]
        assert [answer["error"] for answer in answers] == [None] * len(answers)
        return [answer["data"] for answer in answers]


@contextmanager
def running(folder: Path) -> Iterator[Superset]:
    """A new Superset over `folder`, with nothing in it."""
    password, port = secrets.token_hex(), free_port()
    environment = {
        "PATH": f"{FOLDER / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "FLASK_APP": "superset",
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "RETAIL_TEST_SUPERSET_FOLDER": str(folder),
        "RETAIL_TEST_SUPERSET_SECRET": secrets.token_hex(),
    }

    def superset(*arguments: str) -> None:
        ended = subprocess.run(
            ["superset", *arguments], env=environment, cwd=folder, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr[-3000:]

    superset("db", "upgrade")
    names = ["--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "admin@example.com"]
    superset("fab", "create-admin", *names, "--password", password)
    superset("init")
    log = folder / "superset.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            ["superset", "run", "--host", HOST, "--port", str(port), "--with-threads"],
            env=environment, cwd=folder, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        address = f"http://{HOST}:{port}"
        _wait_for(server, f"{address}/health", log)
        yield Superset(address, password)
    finally:
        server.terminate()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    give_up = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            if requests.get(address, timeout=10).ok:
                return
        except requests.ConnectionError:
            pass
        if server.poll() is not None or time.monotonic() > give_up:
            raise AssertionError(f"Superset did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)
