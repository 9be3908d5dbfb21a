"""`retail sql`: query the lake in SQL, from a statement, a file or a prompt."""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console

from retail.cli.output import console, streams
from retail.errors import EngineError, RetailError
from retail.lake import sql_text
from retail.outgoing_text import printable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

HELP: Final = r"""statements end in ;
  \d        list the tables
  \d NAME   list the columns of a table
  \q        quit (or Ctrl-D)"""

# What begins a formula in Excel, LibreOffice or Google Sheets, in full width too; and what they take off before it.
_FORMULA: Final = re.compile(r"[\s\x00-\x20\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]|[\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.][0-9]+)?", re.ASCII)

Show = Callable[["DataFrame"], None]


def run(session: SparkSession, texts: Iterable[str], show: Show) -> None:
    """Run every statement of `texts` in order. Raises EngineError at the first that fails."""
    for text in texts:
        found, rest = sql_text.split(text)
        for statement in found if sql_text.is_empty(rest) else [*found, rest]:
            _answer(session, statement, show)


def converse(session: SparkSession, out: Console, show: Show) -> None:
    """Read from the terminal and answer until the end; a failure is shown, and the next line read."""
    with suppress(ImportError):
        import readline  # noqa: F401 - gives input() its editing and history
    out.print(HELP, markup=False)
    for statement in _typed(out):
        try:
            _answer(session, statement, show)
        except RetailError as error:
            out.print(str(error), markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            out.print("interrupted")


def as_table(most: int) -> Show:
    """Shows up to `most` rows as a table, with every digit, and says if there are more."""

    out = console.uncut()

    def show(frame: DataFrame) -> None:
        rows = [tuple(row) for row in _presentable(frame).limit(most + 1).collect()]
        table = console.rows_table(frame.columns, rows[:most], exact=True)
        out.print(table)
        if len(rows) > most:
            out.print(f"(the first {most:,} rows of more: add a LIMIT, or see more with --rows N or --csv)")
        else:
            out.print(f"({len(rows):,} row{'' if len(rows) == 1 else 's'})")

    return show


def as_csv(*, no_formulas: bool = False) -> Show:
    """Writes all rows as CSV to standard output, as they come; NULL is an empty field.

    With `no_formulas`, a text that a spreadsheet would take for a formula begins with an apostrophe. On a terminal,
    control characters are escapes.
    """

    to_terminal = sys.stdout.isatty()

    def field(value: object) -> str:
        text = "" if value is None else console.exactly(value)
        if no_formulas and isinstance(value, str) and _is_formula(text):
            text = f"'{text}"
        return printable(text) if to_terminal else text

    def show(frame: DataFrame) -> None:
        out = streams.of_data()
        writer = csv.writer(out, lineterminator="\n")
        # Which quotes no lone \r by itself, and readers take one for the end of a row.
        quoting = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in itertools.chain([frame.columns], _presentable(frame).toLocalIterator()):
            fields = [field(value) for value in row]
            (quoting if any("\r" in each for each in fields) else writer).writerow(fields)
        out.flush()

    return show


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may execute the text: by its first character, blanks aside, unless it is a number.

    >>> [_is_formula(each) for each in ("=1+1", " @SUM(A1)", "-2+3", "-2.50", "1=1", "\\t=1")]
    [True, True, True, False, False, True]
    """
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text)


def _typed(out: Console) -> Iterator[str]:
    """Statements as they are typed, over any number of lines; a line that begins with `\\` stands alone."""
    waiting = ""
    while True:
        try:
            line = input("   ...> " if waiting else "retail> ")
        except EOFError:
            out.print()
            return
        except KeyboardInterrupt:  # as in a shell, drops what was typed
            out.print()
            waiting = ""
            continue
        word = line.strip().rstrip(";")
        if not waiting and word in (r"\q", "quit", "exit"):
            return
        if not waiting and word.startswith("\\"):
            yield word
            continue
        complete, waiting = sql_text.split(f"{waiting}\n{line}")
        waiting = "" if sql_text.is_empty(waiting) else waiting
        yield from complete


def _answer(session: SparkSession, statement: str, show: Show) -> None:
    """Run a statement and show its result. Raises EngineError."""
    listing = statement == r"\d"
    statement = _spelled_out(statement)
    if not sql_text.only_reads(statement):
        raise EngineError(
            f"not run: {_in_short(statement)}: `retail sql` only reads; runs write to the lake",
            hint="use SELECT, SHOW TABLES, DESCRIBE TABLE, EXPLAIN or CREATE TEMPORARY VIEW; see docs/LAKE_READERS.md",
        )
    try:
        frame = session.sql(statement)
        if listing:
            frame = frame.select("tableName").orderBy("tableName")
        if statement.split(maxsplit=1)[0].upper() != "CREATE":
            show(frame)
    except Exception as error:  # raised by an engine, a driver or a library
        raise EngineError(f"{_in_short(statement)}: {_reason(error)}") from error


def _spelled_out(statement: str) -> str:
    command, *names = statement.split()
    match command, names:
        case r"\d", []:
            return "SHOW TABLES"
        case r"\d", [name]:
            return f"DESCRIBE TABLE {name}"
        case _ if command.startswith("\\"):
            raise EngineError(f"unknown command {command}", hint=HELP)
    return statement


def _presentable(frame: DataFrame) -> DataFrame:
    """Times as text: PySpark would show them in this machine's zone. Column names may repeat in a result."""
    from pyspark.sql import functions as F

    numbered = frame.toDF(*(f"c{number}" for number in range(len(frame.columns))))
    return numbered.select(
        *(
            F.col(name).cast("string") if kind.startswith("timestamp") else F.col(name)
            for name, kind in numbered.dtypes
        )
    )


def _in_short(statement: str) -> str:
    one_line = " ".join(statement.split())
    return one_line if len(one_line) <= 60 else f"{one_line[:59]}…"


def _reason(error: Exception) -> str:
    """The engine's message, without the plan and the stack after it."""
    lines = (line.strip() for line in str(error).splitlines())
    said: Sequence[str] = list(itertools.islice((line for line in lines if line), 1))
    return said[0][:500] if said else type(error).__name__
