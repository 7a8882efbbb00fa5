"""`kadapter data align`: sentences of a corpus that name two entities which a graph relates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.data.printing import OnError, print_provenance
from kadapter.cli.options import Json

Side = Annotated[Path | None, typer.Option(help="Side file of the graph.")]


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="align")(align)


def align(
    graph: Annotated[Path, typer.Argument(help="The graph, in any form that `kadapter data inspect` reads.")],
    text: Annotated[Path, typer.Argument(help="The corpus: a text a line, JSON records, or a folder or zip of these.")],
    output: Annotated[Path, typer.Option(help="Folder for the rows and provenance.json.")],
    labels: Side = None,
    aliases: Side = None,
    field: Annotated[str, typer.Option(help="Of JSON records: the one with the text.")] = "text",
    whole: Annotated[bool, typer.Option("--whole", help="Each text is one sentence; do not split it.")] = False,
    case: Annotated[str, typer.Option(help="Of names: smart, exact or any.")] = "smart",
    ambiguous: Annotated[str, typer.Option(help="Names of several entities: label, skip or all.")] = "label",
    shortest: Annotated[int, typer.Option(help="How many characters a name must have.")] = 2,
    most: Annotated[int, typer.Option(help="Leave out sentences that name more entities.")] = 40,
    negatives: Annotated[float, typer.Option(help="How many no_relation rows for each related one.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the draw of no_relation rows.")] = 0,
    form: Annotated[str, typer.Option(help="Of the rows: jsonl or arrow.")] = "jsonl",
    licence: Annotated[str, typer.Option(help="Of the text, for provenance.json.")] = "",
    on_error: OnError = "raise",
    json: Json = False,
) -> None:
    """Make relation sentences of a corpus and a graph (distant supervision, as T-REx was made)."""
    from knowledge_data.alignment import AlignOptions, Names, build_alignment, entities_of
    from knowledge_data.graphs import read_graph

    options = AlignOptions(whole, most, negatives, seed)
    read = read_graph(graph, labels=labels, aliases=aliases, on_error=on_error)
    names = Names.of(entities_of(read), case, ambiguous, shortest)  # type: ignore[arg-type]
    told = build_alignment(
        read, names, text, output, options, field=field, form=form, on_error=on_error, licence=licence
    )  # type: ignore[arg-type]
    print_provenance(output, told, json)
