"""How a command's process ends: with its exit code, whatever is still under way in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.config.test_settings import GOOD

from retail.lake.engine import without_session


def python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from retail.cli import main\n{program}"],
        cwd=folder,
        env=without_session(os.environ) | {"RETAIL_CONF": str(folder / "test.toml")},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test.toml").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["--version"], 0, ""),
        (["status"], 0, ""),
        (["transform", "--date", "2017-01-01"], 1, "retailer_1 2017-01-01"),
        (["status", "--gaps"], 2, "there is no run to show yet"),
        (["--conf", "none.toml", "status"], 2, "none.toml"),
        (["ruin"], 2, "No such command"),
    ],
)
def test_a_process_ends_with_the_command_s_exit_code(
    command: list[str], code: int, said: str, folder: Path
) -> None:
    ended = python(f"main({command})", folder)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    assert said in ended.stderr


def test_an_error_that_nobody_foresaw_is_shown_and_ends_with_1(folder: Path) -> None:
    ended = python("main.invoke = lambda _: 1 / 0\nmain(['status'])", folder)
    assert ended.returncode == 1
    *_, trace, said, hint = ended.stderr.splitlines()
    assert trace == "ZeroDivisionError: division by zero"
    assert "[failed]" in said
    assert hint.startswith("  next: ")


@pytest.mark.parametrize(
    ("redirected", "encoding", "code"),
    [("> /dev/full", "utf-8", 1), (">&-", "utf-8", 0), ("<&- >&- 2>&-", "utf-8", 0), ("", "ascii", 0)],
    ids=["a full disk", "no output", "no stream at all", "ascii"],
)
def test_output_that_is_full_closed_or_ascii_gives_no_stack_trace(
    redirected: str, encoding: str, code: int, folder: Path
) -> None:
    program = f"{sys.executable} -m retail.cli status {redirected}"
    environment = without_session(os.environ) | {
        "RETAIL_CONF": str(folder / "test.toml"),
        "PYTHONIOENCODING": encoding,
    }
    ended = subprocess.run(
        ["sh", "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False), ended.stderr
    assert ("[failed]" in ended.stderr) == (code == 1)


def test_a_user_without_a_home_gets_one_for_the_libraries_that_ask(folder: Path) -> None:
    program = """
import os, pwd
def unknown(_): raise KeyError
pwd.getpwuid = unknown
os.environ.pop("HOME", None)
main.main = lambda: print(oct(os.stat(os.path.expanduser("~")).st_mode))
main()"""
    ended = python(program, folder)
    assert ended.stdout.strip() == "0o40700", ended.stderr


def test_what_was_registered_for_the_exit_is_done(folder: Path) -> None:
    ended = python("import atexit; atexit.register(print, 'swept')\nmain(['--version'])", folder)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "swept")


def test_a_thread_that_never_ends_keeps_no_process(folder: Path) -> None:
    endless = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    assert python(f"{endless}main(['--version'])", folder).returncode == 0


@pytest.mark.parametrize("command", [["--help"], ["status"]])
def test_where_nobody_reads_what_is_printed_it_ends_with_1_and_says_nothing(
    command: list[str], folder: Path
) -> None:
    program = (
        "import os, sys; reads, writes = os.pipe(); os.dup2(writes, 1); os.close(writes); os.close(reads)\n"
        f"main({command})"
    )
    ended = python(program, folder)
    assert (ended.returncode, ended.stderr) == (1, "")
