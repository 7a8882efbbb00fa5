"""`kadapter sweep`: what an adapter is worth without its lowest layers, and what that saves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kadapter.cli.options import Json, Set, parse_assignments, print_json, print_table
from kadapter.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="sweep")(sweep)


def sweep(
    what: Annotated[Path, typer.Argument(help="Recipe file (YAML) of an adapter that drops layers; or a run folder.")],
    output: Annotated[Path, typer.Option(help="Where runs and results go; what is finished there is not done again.")],
    data: Annotated[str | None, typer.Option(help="Where the data lies.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many, from the recipe's own on. For a recipe. Default: 3.")
    ] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(help="ordinary, robust or specialised; may be repeated. Default: all. For a recipe."),
    ] = None,
    split: Annotated[str, typer.Option(help="Split to score.")] = "test",
    wrap: Annotated[
        str | None, typer.Option(help="Type of adapter to put around one that drops no layers. For a run.")
    ] = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Score and time an adapter with its lowest 0, 1, 2 … layers dropped."""
    is_recipe = what.suffix in (".yaml", ".yml")
    _check(is_recipe, seeds, training, wrap, set_)
    from kadapter.sweeping import cells, sweep_run

    of_recipe = (what, output, data, seeds, training, split, set_)
    report = _of_recipe(*of_recipe) if is_recipe else sweep_run(what, output, split, data, wrap)
    print_json(report) if json else print_table(f"{what.stem}, scores in percent", *cells(report))


def _check(
    is_recipe: bool, seeds: int | None, training: list[str] | None, wrap: str | None, set_: list[str] | None
) -> None:
    if is_recipe and wrap is not None:
        raise ConfigError("--wrap goes with a run folder; in a recipe write `adapter: {type: …, inner: {…}}`")
    if not is_recipe and (training or set_ or seeds is not None):
        raise ConfigError("--seeds, --training and --set go with a recipe (.yaml); a run is trained already")


def _of_recipe(
    what: Path,
    output: Path,
    data: str | None,
    seeds: int | None,
    training: list[str] | None,
    split: str,
    set_: list[str] | None,
) -> dict[str, Any]:
    from kadapter.recipe import Recipe
    from kadapter.sweeping import sweep

    options = {"source.path": data} if data else {}
    recipe = Recipe.load(what).with_options({**options, **parse_assignments(set_ or ())})
    first = recipe.training.seed
    chosen = range(first, first + (3 if seeds is None else seeds))
    kinds: Any = training or ["ordinary", "robust", "specialised"]
    return sweep(recipe, output, chosen, kinds, split)
