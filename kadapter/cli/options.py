"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Column, Table
from rich.text import Text

from kadapter.config import read_yaml
from kadapter.errors import ConfigError, printable

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Replace any option of the recipe: adapter.reads=[2,4], training.clip=0.5 …"),
]


def parse_assignments(assignments: Iterable[str], flag: str = "--set") -> dict[str, Any]:
    """Turn `option=value` into a mapping; values are read as YAML, so `[2, 4]` is a list and `null` nothing.

    Raises:
        ConfigError: there is no `=`, or the value is not YAML.
    """
    return dict(_assignment(text, flag) for text in assignments)


def _assignment(text: str, flag: str) -> tuple[str, Any]:
    option, equals, value = text.partition("=")
    if not equals:
        example = {"--rate": "full=1e-4"}.get(flag, "training.epochs=5")
        raise ConfigError(f"{flag} {text}: write it as option=value, for instance {example}")
    return option.strip(), read_yaml(value, f"{flag} {text}: the value")


def named_adapters(adapters: Iterable[str]) -> dict[str, str]:
    """Turn `FOLDER`, `NAME=FOLDER` and names of installed knowledge into name -> folder or name.

    Raises:
        StorageError: a folder holds no adapter, which would say its name.
        ConfigError: two have the same name.
    """
    from kadapter.naming import own_name

    named: dict[str, str] = {}
    for given, place in (text.partition("=")[::2] for text in adapters):
        name = given if place else own_name(given)
        if name in named:
            raise ConfigError(f"two adapters are called '{name}'; give one a name of its own: NAME={place or given}")
        named[name] = place or given
    return named


def print_json(value: Any) -> None:
    """Print one JSON value to standard output, and nothing else."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table to standard output; a cell may be a text with styles."""
    # Folded where the terminal is narrow: half a figure would mislead.
    heads = (Column(column, overflow="fold") for column in columns)
    _print(Table(*heads, title=Text(title), title_justify="left"), rows)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print a mapping as a table of two columns."""
    table = Table("what", "value", title=Text(title), title_justify="left", show_header=False)
    _print(table, ((name, str(value)) for name, value in facts.items()))


def print_markdown(text: str) -> None:
    """Print Markdown to standard output: laid out in a terminal, as it is elsewhere."""
    console = Console()
    console.print(Markdown(text)) if console.is_terminal else typer.echo(text)


def _print(table: Table, rows: Iterable[Sequence[str | Text]]) -> None:
    for row in rows:
        table.add_row(*map(_cell, row))
    Console().print(table)


def _cell(cell: str | Text) -> Text:
    # As Text, since rich would take "[/tmp]" in a plain string for a command.
    return cell if isinstance(cell, Text) else Text("\n".join(map(printable, cell.split("\n"))))
