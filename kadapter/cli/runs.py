"""What the commands that train share: their options, the recipe that these make, and what is said of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kadapter.cli.options import print_facts, print_json
from kadapter.processes import is_first

if TYPE_CHECKING:
    from kadapter.training import Run

Output = Annotated[Path, typer.Option(help="Folder of the run; new or empty.")]
BackboneName = Annotated[str | None, typer.Option("--backbone", help="Alias, folder or hub id.")]
Source = Annotated[str | None, typer.Option(help="How the data is written; see `kadapter plugins`.")]
Data = Annotated[Path | None, typer.Option(help="Where the data lies.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training split.")]
Seed = Annotated[int | None, typer.Option(help="Of weights, order and dropout.")]
Store = Annotated[str | None, typer.Option(help="Where frozen states are kept: a folder, auto or off. Default: auto.")]
StoreLimit = Annotated[str | None, typer.Option(help="The most that the store may take. Default: 20GB.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --output.")]


def given(
    backbone: str | None,
    source: str | None,
    data: Path | None,
    epochs: int | None,
    seed: int | None,
    store: str | None,
    store_limit: str | None,
) -> dict[str, Any]:
    """Give those of the options that were said, under their names in a recipe."""
    named = {
        "backbone": backbone,
        "source.name": source,
        "source.path": str(data) if data else None,
        "training.epochs": epochs,
        "training.seed": seed,
        "training.store": store,
        "training.store_limit": store_limit,
    }
    return {name: value for name, value in named.items() if value is not None}


def report(run: Run, json: bool) -> None:
    """Print what came out of a run, once for all its processes."""
    if not is_first():
        return
    if json:
        print_json(run.result)
        return
    summarise(run, f"Trained: {run.folder}")
    typer.echo(f"Score it on what it has not seen: kadapter evaluate {run.folder}")


def summarise(run: Run, title: str) -> None:
    """Print the facts of a run for people."""
    print_facts(title, _facts(run))


def _facts(run: Run) -> dict[str, Any]:
    result = run.result
    share = result["trained_parameters"] / result["backbone_parameters"]
    return {
        "examples": ", ".join(f"{name} {s['examples']:,}" for name, s in result["data"]["splits"].items()),
        "left out": _left_out(result["data"]),
        "trained parameters": f"{result['trained_parameters']:,} ({100 * share:.3g} % of the backbone's)",
        "time": f"{result['seconds']:.0f} s for {result['steps']:,} steps",
        **{f"validation {metric}": f"{value:.3f}" for metric, value in result["validation"].items()},
    }


def _left_out(data: Mapping[str, Any]) -> str:
    """Say what the source and the task left out or lost, by reason."""
    splits = data["splits"].values()
    parts = [Counter(part) for part in (data["skipped"], *(s[key] for s in splits for key in ("skipped", "lost")))]
    return ", ".join(f"{number:,} {reason}" for reason, number in sum(parts, Counter()).items()) or "nothing"
