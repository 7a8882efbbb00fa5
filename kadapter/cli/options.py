"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from kadapter.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
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
    try:
        return option.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text}: the value is not YAML ({' '.join(str(error).split())})") from error


def print_json(value: Any) -> None:
    """Print one JSON value to standard output, and nothing else."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; the first column is text, numbers stand to the right."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print a mapping as a table of two columns."""
    table = Table("what", "value", title=title, title_justify="left", show_header=False)
    for name, value in facts.items():
        table.add_row(name, str(value))
    Console().print(table)
