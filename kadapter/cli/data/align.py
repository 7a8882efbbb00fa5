"""`kadapter data align`: sentences of a corpus that name two entities which a graph relates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.data.printing import print_provenance
from kadapter.cli.data.reading import Graph, OnError, Published, Set, inputs, read
from kadapter.cli.options import Json


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="align")(align)


def align(
    graph: Graph,
    text: Annotated[Path, typer.Argument(help="The corpus: a text a line, JSON records, or a folder or zip of these.")],
    output: Annotated[Path, typer.Option(help="Folder for the rows and provenance.json.")],
    published: Published = None,
    field: Annotated[str, typer.Option(help="Of JSON records: the one with the text.")] = "text",
    whole: Annotated[bool, typer.Option("--whole", help="Each text is one sentence; do not split it.")] = False,
    case: Annotated[str, typer.Option(help="Of names: smart, exact or any.")] = "smart",
    ambiguous: Annotated[str, typer.Option(help="Names of several entities: label, skip or all.")] = "label",
    shortest: Annotated[int, typer.Option(help="How many characters a name must have.")] = 2,
    common: Annotated[bool, typer.Option("--common", help="Common English words may be names, too.")] = False,
    most: Annotated[int, typer.Option(help="Leave out sentences that name more entities.")] = 40,
    negatives: Annotated[float, typer.Option(help="How many no_relation rows for each related one.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the draw of no_relation rows.")] = 0,
    form: Annotated[str, typer.Option(help="Of the rows: jsonl or arrow.")] = "jsonl",
    licence: Annotated[str, typer.Option(help="Of the text, for provenance.json.")] = "",
    on_error: OnError = "raise",
    set_: Set = None,
    json: Json = False,
) -> None:
    """Make relation sentences of a corpus and a graph (distant supervision, as T-REx was made)."""
    from knowledge_data.alignment import COMMON_WORDS, AlignOptions, Names, build_alignment, entities_of

    options = AlignOptions(whole, most, negatives, seed)
    known = read(graph, published, on_error, set_)
    names = Names.of(entities_of(known), case, ambiguous, shortest, () if common else COMMON_WORDS)
    told = build_alignment(
        known, names, text, output, options,
        field=field, form=form, on_error=on_error, licence=licence, inputs=inputs(graph, set_),
    )  # fmt: skip
    print_provenance(output, told, json)
