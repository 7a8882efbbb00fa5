"""`kadapter ledger`: what each kind of knowledge adds, beside controls, over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.options import Json, Set, parse_assignments, print_json, print_table
from kadapter.cli.runs import Data, Store, StoreLimit, given


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="ledger")(ledger)


def ledger(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML) of a fine-tuning or of a new adapter.")],
    output: Annotated[Path, typer.Option(help="Folder of the runs; what is finished there is not done again.")],
    data: Data = None,
    seeds: Annotated[int, typer.Option(help="How many, from the recipe's own on.")] = 3,
    row: Annotated[list[str] | None, typer.Option(help="Only this row; may be repeated.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Split to score; may be repeated. Default: test.")] = None,
    rate: Annotated[list[str] | None, typer.Option(help="ROW=LEARNING-RATE; may be repeated.")] = None,
    store: Store = None,
    store_limit: StoreLimit = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Train a task over nothing, over controls, over each adapter and over all: what does each add?"""
    from kadapter.comparison import compare
    from kadapter.recipe import Recipe
    from kadapter.tables import cells

    options = given(None, None, data, None, None, store, store_limit)
    said = Recipe.load(recipe).with_options({**options, **parse_assignments(set_ or ())})
    chosen = range(said.training.seed, said.training.seed + seeds)
    report = compare(said, output, chosen, row, split or ["test"], rates=parse_assignments(rate or (), "--rate"))
    print_json(report) if json else print_table(f"{recipe.stem}, scores in percent", *cells(report))
