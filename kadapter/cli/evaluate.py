"""`kadapter evaluate`: score a finished run, alone or beside its controls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kadapter.cli.options import Json, RunFolder, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="evaluate")(evaluate)


def evaluate(
    run: RunFolder,
    split: Annotated[list[str] | None, typer.Option(help="Split to score; may be repeated. Default: test.")] = None,
    data: Annotated[str | None, typer.Option(help="Where the run's data lies now.")] = None,
    controls: Annotated[bool, typer.Option("--controls", help="Train the controls beside it.")] = False,
    seeds: Annotated[int, typer.Option(help="How many seeds, with --controls.")] = 3,
    output: Annotated[Path | None, typer.Option(help="Folder of the controls. Default: RUN/controls.")] = None,
    json: Json = False,
) -> None:
    """Score a finished run on pairs that training never saw."""
    splits = split or ["test"]
    report = _compare(run, splits, seeds, output, data) if controls else _score(run, splits, data)
    if json:
        print_json(report)
        return
    from kadapter.tables import cells

    print_table(f"{run}, in percent", *cells(report))


def _score(run: Path, splits: list[str], data: str | None) -> dict[str, Any]:
    from kadapter.comparison import summary
    from kadapter.evaluation import evaluate

    return {"rows": {"adapter": {"scores": summary([evaluate(run, splits, data)])}}}


def _compare(run: Path, splits: list[str], seeds: int, output: Path | None, data: str | None) -> dict[str, Any]:
    from kadapter.comparison import compare, subject_of
    from kadapter.evaluation import recipe_to_repeat

    recipe = recipe_to_repeat(run, data)
    first = recipe.training.seed
    chosen = range(first, first + seeds)
    return compare(recipe, output or run / "controls", chosen, splits=splits, done={(subject_of(recipe), first): run})
