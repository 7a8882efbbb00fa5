"""Parts of graphs as files, each with a note beside it that says where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge_data.graphs.graph import KnowledgeGraph
from knowledge_data.graphs.partitioning import Partition
from knowledge_data.graphs.writing import cell, writer_for
from knowledge_data.hashing import file_hash
from knowledge_data.provenance import provenance, write_json
from knowledge_data.whole import written_whole

HOMES = "homes.tsv"


def note_path(path: str | Path) -> Path:
    """Give where the note about a file lies: `part.provenance.json` beside `part.tsv`."""
    return Path(path).with_suffix(".provenance.json")


def write_noted(
    graph: KnowledgeGraph,
    path: str | Path,
    options: Mapping[str, Any],
    inputs: Mapping[str, str | Path] | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Write a graph as `write_graph` does, and beside it a note with its provenance, which is given, too.

    Args:
        graph: whose report says what was kept, and left out for which reason.
        path: of the file.
        options: what was asked for.
        inputs: role -> file or folder that the graph was read from.
        seed: of what was drawn; `None` when nothing was.

    Raises:
        DataError: something lies at `path` already, or it cannot be written.
    """
    path, beside = Path(path), note_path(path)
    write = writer_for(path)
    with written_whole(path) as aside:
        write(graph, aside)
        note = _note(graph, options, inputs or {}, seed, file_hash(aside))
        # A process that was killed between the two may have left a note about nothing.
        beside.unlink(missing_ok=True)
        with written_whole(beside) as unfinished:
            write_json(unfinished, note)
    return note


def write_partition(
    partition: Partition,
    folder: str | Path,
    options: Mapping[str, Any],
    inputs: Mapping[str, str | Path] | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Write `part-1.tsv`, `part-2.tsv` … into a new folder, each with its note, and `homes.tsv`: entity, part.

    The folder appears when it is whole. The notes are given, too.

    Raises:
        DataError: something lies at `folder` already, or it cannot be written.
    """
    with written_whole(folder) as aside:
        aside.mkdir()
        notes = [
            write_noted(part, aside / f"part-{number}.tsv", {**options, "part": number}, inputs, seed)
            for number, part in enumerate(partition.parts, start=1)
        ]
        homes = (f"{cell(name)}\t{part + 1}\n" for name, part in partition.home.items())
        (aside / HOMES).write_text("".join(homes), encoding="utf-8")
    return notes


def _note(
    graph: KnowledgeGraph,
    options: Mapping[str, Any],
    inputs: Mapping[str, str | Path],
    seed: int | None,
    content_hash: str,
) -> dict[str, Any]:
    isolated = sum(degree == 0 for _, degree in graph.network.degree())
    return provenance(
        graph.source,
        graph.licence,
        {"triples": graph.report.kept},
        graph.report.skipped,
        content_hash,
        options,
        inputs,
        seed=seed,
        entities=graph.network.number_of_nodes(),
        entities_without_triples=isolated,
    )
