"""Prism as a validating proxy: it refuses what the retailer's own specification does not allow, from either side."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from retail.config.settings import home

NODE_MODULES = home() / "var" / "node" / "node_modules"


@contextmanager
def prism(specification: Path, upstream: str) -> Iterator[str]:
    """The address of a proxy before `upstream`; a violation from either side is answered with 422 or 500."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [str(NODE_MODULES / ".bin" / "prism"), "proxy", "--errors", "-h", "127.0.0.1", "-p", port]
    with subprocess.Popen(
        [*command, str(specification), upstream], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Prism is listening" in line:
                break
        else:
            raise AssertionError(f"Prism did not start with {specification}")
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            drain.join()


@contextmanager
def routed(routes: Mapping[str, str], seen: list[tuple[bytes, bytes]] | None = None) -> Iterator[str]:
    """One address for several servers, chosen by how the path begins; `seen` gets each question and its answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            upstream = next(url for start, url in routes.items() if self.path.startswith(start))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = requests.request(
                self.command, upstream + self.path, headers=headers, data=body, timeout=60
            )
            if seen is not None:
                seen.append((body, answer.content))
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "content-encoding",
                    "connection",
                ):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def missing_tool(name: str) -> str | None:
    """Why a test on Node cannot run here."""
    if shutil.which("node") is None:
        return "there is no node on the PATH"
    if not (NODE_MODULES / name).exists():
        return f"{name} is not installed; `make node-tools` does it"
    return None
