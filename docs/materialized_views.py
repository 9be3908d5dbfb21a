"""The parts of docs/MATERIALIZED_VIEWS.md that sql/views and sql/questions tell: see generate.py.

The views' files are laid out alike (steps of a WITH, then the SELECT), so a few patterns read them and no SQL parser is
needed; a view whose columns and comments do not match is an error.
"""

from __future__ import annotations

import re
from pathlib import Path

from retail.warehouse import questions
from retail.warehouse.schema.ddl import view_files

ROOT = Path(__file__).parents[1]

_QUERY = re.compile(r"^CREATE MATERIALIZED VIEW .*? AS\n(.*?);$", re.DOTALL | re.MULTILINE)
_STEP = re.compile(r"^(?:WITH )?(\w+) AS \(\n(.*?)\n\)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"^CREATE UNIQUE INDEX .*?\((.*?)\);", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^COMMENT ON COLUMN marts\.\w+\.(\w+) IS '((?:[^']|'')*)';$", re.MULTILINE)
_OF_VIEW = re.compile(r"^COMMENT ON MATERIALIZED VIEW \S+ IS '((?:[^']|'')*)';$", re.MULTILINE)
_FROM = re.compile(r"\bFROM (\S+)(?: AS (\w+))?$", re.MULTILINE)

Items = dict[str, str]


def pieces() -> dict[str, str]:
    """For each view its grain, its columns with formula and meaning, and its questions."""
    return {file.stem: _piece(file) for file in view_files()}


def _piece(file: Path) -> str:
    ddl = file.read_text(encoding="utf-8")
    grain = ", ".join(f"`{column.strip()}`" for column in _found(_KEY, ddl, file).split(","))
    says = _found(_OF_VIEW, ddl, file).replace("''", "'")
    head = f"{says}.\n\n**Grain**: one row for each {grain}. **Query**: [{file.name}]({_link(file)})."
    return "\n\n".join([head, _columns(ddl, file), _questions(file.stem)])


def _columns(ddl: str, file: Path) -> str:
    query = _found(_QUERY, ddl, file)
    steps = dict(_STEP.findall(query))
    last = _STEP.sub("", query)
    meanings = {name: text.replace("''", "'") for name, text in _COMMENT.findall(ddl)}
    columns = list(_items(last))
    if set(columns) != meanings.keys():
        raise SystemExit(f"{file}: its columns and its comments do not match")
    rows = [f"| `{name}` | `{_formula(name, last, steps)}` | {meanings[name]} |" for name in columns]
    named = [
        f"`{name}` is `{_one_line(expression)}`"
        for name, expression in _items(steps["line"]).items()
        if name != "*"
    ]
    over = f"Over the rows of `star.fact_sales`{_condition(steps['line'])}; {', '.join(named)}."
    return "\n".join(["| column | formula | meaning |", "|---|---|---|", *rows, "", over])


def _condition(step: str) -> str:
    _, where, condition = step.partition("WHERE ")
    return f" with `{_one_line(condition)}`" if where else ""


def _formula(name: str, query: str, steps: dict[str, str]) -> str:
    """How a column of a query comes about, followed through the steps that only hand it on."""
    source, alias = _FROM.findall(query)[0]
    expression = _items(query).get(name, name)
    of, _, column = expression.rpartition(".")
    before = steps.get(source if of in ("", alias, source) else of)
    if before is not None and re.fullmatch(r"\w+", column):
        return _formula(column, before, steps)
    return _one_line(re.sub(rf"\b{alias or source}\.", "", expression))


def _items(query: str) -> Items:
    """What a query selects, by name."""
    found = re.search(
        r"^\s*SELECT\b(.*?)^\s*FROM\b|^\s*SELECT\b(.*?) FROM\b", query, re.DOTALL | re.MULTILINE
    )
    items: Items = {}
    for item in _parts((found[1] or found[2]) if found else ""):
        expression, _, name = item.rpartition(" AS ")
        if expression and re.fullmatch(r"\w+", name):
            items[name] = expression
        else:
            items[item.rpartition(".")[2]] = item
    return items


def _parts(text: str) -> list[str]:
    """Divided at the commas that stand in no parenthesis."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _questions(view: str) -> str:
    file = questions.question_file(view)
    parts = [f"Each question again as a query of the star: [{file.name}]({_link(file)})."]
    parts += [f"**{each.words}**\n\n```sql\n{each.of_view}\n```" for each in questions.questions_of(view)]
    return "\n\n".join(parts)


def _found(pattern: re.Pattern[str], text: str, file: Path) -> str:
    found = pattern.search(text)
    if found is None:
        raise SystemExit(f"{file}: nothing in it is {pattern.pattern}")
    return str(found[1])


def _link(file: Path) -> str:
    return f"../{file.relative_to(ROOT).as_posix()}"


def _one_line(text: str) -> str:
    return re.sub(r"(?<=\() | (?=\))", "", " ".join(text.split()))
