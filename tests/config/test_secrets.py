"""Secrets come from variables and files, and show themselves nowhere."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import pytest

from retail.config import secret_stores
from retail.config.secrets import Secret, Secrets
from retail.errors import ConfigurationError


def test_a_secret_is_seen_only_where_it_is_revealed() -> None:
    secret = Secret("hush")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{[secret]}", "%s" % secret]  # noqa: UP031
    assert not [text for text in shown if "hush" in text]
    assert secret.reveal() == "hush"
    with pytest.raises(TypeError):
        json.dumps({"key": secret})


def test_a_traceback_with_locals_does_not_show_it() -> None:
    def fails(secret: Secret) -> None:
        raise RuntimeError(f"could not use {secret}")

    try:
        fails(Secret("hush"))
    except RuntimeError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(***)" in text
    # The test's own source line names the value; the frames of the function must not.
    assert "hush" not in text.replace('fails(Secret("hush"))', "")
    logging.getLogger(__name__).warning("with %s", Secret("hush"))


def test_a_file_goes_before_the_variable_and_loses_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-file\n")
    secrets = Secrets({"RETAIL_KEY": "from-variable", "RETAIL_KEY_FILE": str(path)})
    assert secrets.require("key").reveal() == "from-file"


def test_missing_empty_and_unreadable_are_told_by_the_variable_s_name() -> None:
    secrets = Secrets({"RETAIL_EMPTY": "", "RETAIL_LOST_FILE": "/nowhere/key"})
    for name in ("gone", "empty"):
        with pytest.raises(ConfigurationError, match=f"RETAIL_{name.upper()} is not set"):
            secrets.require(name)
    with pytest.raises(ConfigurationError, match="RETAIL_LOST_FILE: /nowhere/key cannot be read"):
        secrets.get("lost")


def test_secrets_that_differ_in_one_read_a_stored_object_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def read(name: str, environment: object) -> str:
        reads.append(name)
        return '{"a": "first secret", "b": "second secret"}'

    monkeypatch.setitem(secret_stores._STORES, "vault", read)
    before = Secrets({}).with_references({"a": "vault:m/p#a", "b": "vault:m/p#b"})
    after = before.given("c", before.require("a"))
    assert (after.require("a").reveal(), after.require("b").reveal()) == ("first secret", "second secret")
    assert reads == ["m/p"]
