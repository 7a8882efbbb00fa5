"""What a graph is like: its size, its degrees and components, its relations and how they depend on one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import permutations
from statistics import mean, median
from typing import Any

import networkx as nx

from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import EntityFacts, KnowledgeGraph

SHARE = 0.8
"""Of a relation's edges that another relation reverses or repeats, from which on the two are reported."""


def describe_graph(graph: KnowledgeGraph, share: float = SHARE) -> dict[str, Any]:
    """Describe a graph in plain values, ready for JSON.

    Keys of the report:
        source, licence: of the graph.
        entities, triples, relations: how many there are.
        relation_counts: relation -> its label, triples, subjects, objects; the most frequent first.
        degrees: minimum, mean, median, maximum, and the histogram: degree -> entities. Both directions count.
        components: count, the sizes of the ten largest, and how many entities have no edge at all.
        symmetric: relations of which at least `share` of the edges are also there the other way round.
        inverse: pairs of relations; at least `share` of the edges of `relation` are reversed by `other`.
        duplicate: pairs of relations; at least `share` of the edges of `relation` are also there with `other`.
        missing: how many entities have no label, alias, type, description, and how many relations no label.
        read: how many records were kept and, by reason, skipped.

    Raises:
        DataError: `share` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise DataError(f"share={share} is not above 0 and at most 1", "give 0.8, for instance")
    counts = Counter(relation for *_, relation in graph.network.edges(keys=True))
    overlaps = _overlaps(graph.network)
    inverse = list(_pairs(overlaps.reversed, counts, share))
    return {
        "source": graph.source,
        "licence": graph.licence,
        "entities": graph.network.number_of_nodes(),
        "triples": graph.network.number_of_edges(),
        "relations": len(counts),
        "relation_counts": _relation_counts(graph, counts),
        "degrees": _degrees(graph.network),
        "components": _components(graph.network),
        "symmetric": [_without_other(pair) for pair in inverse if pair["relation"] == pair["other"]],
        "inverse": [pair for pair in inverse if pair["relation"] != pair["other"]],
        "duplicate": list(_pairs(overlaps.repeated, counts, share)),
        "missing": _missing(graph, counts),
        "read": graph.report.as_dict(),
    }


@dataclass(frozen=True)
class _Overlaps:
    """(relation, other) -> how many edges of the relation the other reverses, or repeats."""

    reversed: Counter[tuple[str, str]]
    repeated: Counter[tuple[str, str]]


def _overlaps(network: nx.MultiDiGraph) -> _Overlaps:
    found = _Overlaps(Counter(), Counter())
    for subject, objects in network.adjacency():
        for object_, relations in objects.items():
            back = network.get_edge_data(object_, subject, default={})
            found.reversed.update((one, other) for one in relations for other in back)
            if len(relations) > 1:
                found.repeated.update(permutations(relations, 2))
    return found


def _pairs(
    found: Counter[tuple[str, str]], counts: Mapping[str, int], share: float
) -> Iterator[dict[str, str | int | float]]:
    """The pairs that overlap enough, those with the largest overlap first."""
    for (relation, other), edges in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        if edges >= share * counts[relation]:
            of_all = edges / counts[relation]
            yield {"relation": relation, "other": other, "edges": edges, "share": round(of_all, 4)}


def _without_other(pair: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in pair.items() if name != "other"}


def _relation_counts(graph: KnowledgeGraph, counts: Counter[str]) -> dict[str, dict[str, str | int]]:
    subjects: dict[str, set[str]] = {relation: set() for relation in counts}
    objects: dict[str, set[str]] = {relation: set() for relation in counts}
    for subject, relation, object_ in graph.triples():
        subjects[relation].add(subject)
        objects[relation].add(object_)
    return {
        relation: {
            "label": graph.relations[relation].label if relation in graph.relations else "",
            "triples": counts[relation],
            "subjects": len(subjects[relation]),
            "objects": len(objects[relation]),
        }
        for relation in sorted(counts, key=lambda relation: (-counts[relation], relation))
    }


def _degrees(network: nx.MultiDiGraph) -> dict[str, Any]:
    degrees = [degree for _, degree in network.degree()]
    if not degrees:
        return {"minimum": 0, "mean": 0.0, "median": 0.0, "maximum": 0, "histogram": {}}
    return {
        "minimum": min(degrees),
        "mean": round(mean(degrees), 3),
        "median": float(median(degrees)),
        "maximum": max(degrees),
        "histogram": {str(degree): count for degree, count in sorted(Counter(degrees).items())},
    }


def _components(network: nx.MultiDiGraph) -> dict[str, Any]:
    sizes = sorted((len(part) for part in nx.weakly_connected_components(network)), reverse=True)
    return {"count": len(sizes), "largest": sizes[:10], "isolated_entities": sizes.count(1)}


def _missing(graph: KnowledgeGraph, counts: Mapping[str, int]) -> dict[str, int]:
    known = [graph.entity(node) for node in graph.network]
    lacking = {field.name: sum(not getattr(facts, field.name) for facts in known) for field in fields(EntityFacts)}
    unnamed = sum(relation not in graph.relations or not graph.relations[relation].label for relation in counts)
    return {**lacking, "relation_label": unnamed}
