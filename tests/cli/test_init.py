"""`retail init`: what it writes is accepted by the loader, names every secret and holds none."""

from __future__ import annotations

import subprocess
import tomllib
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retail.cli import main
from retail.cli.local.demo import demo_environment
from retail.config.secrets import Secrets
from retail.config.settings import configuration_file, load_settings
from retail.sources.registry import problems


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*demo_environment(), "RETAIL_CONF"):
        if name.startswith("RETAIL_"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def init(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", *arguments], input=answers)


def variables(folder: Path) -> dict[str, str]:
    lines = (folder / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize(
    ("arguments", "services", "zone", "lake"),
    [
        ((), ["amazon", "walmart", "shopify"], "America/New_York", None),
        (
            ("--amazon", "2", "--shopify", "11", "--currency", "eur", "--time-zone", "Europe/Berlin",
             "--start-date", "2026-01-31", "--lake", "s3://bucket/retail",
             "--warehouse", "postgresql://me%40here@db.example.com:5433/the%20base"),
            ["amazon"] * 2 + ["shopify"] * 11, "Europe/Berlin", "s3://bucket/retail",
        ),
    ],
)  # fmt: skip
def test_what_it_writes_is_accepted_and_only_the_secrets_are_missing(
    arguments: tuple[str, ...], services: list[str], zone: str, lake: str | None, tmp_path: Path
) -> None:
    folder = tmp_path / "my shop's \"#é"
    made = init(str(folder), *arguments)
    assert made.exit_code == 0, made.output
    settings = load_settings(folder / "retail.toml")
    assert sorted(each.service for each in settings.retailers.values()) == sorted(services)
    assert {each.time_zone for each in settings.retailers.values()} == {zone}
    assert settings.lake.url == (lake or str(folder / "lake"))
    assert set(variables(folder).values()) == {"''"}
    filled = {name: "x" * 32 for name in variables(folder)}
    assert problems(settings, Secrets(filled), settings.retailers) == []
    assert len(problems(settings, Secrets({}), settings.retailers)) > len(services)
    assert sorted(each.name for each in folder.iterdir()) == [".env.example", ".gitignore", "retail.toml"]
    if lake:
        assert settings.start_date == date(2026, 1, 31)
        assert (settings.warehouse.host, settings.warehouse.port) == ("db.example.com", 5433)
        assert (settings.warehouse.user, settings.warehouse.database) == ("me@here", "the base")
        assert settings.retailers["retailer_01"].options["taxed_marketplace_ids"]
        assert "RETAIL_WAREHOUSE_PASSWORD" in filled
    else:
        assert settings.warehouse.data_folder == str(folder / "postgresql")


def test_here_the_commands_find_it_without_being_given_a_file(tmp_path: Path) -> None:
    assert init("--walmart", "1").exit_code == 0
    assert configuration_file() == tmp_path / "retail.toml"
    assert list(tomllib.loads((tmp_path / "retail.toml").read_text())["retailers"]) == ["retailer_1"]


def test_on_a_terminal_it_asks_for_what_no_option_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retail.cli.local.init.is_terminal", lambda: True)
    made = init("--walmart", "0", answers="0\n3\n2026-02-01\n\nAsia/Tokyo\nJPY\n\n")
    assert made.exit_code == 0, made.output
    settings = load_settings(tmp_path / "retail.toml")
    assert [each.name for each in settings.retailers.values()] == ["Shopify 1", "Shopify 2", "Shopify 3"]
    assert settings.retailers["retailer_1"].time_zone == "Asia/Tokyo"
    assert settings.start_date == date(2026, 2, 1)
    assert settings.warehouse.embedded


@pytest.mark.parametrize(
    "arguments",
    [
        ("--walmart", "1", "--time-zone", "Mars"),
        ("--walmart", "1", "--currency", "EUR"),
        ("--amazon", "1", "--currency", "XXX"),
        ("--shopify", "1", "--currency", "dollars"),
        ("--shopify", "0"),
        ("--start-date", "yesterday"),
        ("--lake", "s3://bucket/a b"),
        ("--warehouse", "postgresql://me:secret@db.example.com/retail"),
        ("--warehouse", "db.example.com"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    refused = init("new", *arguments)
    assert refused.exit_code == 2
    assert "[configuration]" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    (tmp_path / "retail.toml").write_text("# mine")
    assert init("--shopify", "1").exit_code == 2
    assert [each.read_text() for each in tmp_path.iterdir()] == ["# mine"]
    assert init("--shopify", "1", "--force").exit_code == 0
    assert load_settings(tmp_path / "retail.toml").retailers


def test_a_secret_of_any_characters_stands_between_the_quotes(tmp_path: Path) -> None:
    init(str(tmp_path))
    token = "Atzr|Iw EBI;&$#x"
    example = (tmp_path / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(example.replace("REFRESH_TOKEN=''", f"REFRESH_TOKEN='{token}'"))
    script = 'set -a; . ./.env; set +a; printf %s "$RETAIL_RETAILER_1_REFRESH_TOKEN"'
    sourced = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (sourced.stdout, sourced.stderr) == (token, "")
