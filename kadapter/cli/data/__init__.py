"""`kadapter data`: from graphs and corpora to training sets; a file per command."""

from __future__ import annotations

import typer

from kadapter.cli.data import align, build, inspect, overlap, partition, select, trex

COMMANDS = (
    align,
    build,
    inspect,
    overlap,
    partition,
    select,
    trex,
)


def add_to(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(name="data", help="From graphs and corpora to training sets.", no_args_is_help=True)
    for command in COMMANDS:
        command.add_to(group)
    app.add_typer(group)
