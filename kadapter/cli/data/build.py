"""`kadapter data build`: a graph of any size becomes a data set in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kadapter.cli.options import Json, parse_assignments, print_facts, print_json


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="build")(build)


def build(
    graph: Annotated[Path, typer.Argument(help="File or folder of triples.")],
    output: Annotated[Path, typer.Option(help="Folder to build; appears when it is whole.")],
    templates: Annotated[str | None, typer.Option(help="YAML file: relation -> phrasings.")] = None,
    objective: Annotated[str, typer.Option(help="relation, cloze, choice, description or typing.")] = "relation",
    split: Annotated[str | None, typer.Option(help="What is held out: pair, entity or relation.")] = None,
    negatives: Annotated[float, typer.Option(help="False rows for each true one; 0 keeps memory constant.")] = 1.0,
    labels: Annotated[str | None, typer.Option(help="Side file with the labels of entities.")] = None,
    on_error: Annotated[str, typer.Option("--on-error", help="raise or skip.")] = "raise",
    seed: Annotated[int, typer.Option(help="Of the split, the false facts and the phrasings.")] = 0,
    num_proc: Annotated[int, typer.Option("--num-proc", help="Processes that say triples.")] = 1,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any other option: phrasings=4, types=types.tsv, licence=CC0 …")
    ] = None,
    json: Json = False,
) -> None:
    """Build a data set of a graph: sentences with spans, split without leaks, with its provenance."""
    from kadapter.config import make_config
    from knowledge_data import GraphOptions
    from knowledge_data import build as make

    said: dict[str, Any] = {
        "templates": templates, "objective": objective, "split": split, "negatives": negatives, "labels": labels,
        "on_error": on_error, **parse_assignments(set_ or ()),
    }  # fmt: skip
    options = make_config(GraphOptions, said, owner="graph")
    provenance = make(graph, output, options, seed, num_proc, told=lambda line: typer.echo(line, err=True))
    if json:
        print_json(provenance)
        return
    print_facts(f"Built: {output}", _facts(provenance))
    typer.echo(f"Train on it: kadapter pretrain NAME --backbone minilm --source built --data {output} --output …")


def _facts(provenance: dict[str, Any]) -> dict[str, str]:
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in provenance["dropped"].items())
    return {
        "rows": ", ".join(f"{split} {count:,}" for split, count in provenance["kept"].items()),
        "left out": dropped or "nothing",
        "licence": provenance["licence"],
        "content hash": provenance["content_hash"],
    }
