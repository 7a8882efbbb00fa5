"""`kadapter data trex`: from the published dump of T-REx to relation sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kadapter.cli.data.printing import print_provenance
from kadapter.cli.data.reading import OnError
from kadapter.cli.options import Json


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command(name="trex")(trex)


def trex(
    dump: Annotated[Path, typer.Argument(help="The dump: a folder of JSON files, a zip of them, or one; plain or gz.")],
    output: Annotated[Path, typer.Option(help="Folder for trex.jsonl, relations.json and provenance.json.")],
    threshold: Annotated[int, typer.Option(help="How many examples (or pairs) a relation must have.")] = 50,
    count: Annotated[str, typer.Option(help="What the threshold counts: examples, or pairs of entities.")] = "examples",
    exclude: Annotated[list[str] | None, typer.Option(help="Leave out a relation: P31; may be repeated.")] = None,
    aligner: Annotated[list[str] | None, typer.Option(help="Take only its triples; may be repeated.")] = None,
    on_error: OnError = "raise",
    json: Json = False,
) -> None:
    """Make the training data of K-Adapter's factual adapter of the published T-REx dump, in constant memory."""
    from knowledge_data.trex import TrexOptions, build_trex

    options = TrexOptions(threshold, count, tuple(exclude or ()), tuple(aligner or ()), on_error)
    print_provenance(output, build_trex(dump, output, options), json)
