"""A knowledge graph: triples of ids, what its entities are called, and what its relations are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import networkx as nx

from knowledge_data.reading import ReadReport


class Triple(NamedTuple):
    """One fact, in ids."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True)
class EntityFacts:
    """What is known of an entity beside its triples.

    Attributes:
        label: how it is called; empty when nobody says.
        aliases: how else it is called.
        types: ids or names of its types.
        description: one line.
    """

    label: str = ""
    aliases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class RelationFacts:
    """What is known of a relation: how it is called, and what it means."""

    label: str = ""
    description: str = ""


@dataclass(frozen=True)
class KnowledgeGraph:
    """A graph in memory.

    Attributes:
        network: nodes are entity ids, with the fields of `EntityFacts` that are known as attributes; the key of an edge
            is its relation.
        relations: relation id -> what is known of it; only relations of which something is known.
        report: how many records became edges, and how many were left out for which reason.
        source: where it came from.
        licence: under which licence it stands.
    """

    network: nx.MultiDiGraph
    relations: Mapping[str, RelationFacts] = field(default_factory=dict)
    report: ReadReport = field(default_factory=ReadReport)
    source: str = ""
    licence: str = ""

    def triples(self) -> Iterator[Triple]:
        """Give every fact, in the order in which subjects were added."""
        for subject, object_, relation in self.network.edges(keys=True):
            yield Triple(subject, relation, object_)

    def entity(self, identifier: str) -> EntityFacts:
        """Give what is known of an entity."""
        known = self.network.nodes[identifier]
        return EntityFacts(**{name: known[name] for name in asdict(EntityFacts()) if name in known})
