"""Runs the services of docker-compose.yml without Docker, each command as it stands there.

    unshare --mount --net --pid --fork --kill-child --mount-proc python -m tests.compose.outside FOLDER SERVICE …

In namespaces of its own this process lays out what a container would find: the checkout at /opt/retail, a service's
secrets, and no others, in /run/secrets, the services' names in /etc/hosts. So neither command, port, path nor
name is changed. What stays untested: the images, their users, volumes, and that networks are apart.
It starts the services in order, waits until each is healthy or, where others wait for its end, has ended; then it reads
commands, one a line of JSON {"service": …, "command": […]}, runs each as `docker compose run` would, and answers.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from retail.config.settings import home
from retail.warehouse.embedded.os_user import account_for
from retail.warehouse.embedded.programs import binaries_for

Service = dict[str, Any]
_PATIENCE: Final = 240
_OURS: Final = ("retail-lakehouse:", "retail-lakehouse-airflow:")
_KEPT: Final = ("LANG", "JAVA_HOME")


class Outside:
    """The services that run, over a folder for what they write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compose = yaml.safe_load((home() / "docker-compose.yml").read_text(encoding="utf-8"))
        self.services: dict[str, Service] = self.compose["services"]
        dockerfile = (home() / "Dockerfile").read_text(encoding="utf-8")
        self.entrypoint = json.loads(re.findall(r"^ENTRYPOINT (.*)$", dockerfile, re.MULTILINE)[-1])
        self.running: list[subprocess.Popen[bytes]] = []

    def lay_out(self) -> None:
        """The paths, names and network that a container would find."""
        _do("ip", "link", "set", "lo", "up")
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(self.services)}\n", encoding="utf-8")
        _do("mount", "--bind", str(hosts), "/etc/hosts")
        for place in ("/opt", "/run", "/var/lib"):
            _do("mount", "-t", "tmpfs", "tmpfs", place)
        for place in ("/opt/retail", "/opt/airflow", "/run/secrets", "/var/lib/retail", "/var/lib/airflow"):
            Path(place).mkdir()
        for path in home().iterdir():
            Path("/opt/retail", path.name).symlink_to(path)
        Path("/opt/retail/jars").symlink_to(home() / "var" / "jars")
        Path("/opt/airflow/.venv").symlink_to(home() / "var" / "airflow" / ".venv")
        Path("/opt/checkout").mkdir()  # where it can be found below a service's own /tmp
        _do("mount", "--rbind", str(home()), "/opt/checkout")
        _do("mount", "-o", "remount,ro", "/opt")  # as for the image's user, who owns nothing there

    def start(self, name: str) -> None:
        """Start the service and wait as `docker compose up --wait` does. Raises RuntimeError with its log's end."""
        service = self.services[name]
        if not service["image"].startswith(_OURS):
            getattr(self, f"_before_{name}", lambda: None)()
        process = self._process(name, [*self._entrypoint(service), *_unescaped(service.get("command", []))])
        give_up = time.monotonic() + _PATIENCE
        while "healthcheck" in service:
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{name} is not healthy:\n{self.log_of(name)[-3000:]}")
            if self.run(name, _test_of(service), entrypoint=False)[0] == 0:
                self.running.append(process)
                return
            time.sleep(0.5)
        if process.wait(timeout=_PATIENCE) != 0:
            raise RuntimeError(f"{name} failed:\n{self.log_of(name)[-3000:]}")

    def run(self, name: str, command: list[str], *, entrypoint: bool = True) -> tuple[int, str]:
        """Another command in the service's surroundings: its exit code and what it said."""
        begin = self._entrypoint(self.services[name]) if entrypoint else []
        with (self.folder / f"{name}.answer").open("w+b") as said:
            code = self._process(name, [*begin, *command], said=said).wait()
            said.seek(0)
            return code, said.read().decode(errors="replace")

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End all of them, the newest first."""
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _entrypoint(self, service: Service) -> list[str]:
        found = service.get("entrypoint") or (self.entrypoint if service["image"].startswith(_OURS) else [])
        return [str(each) for each in found]

    def _process(self, name: str, command: list[str], *, said: Any = None) -> subprocess.Popen[bytes]:
        """The command with the service's environment and secrets, and with nobody else's."""
        service = self.services[name]
        secrets = self.folder / "secrets" / name
        if not secrets.exists():
            secrets.mkdir(parents=True)
            for each in service.get("secrets", []):
                source, target = (each["source"], each["target"]) if isinstance(each, dict) else (each, each)
                file = Path(self.compose["secrets"][source]["file"]).name
                shutil.copy(self.folder / "made" / file, secrets / target)
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ} | {
            "HOME": "/var/lib/retail"
        }
        environment |= {key: _unescape(str(value)) for key, value in service.get("environment", {}).items()}
        environment["PATH"] = self._path(service)
        if service["image"].startswith(_OURS):
            environment |= {"RETAIL_HOME": "/opt/retail", "PYTHONDONTWRITEBYTECODE": "1"}
        if service["image"].startswith(_OURS[1]):
            environment["AIRFLOW_HOME"] = "/var/lib/airflow"
        hostname = service.get("hostname", name)
        script = "\n".join([_INSIDE, *_file_systems(service), 'exec "$@"'])
        inside = ["unshare", "--mount", "--uts", "sh", "-ec", script, str(secrets), hostname]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*inside, *command], env=environment, cwd="/var/lib/retail", stdin=subprocess.DEVNULL,
                stdout=said or log, stderr=said or log,
            )  # fmt: skip

    def _path(self, service: Service) -> str:
        """Where the image's programs are."""
        postgresql = str(binaries_for(account_for(Path("/var/lib/postgresql"))))
        places = ["/opt/retail/.venv/bin", str(home() / "var" / "bin"), postgresql, os.environ["PATH"]]
        if service["image"].startswith(_OURS[1]):
            places.insert(0, "/opt/airflow/.venv/bin")
        return os.pathsep.join(places)

    def _before_postgresql(self) -> None:
        """What the image's entry point does: a cluster, and the script of docker-entrypoint-initdb.d on it."""
        service = self.services["postgresql"]
        service["command"] = ["sh", "-c", _POSTGRESQL, "/var/lib/postgresql"]
        service["environment"]["SCRIPT"] = str(home() / "docker" / "postgresql.sh")


