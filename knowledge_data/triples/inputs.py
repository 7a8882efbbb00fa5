"""What rows are made from: a graph's triples, read again whenever asked for, and what its entities are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from knowledge_data.graphs.graph import EntityFacts, RelationFacts, Triple

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


def _entities(triples: Iterable[Triple]) -> set[str]:
    return {entity for triple in triples for entity in (triple.subject, triple.object)}
