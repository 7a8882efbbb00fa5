"""What a model is told of a graph: its facts, and as many false ones of the same kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from random import Random
from typing import NamedTuple

import networkx as nx

from knowledge_data.draws import rank
from knowledge_data.geonames.graph import RELATIONS
from knowledge_data.geonames.names import ARGUABLE


class Statement(NamedTuple):
    """Something said of two nodes of a graph, and whether it holds."""

    subject: str
    relation: str
    object: str
    holds: bool


def true_statements(graph: nx.MultiDiGraph, seed: int, min_population: int) -> list[Statement]:
    """The facts of countries with at least `min_population` people: main languages only, each border once.

    Which of two neighbours is the subject depends on the seed: in the order of their codes or names, the true
    borders could be told from the false.
    """
    large = {node for node, people in graph.nodes(data="population") if people and people >= min_population}
    edges = graph.out_edges(large, keys=True, data=True)
    return sorted(
        Statement(subject, relation, object_, holds=True)
        for subject, object_, relation, edge in edges
        if edge.get("main", True) and (relation != "neighbour" or _leads(subject, object_, large, seed))
    )


def false_statements(
    graph: nx.MultiDiGraph, truths: Sequence[Statement], seed: int, ratio: float
) -> Iterator[Statement]:
    """About `ratio` false statements for each true one: the same subject and relation, another fact's object.

    Objects are drawn as often as they are true of others, so that a common object gives nothing away. Pairs
    that the graph lists, or that could be argued for, are never drawn; where none is left, fewer come out.
    """
    for relation in RELATIONS:
        facts = [truth for truth in truths if truth.relation == relation]
        yield from _corrupted(graph, facts, round(ratio * len(facts)), Random(f"{seed}/{relation}"))


def _leads(subject: str, object_: str, large: set[str], seed: int) -> bool:
    return object_ in large and rank(seed, subject, object_) < rank(seed, object_, subject)


def _corrupted(graph: nx.MultiDiGraph, facts: Sequence[Statement], wanted: int, random: Random) -> Iterator[Statement]:
    said: set[frozenset[str]] = set()
    for fact in islice(cycle(random.sample(facts, len(facts))), wanted):
        others = [other.object for other in facts if _is_false(graph, fact.subject, other.object)]
        new = [object_ for object_ in others if frozenset((fact.subject, object_)) not in said]
        if new:
            wrong = random.choice(new)
            said.add(frozenset((fact.subject, wrong)))
            yield Statement(fact.subject, fact.relation, wrong, holds=False)


def _is_false(graph: nx.MultiDiGraph, subject: str, object_: str) -> bool:
    return subject != object_ and not graph.has_edge(subject, object_) and (subject, object_) not in ARGUABLE
