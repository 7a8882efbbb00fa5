"""A graph that grows triple by triple, and keeps account of what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import networkx as nx

from knowledge_data.graphs.facts import merged
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph, RelationFacts, Triple
from knowledge_data.reading import ReadReport

DUPLICATE = "duplicate triple"


class GrowingGraph:
    """Gathers triples, each once, and what is known of entities and relations.

    Attributes:
        network: what there is by now.
        skipped: counts what is left out, by reason.
    """

    def __init__(self) -> None:
        self.network = nx.MultiDiGraph()
        self.skipped: Counter[str] = Counter()
        self._kept = 0
        self._entities: dict[str, EntityFacts] = {}
        self._relations: dict[str, RelationFacts] = {}
        # A file says an id again and again; the graph holds it once.
        self._texts: dict[str, str] = {}

    def add(self, triples: Iterable[Triple], split: str = "") -> None:
        """Add edges, with the split they were published in; count those that are there already."""
        known = {"split": split} if split else {}
        once = self._texts.setdefault
        for triple in triples:
            subject, relation, object_ = map(once, triple, triple)
            if self.network.has_edge(subject, object_, relation):
                self.skipped[DUPLICATE] += 1
            else:
                self._kept += 1
                self.network.add_edge(subject, object_, relation, **known)

    def know(self, entities: Mapping[str, EntityFacts]) -> None:
        """Take what is known of entities; what was known before stays."""
        for name, facts in entities.items():
            self._entities[name] = merged(self._entities[name], facts) if name in self._entities else facts

    def relate(self, relations: Mapping[str, RelationFacts]) -> None:
        """Take what is known of relations; what was known before stays."""
        self._relations = {**relations, **self._relations}

    def graph(self, source: str, licence: str) -> KnowledgeGraph:
        """Give the graph; what is known of things that are not in it is left aside."""
        for name, facts in self._entities.items():
            if name in self.network:
                self.network.nodes[name].update(said(facts))
        named = {relation for *_, relation in self.network.edges(keys=True)}
        relations = {name: facts for name, facts in self._relations.items() if name in named}
        return KnowledgeGraph(self.network, relations, ReadReport(self._kept, self.skipped), source, licence)


def said(facts: EntityFacts | RelationFacts) -> dict[str, str | tuple[str, ...]]:
    """Give the fields that say something."""
    return {name: value for name, value in asdict(facts).items() if value}
