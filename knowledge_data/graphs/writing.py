"""Writing graphs: triples as a table, GraphML, node-link JSON. What is written appears whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from knowledge_data.errors import DataError
from knowledge_data.graphs.columns import ROLES
from knowledge_data.graphs.graph import KnowledgeGraph, Triple
from knowledge_data.graphs.graphml import write_graphml
from knowledge_data.graphs.growing import said
from knowledge_data.graphs.node_link import node_link
from knowledge_data.whole import written_whole


def write_graph(graph: KnowledgeGraph, path: str | Path) -> None:
    """Write a graph in the format that the name says, so that `read_graph` gives it back.

    `.tsv` holds the triples, below a line of names, and nothing of what is known of entities; see `write_entities`.
    `.graphml` and `.json` (node-link) hold everything.

    Raises:
        DataError: there is something at `path` already, the format is none of these or cannot hold a name.
    """
    write = writer_for(path)
    with written_whole(path) as aside:
        write(graph, aside)


def writer_for(path: str | Path) -> Callable[[KnowledgeGraph, Path], None]:
    """Give what writes a graph in the format that the name says.

    Raises:
        DataError: it says none of the formats that are written.
    """
    if Path(path).suffix in _WRITERS:
        return _WRITERS[Path(path).suffix]
    problem = f"has a name that ends in none of {', '.join(_WRITERS)}"
    raise DataError(problem, "rename it", where=str(path))


def write_triples(triples: Iterable[Triple], path: str | Path) -> None:
    """Write triples as a table, one by one, below a line of names.

    Raises:
        DataError: as `write_graph`.
    """
    with written_whole(path) as aside:
        _write_table(triples, aside)


def write_entities(graph: KnowledgeGraph, path: str | Path) -> None:
    """Write what is known of each entity as JSON lines, for `read_entities(entities=path)`.

    Raises:
        DataError: there is something at `path` already.
    """
    with written_whole(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        for node in graph.network:
            known = said(graph.entity(node))
            if known:
                file.write(json.dumps({"id": node, **known}, ensure_ascii=False) + "\n")


def _write_table(triples: Iterable[Triple], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        # Without it, a triple (head, relation, tail) in the first line would be taken for names.
        file.write("\t".join(ROLES) + "\n")
        for triple in triples:
            file.write("\t".join(map(cell, triple)) + "\n")


def cell(text: str) -> str:
    """Give a text that can stand in a table.

    Raises:
        DataError: it cannot.
    """
    if text == text.strip() and text and not any(letter in text for letter in "\t\n\r\0"):
        return text
    problem = f"{text!r} cannot stand in a table: it is empty, has white space around it, or holds a tab or a line end"
    raise DataError(problem, "write node-link JSON (.json)")


def _write_tsv(graph: KnowledgeGraph, path: Path) -> None:
    _write_table(graph.triples(), path)


def _write_json(graph: KnowledgeGraph, path: Path) -> None:
    path.write_text(json.dumps(node_link(graph), ensure_ascii=False) + "\n", encoding="utf-8")


_WRITERS: Mapping[str, Callable[[KnowledgeGraph, Path], None]] = {
    ".tsv": _write_tsv,
    ".graphml": write_graphml,
    ".json": _write_json,
}
