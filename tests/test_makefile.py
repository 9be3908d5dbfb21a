"""What the Makefile does to the files that are there, and what is said of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
KEPT = {"var/lake/star", "var/postgresql/data", "var/secrets/customer_pepper", "conf/local.toml"}
MADE = {
    ".venv/bin",
    "var/airflow",
    "var/bin",
    "var/jars",
    "var/node",
    "var/sparks",
    "var/superset",
    "var/trino",
    "var/postgresql-14",
}


def test_clean_deletes_what_can_be_made_again_and_nothing_else(tmp_path: Path) -> None:
    for path in KEPT | MADE:
        (tmp_path / path).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    subprocess.run(["make", "--directory", tmp_path, "clean"], check=True, capture_output=True)
    assert {path for path in KEPT | MADE if (tmp_path / path).exists()} == KEPT


def test_every_folder_that_a_target_makes_is_deleted_by_clean() -> None:
    made = {path.split("/")[0] for path in re.findall(r"^var/(\S+):", MAKEFILE, re.MULTILINE)}
    assert made <= {path.removeprefix("var/") for path in MADE}


def test_a_target_that_is_no_file_is_phony() -> None:
    targets = re.findall(r"^([\w-]+):(?!=)", MAKEFILE, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(targets) == set(phony[1].split())


def test_the_versions_that_the_makefile_and_the_image_install_are_the_same() -> None:
    (uv,) = re.findall(r"^UV := (\S+)$", MAKEFILE, re.MULTILINE)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"uv==(\S+)", dockerfile)) == {uv}
    assert re.findall(r"pip install .*\buv(?!==)\b(?! pip)", MAKEFILE) == []


def test_contributing_names_every_target_that_tests() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    targets = re.findall(r"^(test[\w-]*):", MAKEFILE, re.MULTILINE)
    assert [target for target in targets if not re.search(rf"^make {target}\s", told, re.MULTILINE)] == []
