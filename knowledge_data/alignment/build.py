"""From a corpus and a graph to a folder of rows, whole or not at all, with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from knowledge_data.alignment.align import Aligner, AlignOptions
from knowledge_data.alignment.names import Names
from knowledge_data.alignment.texts import stream_texts
from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import KnowledgeGraph
from knowledge_data.provenance import PROVENANCE, provenance, write_json
from knowledge_data.rows import RelationRow
from knowledge_data.streams import complaints
from knowledge_data.whole import written_whole
from knowledge_data.writing import write_rows


def build_alignment(
    graph: KnowledgeGraph,
    names: Names,
    text: str | Path,
    output: str | Path,
    options: AlignOptions | None = None,
    *,
    field: str = "text",
    form: str = "jsonl",
    on_error: str = "raise",
    licence: str = "",
    inputs: Mapping[str, str | Path] | None = None,
) -> dict[str, Any]:
    """Align a corpus with a graph; beside graph and names, memory does not grow with the corpus.

    The folder holds the rows, in the form `jsonl` or `arrow`, which `read_rows` reads, and `provenance.json`. It
    appears when it is whole. A sentence that stands twice in the corpus gives its rows twice.

    Args:
        graph: what is known.
        names: what its entities are called: `Names.of(entities_of(graph))`.
        text: as for `stream_texts`.
        output: a folder that is not there yet.
        options: how sentences are taken.
        field: of JSON records, the one with the text.
        form: of the rows.
        on_error: `raise`, or `skip` what cannot be read and count it.
        licence: of the text.
        inputs: role -> file that graph and names were read from, to be told with its hash.

    Returns:
        What `provenance.json` says.

    Raises:
        DataError: the corpus cannot be read, gives no row, or the folder is there already or cannot be written.
    """
    options = options or AlignOptions()
    aligner = Aligner(graph, names, options)
    complain = complaints(on_error, aligner.report.skipped)
    with written_whole(output) as folder:
        folder.mkdir()
        rows: Iterator[RelationRow] = aligner.rows(stream_texts(text, field, complain), complain)
        written = write_rows(RelationRow, rows, folder, form)
        if not written.rows:
            fix = f"see why sentences gave none: {dict(aligner.report.skipped)}"
            raise DataError("no sentence names two entities that the graph relates", fix, where=str(text))
        told = provenance(
            str(text),
            licence,
            {"rows": written.rows},
            aligner.report.skipped,
            written.content_hash,
            asdict(options) | {"field": field, "form": form, "on_error": on_error},
            inputs={**(inputs or {}), "text": text},
            seed=options.seed,
            graph={"source": graph.source, "licence": graph.licence or "not said", **graph.report.as_dict()},
            names={"names": len(names), "ambiguous": names.ambiguous, "skipped": dict(names.skipped)},
            found={key: value for key, value in aligner.report.as_dict().items() if key != "skipped"},
        )
        write_json(folder / PROVENANCE, told)
    return told
