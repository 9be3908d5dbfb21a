"""docs/CLI.md from the commands' own help: see generate.py."""

from __future__ import annotations

from collections.abc import Iterator

import click

from retail.cli import main
from retail.cli.options import COMMAND_GROUPS


def pieces() -> dict[str, str]:
    """The only part: each command with its arguments and options, in the groups of `retail --help`."""
    context = click.Context(main, info_name="retail")
    parts = []
    for title, names in COMMAND_GROUPS.items():
        parts.append(f"## {title}")
        for name in names:
            command = main.get_command(context, name)
            if command is None:
                raise SystemExit(f"{title}: there is no command {name}")
            parts += _described(command, click.Context(command, info_name=name, parent=context))
    return {"": "\n\n".join(parts)}


def _described(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### `{context.command_path} {usage}`"
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    options = [each for each in command.params if isinstance(each, click.Option) and each.name != "help"]
    if options:
        yield "\n".join(["| option | meaning |", "|---|---|", *(_row(each, context) for each in options)])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.commands[name]
            yield from _described(below, click.Context(below, info_name=name, parent=context))


def _row(option: click.Option, context: click.Context) -> str:
    names, meaning = option.get_help_record(context) or ("", "")
    return f"| `{names.replace('|', chr(92) + '|')}` | {meaning} |"
