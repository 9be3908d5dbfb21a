"""SQL text taken apart."""

from __future__ import annotations

import pytest

from retail.lake.sql_text import is_empty, only_reads, split


@pytest.mark.parametrize(
    ("text", "found", "rest"),
    [
        ("SELECT 1;\nSELECT 2", ["SELECT 1"], "SELECT 2"),
        ("SELECT ';', \";\", `;`; x", ["SELECT ';', \";\", `;`"], "x"),
        (r"SELECT 'it\'s; one';", [r"SELECT 'it\'s; one'"], ""),
        ("SELECT 'it''s; one';", ["SELECT 'it''s; one'"], ""),
        ("-- a; b\nSELECT 1 /* c;\nd */;", ["-- a; b\nSELECT 1 /* c;\nd */"], ""),
        (";; -- nothing;\n;", [], ""),
        ("SELECT 'not closed; SELECT 2;", [], "SELECT 'not closed; SELECT 2;"),
    ],
)
def test_a_statement_ends_at_a_semicolon_that_is_neither_quoted_nor_in_a_comment(
    text: str, found: list[str], rest: str
) -> None:
    assert split(text) == (found, rest)


def test_comments_alone_are_nothing() -> None:
    assert is_empty(" -- all\n /* of\nit */ ")
    assert not is_empty("-- all\nSELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'DELETE', `update` FROM a -- INSERT",
        "-- first\n(SELECT 1)",
        "with a AS (SELECT 1) SELECT updated_at FROM a",
        "SHOW TABLES",
        "DESCRIBE TABLE a",
        "create temporary view a AS SELECT 1",
        "CREATE OR REPLACE TEMP VIEW a AS SELECT 1",
    ],
)
def test_what_only_reads_passes(statement: str) -> None:
    assert only_reads(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO a SELECT 1",
        "WITH b AS (SELECT 1) INSERT INTO a SELECT * FROM b",
        "FROM b INSERT INTO a SELECT *",
        "MERGE INTO delta.`x` USING b ON a = b WHEN MATCHED THEN DELETE",
        "delete from a",
        "UPDATE a SET b = 1",
        "DROP TABLE a",
        "CREATE TABLE a AS SELECT 1",
        "CREATE VIEW a AS SELECT 1",
        "VACUUM a",
        "SET x = 1",
        "",
    ],
)
def test_what_could_change_the_lake_does_not_pass(statement: str) -> None:
    assert not only_reads(statement)
