"""`kadapter demo`: the main job on an embedded backbone, start to end, in minutes, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kadapter.cli.options import Json, Set, parse_assignments, print_json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="demo")(demo)


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the adapter and its controls.")] = Path("kadapter-demo"),
    set_: Set = None,
    json: Json = False,
) -> None:
    """Pretrain an adapter on facts about countries, plug it in, measure it beside controls, unplug it."""
    from kadapter.demo import demo_recipe, run_demo

    recipe = demo_recipe().with_options(parse_assignments(set_ or ()))
    report = run_demo(output, recipe, Console(stderr=json))
    if json:
        print_json(report)
