"""`kadapter data`: from graphs and corpora to training sets; a file per command."""

from __future__ import annotations

import typer

COMMANDS: tuple[str, ...] = ()


def add_to(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(name="data", help="From graphs and corpora to training sets.", no_args_is_help=True)
    app.add_typer(group)
