"""`kadapter inspect`: what a saved adapter, a run, a kind of knowledge or a backbone is."""

from __future__ import annotations

from typing import Annotated

import typer

from kadapter.cli.options import Json, print_facts, print_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="inspect")(inspect)


def inspect(
    what: Annotated[str, typer.Argument(help="Folder of an adapter or run, installed knowledge, or a backbone.")],
    json: Json = False,
) -> None:
    """Say what something is, without running it."""
    from kadapter.inspection import inspect

    facts = inspect(what)
    print_json(facts) if json else print_facts(what, facts)
