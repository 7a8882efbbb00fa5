"""A whole graph in memory, from any format, with what side files know of its entities and relations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.files import find
from knowledge_data.graphs.columns import check_columns
from knowledge_data.graphs.facts import Paths, read_entities, read_relations
from knowledge_data.graphs.folders import FORMATS, format_of, split_files
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph
from knowledge_data.graphs.graphml import read_graphml
from knowledge_data.graphs.growing import GrowingGraph
from knowledge_data.graphs.node_link import read_node_link
from knowledge_data.graphs.rdf import read_rdf
from knowledge_data.graphs.room import check_room
from knowledge_data.graphs.scan import Scan
from knowledge_data.graphs.triples import SCANS, nothing_left, usable
from knowledge_data.members import Member
from knowledge_data.streams import complaints

_WHOLE = {"json": read_node_link, "graphml": read_graphml}


def read_graph(
    path: str | Path,
    *,
    format: str | None = None,
    columns: Sequence[str] | None = None,
    entities: Paths | Mapping[str, EntityFacts] = None,
    labels: Paths = None,
    aliases: Paths = None,
    types: Paths = None,
    descriptions: Paths = None,
    relations: Paths = None,
    on_error: str = "raise",
    source: str = "",
    licence: str = "",
) -> KnowledgeGraph:
    """Read a graph into memory, each triple once.

    Edges of a folder's files carry the split that they were published in, `train`, `validation` or `test`, as attribute
    `split`. Duplicates and self-loops are counted in the graph's report, as is everything else that becomes no edge.

    Args:
        path: a file, plain or gzipped; or a folder with train, valid and test files.
        format: what `iter_triples` takes, or `ttl`, `graphml` or `json` (node-link); by default, what the name says.
        columns: as for `iter_triples`.
        entities: files, or a mapping, from which all is taken that they say of entities.
        labels: side files, as for `read_entities`.
        aliases: the same.
        types: the same.
        descriptions: the same.
        relations: side files about relations, as for `read_relations`.
        on_error: `raise` at what cannot be read, or `skip` it and count it in the report.
        source: where the graph comes from; by default the path.
        licence: under which licence it stands.

    Raises:
        DataError: something is not there, not what it should be, or no triple is left.
    """
    check_columns(columns)
    files = _files(Path(path), format)
    check_room([file for _, file, _ in files])
    growing = GrowingGraph()
    complain = complaints(on_error, growing.skipped)
    for split, file, form in files:
        _add(Scan(Member.of(file), complain, growing.skipped, columns), form, growing, split)
    if not growing.network.number_of_edges():
        raise nothing_left(growing.skipped, str(path))
    read = partial(read_entities, on_error=on_error, report=growing.skipped)
    growing.know(entities if isinstance(entities, Mapping) else read(entities=entities))
    growing.know(read(labels=labels, aliases=aliases, types=types, descriptions=descriptions))
    growing.relate(read_relations(relations, on_error=on_error, report=growing.skipped))
    return growing.graph(source or str(path), licence)


def _files(path: Path, format: str | None) -> list[tuple[str, Path, str]]:
    """The files to read, each with its split and its format."""
    if format is not None and format not in FORMATS.values():
        known = ", ".join(dict.fromkeys(FORMATS.values()))
        raise DataError(f"format={format!r} is unknown", f"choose {known}")
    files = split_files(path) if path.is_dir() else {"": find(path)}
    return [(split, file, format or format_of(file)) for split, file in files.items()]


def _add(scan: Scan, form: str, growing: GrowingGraph, split: str) -> None:
    if form in ("nt", "ttl"):
        read_rdf(scan, form, growing, split)
    elif form in _WHOLE:
        _WHOLE[form](scan, growing)
    else:
        growing.add(usable(SCANS[form](scan), scan), split)
