"""`kadapter pretrain`: a recipe, or the name of a kind of knowledge, becomes a trained adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadapter.cli.options import Json, Set, parse_assignments, print_facts, print_json
from kadapter.errors import ConfigError

if TYPE_CHECKING:
    from kadapter.recipe import Recipe
    from kadapter.training import Run


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="pretrain")(pretrain)


def pretrain(
    what: Annotated[str, typer.Argument(help="An installed kind of knowledge, or a recipe file (YAML).")],
    output: Annotated[Path, typer.Option(help="Folder of the run; new or empty.")],
    backbone: Annotated[str | None, typer.Option(help="Alias, folder or hub id.")] = None,
    source: Annotated[str | None, typer.Option(help="How the data is written; see `kadapter plugins`.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the data lies.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and dropout.")] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")] = False,
    json: Json = False,
) -> None:
    """Pretrain a knowledge adapter on a frozen backbone."""
    named = {
        "backbone": backbone,
        "source.name": source,
        "source.path": str(data) if data else None,
        "training.epochs": epochs,
        "training.seed": seed,
    }
    options = {name: value for name, value in named.items() if value is not None}
    recipe = _recipe(what, backbone).with_options({**options, **parse_assignments(set_ or ())})
    from kadapter.training import pretrain

    _report(pretrain(recipe, output, resume), json)


def _recipe(what: str, backbone: str | None) -> Recipe:
    from kadapter.recipe import Recipe

    if what.endswith((".yaml", ".yml")):
        return Recipe.load(what)
    if backbone is None:
        raise ConfigError("which backbone? Say --backbone minilm, or another alias, folder or hub id")
    return Recipe.of(what, backbone)


def _report(run: Run, json: bool) -> None:
    if json:
        print_json(run.result)
        return
    print_facts(f"Trained: {run.folder}", _facts(run))
    typer.echo(f"Score it on unseen pairs: kadapter evaluate {run.folder}")


def _facts(run: Run) -> dict[str, Any]:
    result = run.result
    share = result["trained_parameters"] / result["backbone_parameters"]
    return {
        "examples": ", ".join(f"{name} {s['examples']:,}" for name, s in result["data"]["splits"].items()),
        "left out": _left_out(result["data"]),
        "trained parameters": f"{result['trained_parameters']:,} ({share:.0%} of the backbone's)",
        "time": f"{result['seconds']:.0f} s for {result['steps']:,} steps",
        **{f"validation {metric}": f"{value:.3f}" for metric, value in result["validation"].items()},
    }


def _left_out(data: Mapping[str, Any]) -> str:
    """Say what the source and the task left out, by reason."""
    parts = [Counter(part["skipped"]) for part in (data, *data["splits"].values())]
    return ", ".join(f"{number:,} {reason}" for reason, number in sum(parts, Counter()).items()) or "nothing"
