"""What rows are made from: a graph's triples, read again whenever asked for, and what its entities are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_data.graphs import (
    EntityFacts,
    KnowledgeGraph,
    RelationFacts,
    Triple,
    is_streamed,
    iter_triples,
    read_entities,
    read_graph,
    read_relations,
)
from knowledge_data.triples.options import GraphOptions

_UNKNOWN = EntityFacts()


@dataclass(frozen=True)
class Inputs:
    """A graph, and what is known of its entities.

    Attributes:
        triples: gives every triple; those of a large file as a stream.
        entities: id -> what is known.
        relations: id -> what is known.
        labelled: whether entities have labels: then one without cannot be named; else ids are names.
    """

    triples: Callable[[], Iterator[Triple]]
    entities: Mapping[str, EntityFacts] = field(default_factory=dict)
    relations: Mapping[str, RelationFacts] = field(default_factory=dict)
    labelled: bool = False

    def entity(self, identifier: str) -> EntityFacts:
        """Give what is known of an entity, perhaps nothing."""
        return self.entities.get(identifier, _UNKNOWN)

    def name(self, identifier: str) -> str:
        """Give what an entity is called; empty when nobody says. Where ids are names, `_` reads as a space."""
        if self.labelled:
            return self.entity(identifier).label.strip()
        return identifier.replace("_", " ").strip()

    def names(self, triples: Iterable[Triple]) -> dict[str, str]:
        """Give the names of all entities of these triples."""
        return {entity: self.name(entity) for entity in _entities(triples)}

    def types(self, triples: Iterable[Triple]) -> dict[str, tuple[str, ...]]:
        """Give the types of all entities of these triples."""
        return {entity: self.entity(entity).types for entity in _entities(triples)}


def read_inputs(path: str | Path, options: GraphOptions, skipped: Counter[str]) -> Inputs:
    """Read the side files, and the graph too unless its triples come as a stream when they are asked for.

    Raises:
        DataError: a file is not what it should be.
    """
    reading: dict[str, Any] = {"format": options.format, "columns": options.columns, "on_error": options.on_error}
    sides: dict[str, Any] = {name: getattr(options, name) for name in ("labels", "aliases", "types", "descriptions")}
    if not is_streamed(path, options.format):
        return _whole(read_graph(path, relations=options.relations, **sides, **reading), skipped)
    entities = read_entities(**sides, on_error=options.on_error, report=skipped)
    relations = read_relations(options.relations, on_error=options.on_error, report=skipped)
    return Inputs(partial(iter_triples, path, report=skipped, **reading), entities, relations, bool(options.labels))


def _whole(graph: KnowledgeGraph, skipped: Counter[str]) -> Inputs:
    skipped.update(graph.report.skipped)
    entities = {node: graph.entity(node) for node in graph.network}
    labelled = any(known.label for known in entities.values())
    return Inputs(graph.triples, entities, graph.relations, labelled)


def _entities(triples: Iterable[Triple]) -> set[str]:
    return {entity for triple in triples for entity in (triple.subject, triple.object)}
