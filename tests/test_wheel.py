"""The wheel needs no checkout: it has every file that the code reads, and works in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from retail.config.settings import home

ODD = "an empty folder #é'"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(home()))
    return next(folder.glob("*.whl"))


def uv(*arguments: str) -> None:
    program = Path(sys.prefix) / "bin" / "uv"
    if not program.exists():
        pytest.skip("needs uv, which `make setup` installs")
    subprocess.run([program, *arguments], check=True)


def below(folder: str) -> set[str]:
    """The files below a folder of the checkout."""
    found = (path for path in (home() / folder).rglob("*") if path.is_file())
    return {
        path.relative_to(home() / folder).as_posix()
        for path in found
        if "__pycache__" not in path.parts and ".egg-info" not in str(path)
    }


def test_the_wheel_holds_every_file_that_the_checkout_has(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    needed = below("lib")
    for folder in ("sql", "conf", "dags", "jobs"):
        needed |= {f"retail/files/{folder}/{name}" for name in below(folder)}
    assert held == needed


@pytest.mark.nightly
@pytest.mark.postgres
def test_in_an_empty_environment_and_an_empty_folder_the_wheel_goes_the_whole_way(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    uv("venv", "--quiet", "--python", sys.executable, str(environment))
    lock = str(home() / "requirements.lock")
    python = str(environment / "bin" / "python")
    uv("pip", "install", "--quiet", "--python", python, "--constraint", lock, f"{wheel}[simulator]")
    folder = tmp_path / ODD
    folder.mkdir()
    variables = {"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C.UTF-8"}

    def retail(*arguments: str) -> str:
        ended = subprocess.run(
            [environment / "bin" / "retail", *arguments],
            cwd=folder, env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stdout

    try:
        assert ": success" in retail("demo", "--days", "1")
        assert "success" in retail("status")
        rows = retail("sql", "--csv", "SELECT count(*) AS n FROM fact_sales").split()
        assert int(rows[-1]) > 3_000
    finally:
        retail("warehouse", "stop")
    assert [each.name for each in folder.iterdir()] == ["var"]
    assert {each.name for each in tmp_path.iterdir()} == {"venv", ODD}

    retail("init", "shops", "--shopify", "2")
    (folder / "shops" / "retail.toml").rename(folder / "retail.toml")
    assert "No runs yet" in retail("status")
    asked = "from retail.config.settings import home; print(home())"
    files = subprocess.run([python, "-c", asked], env=variables, cwd=folder, capture_output=True, text=True)
    assert Path(files.stdout.strip()).is_relative_to(environment)
    assert (Path(files.stdout.strip()) / "dags" / "retail_data_pipeline.py").is_file()
