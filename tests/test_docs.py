"""What the documents say of code, tests and files is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from retail.lake.spark_artifacts import PAIRS
from retail.records import FIELDS
from retail.sources import pii
from retail.sources.amazon.service import AmazonOptions
from retail.sources.service import Options
from retail.sources.shopify.service import ShopifyOptions
from retail.sources.walmart.service import WalmartOptions

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RETAILERS = (ROOT / "docs" / "RETAILERS.md").read_text(encoding="utf-8")


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", document.read_text(encoding="utf-8"))
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_decision_s_title_has_the_number_of_its_file() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert path.read_text(encoding="utf-8").startswith(f"# {path.name[:4]} · "), path.name


@pytest.mark.parametrize(
    ("document", "heading", "elsewhere"),
    [
        ("DATA_MODEL.md", "SalesRecord", set()),
        # The same for every retailer.
        (
            "RETAILERS.md",
            "How it becomes a SalesRecord",
            {"retailer_id", "status", "mapping_version", "source_ref"},
        ),
    ],
)
def test_every_field_of_a_sale_is_in_the_table(document: str, heading: str, elsewhere: set[str]) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    _, section = text.split(f"\n## {heading}\n")
    rows = re.findall(r"^\| ([a-z_, ]+) \|", section.split("\n## ")[0], re.MULTILINE)
    named = [name for row in rows for name in row.split(", ") if name != "field"]
    assert sorted(named) == sorted(set(FIELDS) - elsewhere)


def test_every_view_s_purpose_is_written() -> None:
    assert "**Purpose**: TODO" not in (ROOT / "docs" / "MATERIALIZED_VIEWS.md").read_text(encoding="utf-8")


def test_every_image_is_told_with_its_licence() -> None:
    told = (ROOT / "docs" / "DEPENDENCIES.md").read_text(encoding="utf-8")
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    images = {
        each["image"] for each in compose["services"].values() if "retail-lakehouse" not in each["image"]
    }
    images |= set(
        re.findall(r"^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(images) == 3
    assert [image for image in images if not re.search(rf"^\| `{image}` \|", told, re.MULTILINE)] == []


def test_every_promise_of_security_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| test |" not in line]
    assert len(rows) > 35
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py(::test_\w+)?`", row)] == []
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", text)
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file, _ in named}
    assert [f"{file}::{name}" for file, name in named if name and f"def {name}(" not in texts[file]] == []


def test_every_trap_has_a_test() -> None:
    rows = [line for line in RETAILERS.partition("## Traps")[2].splitlines() if line.startswith("| ")]
    traps = [row for row in rows if not row.startswith("| trap |")]
    assert len(traps) > 70
    assert [row for row in traps if not re.search(r"`tests/[\w/]+\.py::test_\w+`", row)] == []


def options_told() -> dict[tuple[str, str], str]:
    """The default that the table of options tells, by service and option."""
    told: dict[tuple[str, str], str] = {}
    service = ""
    for line in RETAILERS.partition("### Options")[2].partition("### A quota")[0].splitlines():
        if line.startswith("| "):
            _, of, names, default, *_ = line.split("|")
            service = of.strip() or service
            told |= {(service, name): default.replace(",", "") for name in re.findall(r"`(\w+)`", names)}
    return told


@pytest.mark.parametrize(
    ("service", "options"),
    [("amazon", AmazonOptions), ("walmart", WalmartOptions), ("shopify", ShopifyOptions)],
)
def test_every_option_is_told_with_its_default(service: str, options: type[Options]) -> None:
    told = options_told()
    assert {name for of, name in told if of == service} == set(options.model_fields)
    for name, field in options.model_fields.items():
        default = field.get_default()
        if isinstance(default, bool):
            assert f"`{str(default).lower()}`" in told[service, name], name
        elif isinstance(default, str | int | float):
            words = default if isinstance(default, str) else f"{default:g}"
            assert words in told[service, name], name


@pytest.mark.parametrize("rules", [pii.AMAZON, pii.WALMART, pii.SHOPIFY])
def test_every_field_of_personal_data_is_told(rules: pii.Rules) -> None:
    told = RETAILERS.replace("addressLine1 to 3", "addressLine1 addressLine2 addressLine3")
    assert rules.removed - set(re.findall(r"\w+", told)) == frozenset()


def test_how_to_add_a_retailer_shows_the_very_file_that_the_tests_run() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ADD_A_RETAILER.md").read_text(), re.DOTALL)
    assert (ROOT / "tests" / "end_to_end" / "corner_shop.py").read_text(encoding="utf-8") in shown


def test_the_data_model_and_the_views_are_what_the_code_says() -> None:
    told = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr


DEPLOY = (ROOT / "docs" / "DEPLOY.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """What docs/DEPLOY.md shows between fences."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", DEPLOY, re.DOTALL | re.MULTILINE)
    return [text for of, text in fenced if of == language]


def test_a_container_s_configuration_is_named_by_an_absolute_path_and_mounted_there() -> None:
    jobs = [yaml.safe_load(each) for each in blocks("yaml")]
    (job,) = (each for each in jobs if each["kind"] == "CronJob")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    arguments = container["args"]
    path = Path(arguments[arguments.index("--conf") + 1])
    # Over that file alone: over its folder, the expectations would be gone.
    (mount,) = container["volumeMounts"]
    assert path.is_absolute()
    assert (mount["mountPath"], mount["subPath"]) == (str(path), path.name)
    assert mount["name"] in {volume["name"] for volume in pod["volumes"]}
    assert path.relative_to("/opt/retail") == Path("conf/aws.toml")


def test_a_command_that_runs_elsewhere_names_its_configuration_by_an_absolute_path() -> None:
    elsewhere = [each for each in blocks("") if re.match(r"(aws|gcloud|kubectl|docker) ", each)]
    assert elsewhere
    for block in elsewhere:
        told = re.findall(r"(?:--conf |_CONF(?:_DIR)?=)(\S+?)[;,\s]", block)
        assert [path for path in told if "=" not in path and not path.startswith("/")] == []
        if "--master yarn" in block:
            assert "HADOOP_CONF_DIR=" in block


def test_the_documents_name_each_spark_with_the_delta_that_it_gets() -> None:
    supported = (ROOT / "docs" / "SUPPORTED.md").read_text(encoding="utf-8")
    for pair in PAIRS:
        assert pair.delta in supported
        assert re.search(rf"^\| {pair.spark}\.\d+ \| {pair.delta_version} \|", supported, re.MULTILINE)
