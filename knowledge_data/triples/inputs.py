"""What rows are made from: a graph's triples, read again whenever asked for, and what its entities are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

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
    sides = {name: getattr(options, name) for name in ("labels", "aliases", "types", "descriptions")}
    given = {name: side for name, side in sides.items() if side is not None}
    entities = read_entities(**given, on_error=options.on_error, report=skipped) if given else {}
    relations = read_relations(options.relations) if options.relations is not None else {}
    if is_streamed(path, options.format):
        reading = {"format": options.format, "columns": options.columns, "on_error": options.on_error}
        return Inputs(partial(iter_triples, path, report=skipped, **reading), entities, relations, "labels" in given)
    graph = read_graph(path, format=options.format, on_error=options.on_error)
    skipped.update(graph.report.skipped)
    return _of_graph(graph, entities, relations, "labels" in given)


def _of_graph(
    graph: KnowledgeGraph, entities: Mapping[str, EntityFacts], relations: Mapping[str, RelationFacts], labelled: bool
) -> Inputs:
    """Give what a graph in memory says, where the side files say nothing."""
    own = {node: graph.entity(node) for node in graph.network}
    labelled = labelled or any(known.label for known in own.values())
    merged = {node: _merged(known, entities.get(node, _UNKNOWN)) for node, known in own.items()}
    return Inputs(graph.triples, merged, {**graph.relations, **relations}, labelled)


def _merged(own: EntityFacts, side: EntityFacts) -> EntityFacts:
    return EntityFacts(
        side.label or own.label,
        side.aliases or own.aliases,
        side.types or own.types,
        side.description or own.description,
    )


def _entities(triples: Iterable[Triple]) -> set[str]:
    return {entity for triple in triples for entity in (triple.subject, triple.object)}
