"""Graphs as node-link JSON, as networkx writes them: nodes with ids, edges with a source, a target and a relation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from knowledge_data.errors import DataError
from knowledge_data.files import read_json
from knowledge_data.graphs.facts import facts_of_fields
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph, RelationFacts
from knowledge_data.graphs.growing import GrowingGraph, said
from knowledge_data.graphs.jsonlines import BAD_FIELDS
from knowledge_data.graphs.scan import Found, Scan, bad_text
from knowledge_data.graphs.triples import usable
from knowledge_data.records import Record
from knowledge_data.streams import NO_RECORD, NO_TEXT

RELATION_FIELDS = ("relation", "predicate", "label", "type", "name", "key")
"""Where an edge says its relation: in the first of these that it has."""


def read_node_link(scan: Scan, growing: GrowingGraph) -> None:
    """Add all that a file holds.

    Raises:
        DataError: it is no node-link JSON; or what the scan complains of.
    """
    whole = Record.of(read_json(scan.member.name), scan.member.name)
    _add_nodes(_records(whole, "nodes", replace(scan, unit="node")), scan, growing)
    edges = replace(scan, unit="edge")
    field = "links" if "links" in whole.values and "edges" not in whole.values else "edges"
    for split, found in _edges(_records(whole, field, edges), edges):
        growing.add(usable([found], edges), split)
    growing.relate(relations_of(Record(whole.optional("graph", dict, {}), whole.where, "graph.")))


def node_link(graph: KnowledgeGraph) -> dict[str, Any]:
    """Give a graph as a value for JSON; `networkx.node_link_graph(value, edges="edges")` takes it."""
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            "source": graph.source,
            "licence": graph.licence,
            "relations": {name: said(facts) for name, facts in graph.relations.items()},
        },
        "nodes": [{"id": node, **said(graph.entity(node))} for node in graph.network],
        "edges": [
            {"source": subject, "target": object_, "key": relation, **data}
            for subject, object_, relation, data in graph.network.edges(keys=True, data=True)
        ],
    }


def _records(whole: Record, field: str, scan: Scan) -> Iterator[Record]:
    for number, value in enumerate(whole.get(field, list), start=1):
        try:
            yield Record.of(value, scan.at(number))
        except DataError as error:
            scan.complain(NO_RECORD, error)


def _add_nodes(records: Iterator[Record], scan: Scan, growing: GrowingGraph) -> None:
    known: dict[str, EntityFacts] = {}
    for record in records:
        try:
            name, facts = text_of(record, "id"), facts_of_fields(record)
        except DataError as error:
            scan.complain(BAD_FIELDS, error)
            continue
        texts = (name, facts.label, facts.description, *facts.aliases, *facts.types)
        if problem := bad_text(*texts) or ("" if name else "has an empty id"):
            scan.complain(NO_TEXT, DataError(problem, "correct the text", where=record.where))
        else:
            known[name] = facts
    growing.network.add_nodes_from(known)
    growing.know(known)


def _edges(records: Iterator[Record], scan: Scan) -> Iterator[tuple[str, Found]]:
    for number, record in enumerate(records, start=1):
        try:
            field = next((field for field in RELATION_FIELDS if isinstance(record.values.get(field), str)), "relation")
            texts = text_of(record, "source"), text_of(record, field), text_of(record, "target")
            split = record.optional("split", str, "")
        except DataError as error:
            scan.complain(BAD_FIELDS, error)
            continue
        if problem := bad_text(*texts, split):
            scan.complain(NO_TEXT, DataError(problem, "correct the text", where=record.where))
        else:
            yield split, (number, *texts)


def text_of(record: Record, field: str) -> str:
    """Give the text of a field, where a number counts as one.

    Raises:
        DataError: it is missing or of another kind.
    """
    value = record.values.get(field)
    return str(value) if type(value) is int else record.get(field, str).strip()


def relations_of(about: Record) -> dict[str, RelationFacts]:
    """Give what the field `relations` of a record says of them.

    Raises:
        DataError: it holds anything but texts.
    """
    known = about.inside(about.optional("relations", dict, {}), "relations")
    facts = {}
    for name in known.values:
        told = known.inside(known.get(name, dict), name)
        facts[name] = RelationFacts(told.optional("label", str, ""), told.optional("description", str, ""))
    return facts
