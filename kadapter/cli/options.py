"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kadapter.config import read_yaml
from kadapter.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Replace any option of the recipe: adapter.reads=[2,4], training.clip=0.5 …"),
]


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn `option=value` into a mapping; values are read as YAML, so `[2, 4]` is a list and `null` nothing.

    Raises:
        ConfigError: there is no `=`, or the value is not YAML.
    """
    return dict(_assignment(text) for text in assignments)


def _assignment(text: str) -> tuple[str, Any]:
    option, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: write it as option=value, for instance training.epochs=5")
    return option.strip(), read_yaml(value, f"--set {text}: the value")


def print_json(value: Any) -> None:
    """Print one JSON value to standard output, and nothing else."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output."""
    _print(Table(*columns, title=Text(title), title_justify="left"), rows)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print a mapping as a table of two columns."""
    table = Table("what", "value", title=Text(title), title_justify="left", show_header=False)
    _print(table, ((name, str(value)) for name, value in facts.items()))


def _print(table: Table, rows: Iterable[Sequence[str]]) -> None:
    for row in rows:
        # As Text, since rich would take "[/tmp]" in a plain string for a command.
        table.add_row(*map(Text, row))
    Console().print(table)
