"""`kadapter data partition`: a graph in balanced parts, so that an adapter can learn each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.data.reading import Graph, OnError, Published, Set, inputs, read
from kadapter.cli.options import Json, print_json, print_table


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="partition")(partition)


def partition(
    graph: Graph,
    output: Annotated[Path, typer.Option(help="Folder of part-1.tsv, part-2.tsv …; new.")],
    parts: Annotated[int, typer.Option(help="How many.")] = 2,
    method: Annotated[str, typer.Option(help="communities, or metis (needs pymetis).")] = "communities",
    slack: Annotated[float, typer.Option(help="By how much a part may be larger than the mean.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Of the method.")] = 0,
    published: Published = None,
    on_error: OnError = "raise",
    set_: Set = None,
    json: Json = False,
) -> None:
    """Cut a graph into parts with about as many triples each, and few that lead from one to another."""
    from knowledge_data import partition, write_partition

    found = partition(read(graph, published, on_error, set_), parts, seed=seed, method=method, slack=slack)
    asked = {"parts": parts, "method": method, "slack": slack}
    notes = write_partition(found, output, asked, inputs(graph, set_), seed)
    if json:
        print_json({"crossing": found.crossing, "parts": notes})
        return
    rows = [
        (f"part-{n}.tsv", f"{note['kept']['triples']:,}", f"{note['entities']:,}")
        for n, note in enumerate(notes, start=1)
    ]
    share = found.crossing / sum(note["kept"]["triples"] for note in notes)
    title = f"{output}: {found.crossing:,} triples ({100 * share:.1f} %) lead to an entity at home in another part"
    print_table(title, ("part", "triples", "entities"), rows)
