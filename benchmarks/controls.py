"""Train a recipe beside its controls, over seeds, and keep the table.

python benchmarks/controls.py benchmarks/recipes/factual-fewrel.yaml --data val_wiki.json.gz
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from kadapter.comparison import ROWS, as_markdown, compare
from kadapter.recipe import Recipe

RESULTS = Path(__file__).parent / "results"


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file; its name becomes that of the results.")],
    data: Annotated[str | None, typer.Option(help="Where the source's data lies.")] = None,
    seeds: Annotated[int, typer.Option(help="How many.")] = 3,
    row: Annotated[list[str] | None, typer.Option(help="Only this row; may be repeated.")] = None,
    output: Annotated[Path, typer.Option(help="Folder of the runs; what is finished there is not done again.")] = Path(
        "runs"
    ),
) -> None:
    """Train every row with every seed; write JSON and Markdown under `benchmarks/results/`."""
    said = Recipe.load(recipe)
    said = said.with_options({"source.path": data}) if data else said
    folder = output / recipe.stem
    report = compare(said, folder, range(seeds), row or tuple(ROWS))
    RESULTS.mkdir(exist_ok=True)
    for kind in ("json", "md"):
        shutil.copy(folder / f"comparison.{kind}", RESULTS / f"{recipe.stem}.{kind}")
    typer.echo(as_markdown(report))


if __name__ == "__main__":
    typer.run(main)
