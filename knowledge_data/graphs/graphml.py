"""Graphs as GraphML, the format that graph editors exchange."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx

from knowledge_data.errors import DataError
from knowledge_data.graphs.facts import facts_of_fields
from knowledge_data.graphs.graph import KnowledgeGraph, RelationFacts
from knowledge_data.graphs.growing import GrowingGraph, said
from knowledge_data.graphs.jsonlines import BAD_FIELDS
from knowledge_data.graphs.node_link import RELATION_FIELDS, relations_of
from knowledge_data.graphs.scan import Found, Scan
from knowledge_data.graphs.triples import usable
from knowledge_data.records import Record

_NO_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold, and the carriage return, which it does not keep."""


def read_graphml(scan: Scan, growing: GrowingGraph) -> None:
    """Add all that a file holds.

    The relation of an edge is its attribute `relation`, `predicate`, `label`, `type` or `name`, or its id. An edge
    of an undirected graph starts at that of its ends which stands first among the nodes.

    Raises:
        DataError: it is no GraphML; or what the scan complains of.
    """
    network = _parsed(scan)
    nodes = replace(scan, unit="node")
    for number, (node, data) in enumerate(network.nodes(data=True), start=1):
        name = str(node).strip()
        try:
            facts = facts_of_fields(Record(_with_lists(data), nodes.at(number)))
        except DataError as error:
            scan.complain(BAD_FIELDS, error)
            continue
        if name:
            growing.network.add_node(name)
            growing.know({name: facts})
    edges = replace(scan, unit="edge")
    for split, found in _edges(network):
        growing.add(usable([found], edges), split)
    growing.relate(_relations(network, scan.member.name))


def write_graphml(graph: KnowledgeGraph, path: Path) -> None:
    """Write a graph. Lists of aliases and types, and what is known of relations, stand there as JSON.

    Raises:
        DataError: an id or a text holds what XML cannot hold.
    """
    network = nx.MultiDiGraph(source=graph.source, licence=graph.licence)
    network.graph["relations"] = _json({name: said(facts) for name, facts in graph.relations.items()})
    for node in graph.network:
        network.add_node(node, **_flat(said(graph.entity(node))))
    for number, (subject, object_, relation, data) in enumerate(graph.network.edges(keys=True, data=True)):
        network.add_edge(subject, object_, key=f"e{number}", relation=relation, **data)
    _check(network)
    nx.write_graphml_xml(network, path)


def _parsed(scan: Scan) -> nx.MultiDiGraph:
    with scan.member.opened() as file:
        content = file.read()
    try:
        # Whatever the library stumbles over in a file that it does not check, the file is at fault.
        return nx.read_graphml(io.BytesIO(content), node_type=_identifier, force_multigraph=True)
    except Exception as error:
        problem = f"is not GraphML ({' '.join(str(error).split())[:200] or type(error).__name__})"
        raise DataError(problem, "export it again", where=scan.member.name) from error


def _identifier(text: str | None) -> str:
    """The id of a node, which the library would otherwise call None where there is none."""
    if text is None:
        raise ValueError("a node has no id, or an edge lacks an end")
    return text


def _edges(network: nx.MultiDiGraph) -> Iterator[tuple[str, Found]]:
    for number, (subject, object_, key, data) in enumerate(network.edges(keys=True, data=True), start=1):
        relation = next((data[field] for field in RELATION_FIELDS if field in data), key)
        yield str(data.get("split", "")), (number, str(subject), str(relation), str(object_))


def _with_lists(data: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes as texts; those that hold a JSON list as lists."""
    return {name: _list(value) if isinstance(value, str) else str(value) for name, value in data.items()}


def _list(text: str) -> str | list[Any]:
    if not text.startswith("["):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, list) and all(isinstance(part, str) for part in value) else text


def _flat(facts: Mapping[str, str | tuple[str, ...]]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else _json(value) for name, value in facts.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _relations(network: nx.MultiDiGraph, name: str) -> dict[str, RelationFacts]:
    try:
        known = json.loads(str(network.graph.get("relations", "")))
        return relations_of(Record({"relations": known}, name))
    except (ValueError, RecursionError):
        # Somebody else's attribute of that name.
        return {}


def _check(network: nx.MultiDiGraph) -> None:
    for where, texts in _texts(network):
        bad = next(filter(None, map(_NO_XML.search, texts)), None)
        if bad:
            problem = f"{where} holds {bad[0]!r}, which GraphML cannot hold"
            raise DataError(problem, "write node-link JSON (.json), which can")


def _texts(network: nx.MultiDiGraph) -> Iterator[tuple[str, list[str]]]:
    yield "what is known of the graph", list(network.graph.values())
    for node, data in network.nodes(data=True):
        yield f"entity {node!r}", [node, *data.values()]
    for subject, object_, data in network.edges(data=True):
        yield f"an edge between {subject!r} and {object_!r}", list(data.values())