_INSIDE: Final = 'mount --bind "$0" /run/secrets; hostname "$1"; shift'
_POSTGRESQL: Final = """
set -e
export PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" PGHOST=127.0.0.1
mkdir -p "$0"; chown nobody "$0"; mkdir -p /run/pg; cat "$POSTGRES_PASSWORD_FILE" >/run/pg/pw; chown -R nobody /run/pg
local='-c listen_addresses=127.0.0.1 -c unix_socket_directories='
as="setpriv --reuid nobody --clear-groups"
$as initdb --pgdata "$0/data" --username "$POSTGRES_USER" --pwfile /run/pg/pw --auth scram-sha-256 >/dev/null
$as pg_ctl --wait --pgdata "$0/data" --log "$0/log" --options "$local" start
sh "$SCRIPT"
$as pg_ctl --wait --pgdata "$0/data" stop
exec $as postgres -D "$0/data" $local
"""


def _file_systems(service: Service) -> Iterator[str]:
    """The commands that make the root read-only, as the service asks for it, and mount what it may write."""
    if service.get("read_only"):
        yield "mount -o remount,bind,ro /"
    for each in service.get("tmpfs", []):
        place, _, options = each.partition(":")
        yield f"mkdir -p {place}; mount -t tmpfs -o {options} tmpfs {place}"
        if home().is_relative_to(place):
            checkout = shlex.quote(str(home()))
            yield f"mkdir -p {checkout}; mount --rbind /opt/checkout {checkout}"


def _test_of(service: Service) -> list[str]:
    kind, *command = service["healthcheck"]["test"]
    return _unescaped(command if kind == "CMD" else ["/bin/sh", "-c", *command])


def _unescaped(command: list[Any]) -> list[str]:
    return [_unescape(str(word)) for word in command]


def _unescape(word: str) -> str:
    """As Compose reads it: `$$` is a dollar."""
    return word.replace("$$", "$")


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


def main(folder: str, *names: str) -> None:
    """See the module."""
    outside = Outside(Path(folder))
    _do("sh", str(home() / "docker" / "make_secrets.sh"), str(outside.folder / "made"))
    outside.lay_out()
    try:
        for name in names:
            began = time.monotonic()
            outside.start(name)
            _tell(started=name, seconds=round(time.monotonic() - began, 1))
        for line in sys.stdin:
            asked = json.loads(line)
            code, said = outside.run(asked["service"], asked["command"])
            _tell(code=code, said=said)
    except RuntimeError as error:
        _tell(failed=str(error))
    finally:
        outside.stop()


def _tell(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
