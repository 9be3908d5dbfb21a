"""Row rules are a file that a user may edit; what is wrong with it is said by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail.config.settings import home
from retail.errors import ConfigurationError
from retail.quality import conf_files
from retail.quality.rules import load_row_rules


def test_the_shipped_rules_have_a_reason_each() -> None:
    rules = {rule.reason: rule for rule in load_row_rules()}
    assert rules["negative quantity on a sale"].when == "record_type = 'sale' AND quantity < 0"
    assert {rules[reason].severity for reason in ("negative quantity on a sale", "unknown status")} == {
        "error"
    }
    assert rules["a sale of nothing"].severity == "warning"
    assert rules["customer_id is an e-mail address"].severity == "critical"
    assert all(rule.reason.strip() and rule.when.strip() for rule in rules.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]", "is not TOML"),
        ("[[rule]]\nreason = 'x'", r"rule\.0\.when: Field required"),
        ("[[rule]]\nreason = 'x'\nwhen = 'true'\nif = 1", r"rule\.0\.if: Extra inputs"),
        (
            "[[rule]]\nreason = 'x'\nwhen = 'true'\nseverity = 'fatal'",
            r"rule\.0\.severity: Input should be 'crit",
        ),
        ("[[rule]]\nreason = 'x; y'\nwhen = 'true'", r"rule\.0\.reason: String should match"),
    ],
)
def test_a_broken_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_row_rules(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read"):
        load_row_rules(tmp_path / "none.toml")


def test_one_reason_twice_is_refused_for_one_would_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[rule]]\nreason = 'x'\nwhen = 'true'\n[[rule]]\nreason = 'x'\nwhen = 'false'\n")
    with pytest.raises(ConfigurationError, match="'x' appears twice"):
        load_row_rules(path)


def test_a_file_beside_the_configuration_wins_and_the_package_has_the_others(tmp_path: Path) -> None:
    own = home() / "conf" / "expectations"
    assert conf_files.find("row_rules.toml", tmp_path) == own / "row_rules.toml"
    (tmp_path / "expectations").mkdir()
    mine = tmp_path / "expectations" / "row_rules.toml"
    mine.write_text('[[rule]]\nreason = "mine"\nwhen = "quantity > 9"\n')
    (tmp_path / "expectations" / "fact_sales.finance.json").write_text("{}")
    assert [rule.reason for rule in load_row_rules(beside=tmp_path)] == ["mine"]
    assert conf_files.find("profile.toml", tmp_path) == own / "profile.toml"
    assert {"fact_sales", "fact_sales.finance"} < set(conf_files.suites(tmp_path))
    assert conf_files.find("fact_sales.json", tmp_path) == own / "fact_sales.json"
