"""PostgreSQL 14 for the tests: binaries that io.zonky.test publishes, by Maven, unpacked into `<folder>/postgresql-14`.

Needs nothing but Python and mvn. Done whole or not at all.
"""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

VERSION = "14.19.0"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


def main(folder: Path) -> None:
    name = f"embedded-postgres-binaries-linux-{MACHINES.get(platform.machine(), platform.machine())}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        subprocess.run(
            [
                *("mvn", "--quiet", "--batch-mode", "--strict-checksums", "-Dstyle.color=never", PLUGIN),
                f"-Dartifact=io.zonky.test.postgres:{name}:{VERSION}",
                f"-DoutputDirectory={draft}",
            ],
            check=True,
            cwd=draft,  # not in the repository's folder, which is no Maven project
        )
        with zipfile.ZipFile(Path(draft) / f"{name}-{VERSION}.jar") as jar:
            (packed,) = (file for file in jar.namelist() if file.endswith(".txz"))
            with tarfile.open(fileobj=io.BytesIO(jar.read(packed)), mode="r:xz") as archive:
                archive.extractall(Path(draft) / "whole", filter="data")
        target = folder / "postgresql-14"
        shutil.rmtree(target, ignore_errors=True)
        (Path(draft) / "whole").chmod(0o755)
        (Path(draft) / "whole").replace(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
