"""`kadapter data select`: a part of a graph, as triples that every other command takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.data.reading import Graph, OnError, Published, Set, inputs, read
from kadapter.cli.options import Json, print_facts, print_json

_List = list[str] | None


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="select")(select)


def select(
    graph: Graph,
    output: Annotated[Path, typer.Option(help="File to write: .tsv (triples), .json or .graphml (with all facts).")],
    relation: Annotated[_List, typer.Option(help="Keep this relation; may be repeated.")] = None,
    without: Annotated[_List, typer.Option(help="Drop this relation; may be repeated.")] = None,
    type_: Annotated[_List, typer.Option("--type", help="Keep triples between entities of this type.")] = None,
    ends: Annotated[str, typer.Option(help="Which ends must have it: both, either, subject, object.")] = "both",
    subclass_of: Annotated[str | None, typer.Option(help="Relation between types: subtypes count, too.")] = None,
    around: Annotated[_List, typer.Option(help="Keep what is near this entity; may be repeated.")] = None,
    hops: Annotated[int, typer.Option(help="How near.")] = 1,
    min_degree: Annotated[int | None, typer.Option(help="Keep entities with at least so many edges.")] = None,
    max_degree: Annotated[int | None, typer.Option(help="Keep entities with at most so many edges.")] = None,
    component: Annotated[int | None, typer.Option(help="Keep the largest component: 1; the next: 2 …")] = None,
    component_of: Annotated[str | None, typer.Option(help="Keep the component of this entity.")] = None,
    published: Published = None,
    on_error: OnError = "raise",
    set_: Set = None,
    json: Json = False,
) -> None:
    """Keep a part of a graph. Wishes narrow one another, in the order in which they stand here."""
    from knowledge_data import Selection, write_noted

    wishes = Selection(
        tuple(relation or ()), tuple(without or ()), tuple(type_ or ()), ends, subclass_of, tuple(around or ()), hops,
        min_degree, max_degree, component, component_of,
    )  # fmt: skip
    chosen = wishes.of(read(graph, published, on_error, set_))
    asked = {name: value for name, value in asdict(wishes).items() if value not in (None, ())}
    note = write_noted(chosen, output, asked, inputs(graph, set_))
    if json:
        print_json(note)
        return
    dropped = "; ".join(f"{count:,} {reason}" for reason, count in note["dropped"].items())
    print_facts(
        f"Selected: {output}",
        {
            "triples": f"{note['kept']['triples']:,}",
            "entities": f"{note['entities']:,}",
            "left out": dropped or "nothing",
        },
    )
