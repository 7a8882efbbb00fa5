"""Parts of a graph: by relation, by type, around entities, by degree, by component. Each gives a new graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import networkx as nx

from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import KnowledgeGraph, Triple
from knowledge_data.reading import ReadReport


def select_relations(graph: KnowledgeGraph, relations: Collection[str], *, drop: bool = False) -> KnowledgeGraph:
    """Give the triples of these relations, or with `drop` all others; entities left without a triple are left out.

    Raises:
        DataError: a relation is not in the graph, or no triple is left.
    """
    _check_known(relations, {triple.relation for triple in graph.triples()}, "relation")
    chosen = set(relations)
    return of_triples(graph, lambda triple: (triple.relation in chosen) != drop, "triple of another relation")


def select_types(
    graph: KnowledgeGraph, types: Collection[str], *, ends: str = "both", subclass_of: str | None = None
) -> KnowledgeGraph:
    """Give the triples whose ends have one of these types.

    Args:
        graph: whose entities have types.
        types: ids or names of types.
        ends: which of a triple's ends must have one: `both`, `either`, `subject` or `object`.
        subclass_of: a relation between types; then subtypes count, too, however they go round in circles.

    Raises:
        DataError: no entity has such a type, `ends` or `subclass_of` is unknown, or no triple is left.
    """
    if ends not in _ENDS:
        raise DataError(f"ends={ends!r} is unknown", f"choose {', '.join(_ENDS)}")
    wanted = subtypes(graph, types, subclass_of) if subclass_of else set(types)
    having = {node for node in graph.network if not wanted.isdisjoint(graph.entity(node).types)}
    if not having:
        counts = Counter(kind for node in graph.network for kind in graph.entity(node).types)
        there = ", ".join(kind for kind, _ in counts.most_common(10)) or "none: give types="
        raise DataError(f"no entity has one of the types {', '.join(sorted(types))}", f"the most frequent are {there}")
    meets = _ENDS[ends]
    reason = "triple with an end of another type"
    return of_triples(graph, lambda triple: meets(triple.subject in having, triple.object in having), reason)


def subtypes(graph: KnowledgeGraph, types: Iterable[str], subclass_of: str) -> set[str]:
    """Give these types and all that are, step by step, below them by the relation `subclass_of`.

    Raises:
        DataError: the graph has no such relation.
    """
    _check_known([subclass_of], {triple.relation for triple in graph.triples()}, "relation")
    above = nx.DiGraph((object_, subject) for subject, relation, object_ in graph.triples() if relation == subclass_of)
    found = set(types)
    # A search that marks what it has seen: circles end it.
    return found.union(*(nx.descendants(above, kind) for kind in found if kind in above))


def select_around(graph: KnowledgeGraph, seeds: Collection[str], hops: int = 1) -> KnowledgeGraph:
    """Give the entities that are at most so many edges away from one of the seeds, whichever way the edges point.

    Raises:
        DataError: a seed is not in the graph, or `hops` is below 0.
    """
    _check_known(seeds, graph.network, "entity")
    if hops < 0:
        raise DataError(f"hops={hops} leaves nothing", "give 0 or more")
    reached, border = set(seeds), set(seeds)
    for _ in range(hops):
        near = {other for node in border for other in nx.all_neighbors(graph.network, node)}
        border = near - reached
        reached |= border
    return of_entities(graph, reached, "triple out of reach")


def select_degrees(graph: KnowledgeGraph, at_least: int = 0, at_most: int | None = None) -> KnowledgeGraph:
    """Give the entities whose degree in this graph is within bounds; both directions count.

    What is left may have lower degrees, since edges to others are gone.

    Raises:
        DataError: the bounds leave no entity.
    """
    degrees = dict(graph.network.degree())
    kept = {node for node, degree in degrees.items() if degree >= at_least and (at_most is None or degree <= at_most)}
    if not kept:
        there = f"degrees go from {min(degrees.values(), default=0)} to {max(degrees.values(), default=0)}"
        raise DataError(f"no entity has a degree of {at_least} to {at_most or 'any'}", there)
    return of_entities(graph, kept, "triple with an end whose degree is out of bounds")


def select_component(graph: KnowledgeGraph, number: int = 1, *, of: str | None = None) -> KnowledgeGraph:
    """Give the largest connected component, or the second largest …, or that of an entity.

    Components of one size are in the order of their alphabetically first entities.

    Raises:
        DataError: there are fewer, or the entity is not in the graph.
    """
    if of is not None:
        _check_known([of], graph.network, "entity")
    components = sorted(nx.weakly_connected_components(graph.network), key=lambda part: (-len(part), min(part)))
    if of is None and not 1 <= number <= len(components):
        raise DataError(f"there is no component number {number}", f"there are {len(components)}; count from 1")
    chosen = components[number - 1] if of is None else next(part for part in components if of in part)
    return of_entities(graph, chosen, "triple of another component")


def of_entities(graph: KnowledgeGraph, entities: Collection[str], reason: str) -> KnowledgeGraph:
    """Give these entities and the triples between them; the report counts the other triples under `reason`."""
    chosen = set(entities)
    network = nx.MultiDiGraph()
    network.add_nodes_from((node, known) for node, known in graph.network.nodes(data=True) if node in chosen)
    # In the order of the graph, whatever the order of the set.
    network.add_edges_from(
        (subject, object_, key, data)
        for subject, object_, key, data in graph.network.edges(list(network), keys=True, data=True)
        if object_ in chosen
    )
    return as_part(graph, network, reason)


def of_triples(graph: KnowledgeGraph, keep: Callable[[Triple], bool], reason: str) -> KnowledgeGraph:
    """Give the triples to keep and their entities; the report counts the others under `reason`.

    Raises:
        DataError: none is left.
    """
    edges = graph.network.edges(keys=True, data=True)
    kept = [edge for edge in edges if keep(Triple(edge[0], edge[2], edge[1]))]
    if not kept:
        raise DataError("no triple is left", f"all {graph.network.number_of_edges()} are: {reason}")
    ends = {end for edge in kept for end in edge[:2]}
    network = nx.MultiDiGraph()
    # First, so that entities and triples keep their order.
    network.add_nodes_from((node, known) for node, known in graph.network.nodes(data=True) if node in ends)
    network.add_edges_from(kept)
    return as_part(graph, network, reason)


_ENDS: dict[str, Callable[[bool, bool], bool]] = {
    "both": lambda subject, object_: subject and object_,
    "either": lambda subject, object_: subject or object_,
    "subject": lambda subject, object_: subject,
    "object": lambda subject, object_: object_,
}


def as_part(graph: KnowledgeGraph, network: nx.MultiDiGraph, reason: str) -> KnowledgeGraph:
    """Give a part of a graph's network as a graph; its report counts the other triples under `reason`."""
    dropped = graph.network.number_of_edges() - network.number_of_edges()
    skipped = graph.report.skipped + Counter({reason: dropped})
    named = {key for *_, key in network.edges(keys=True)}
    relations = {name: facts for name, facts in graph.relations.items() if name in named}
    report = ReadReport(network.number_of_edges(), skipped)
    return replace(graph, network=network, relations=relations, report=report)


def _check_known(asked: Iterable[str], there: Collection[str], what: str) -> None:
    for name in asked:
        if name not in there:
            some = ", ".join(sorted(there)[:10])
            raise DataError(f"{what} {name!r} is not in the graph", f"it has {len(there)}, such as {some}")
