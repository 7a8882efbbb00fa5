"""A graph cut into balanced parts, so that an adapter can learn each: few triples across, as many in each part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from knowledge_data.errors import DataError
from knowledge_data.graphs.graph import KnowledgeGraph
from knowledge_data.graphs.packing import pack
from knowledge_data.graphs.selecting import as_part

METHODS = ("communities", "metis")

OTHER_PART = "triple of another part"


@dataclass(frozen=True)
class Partition:
    """Parts of a graph.

    Attributes:
        parts: each with the triples of its entities, and the entities that these lead to. Every triple is in one part.
        home: entity -> the number of its part, counted from 0; a triple is where its subject is at home.
        crossing: how many triples lead to an entity that is at home in another part.
    """

    parts: Sequence[KnowledgeGraph]
    home: Mapping[str, int]
    crossing: int


def partition(
    graph: KnowledgeGraph, parts: int, *, seed: int = 0, method: str = "communities", slack: float = 0.1
) -> Partition:
    """Cut a graph into parts with about as many triples each.

    The same graph and seed give the same parts, in whatever order the triples were read.

    Args:
        graph: to be cut.
        parts: how many; 2 or more.
        seed: of the method.
        method: `communities` (Louvain, from networkx) or `metis` (needs pymetis).
        slack: by how much a part may be larger than the mean. No part has more than `(1 + slack) * mean` triples, or
            than `mean` and those of the entity with the most triples as a subject, if that is more.

    Raises:
        DataError: there are fewer subjects than parts, an option is unknown, or pymetis is not installed.
    """
    _check(graph, parts, method, slack)
    names = sorted(graph.network)
    number = {name: place for place, name in enumerate(names)}
    # Numbers, since sets of texts are in another order in every process.
    links = _links(graph, number)
    weights = [graph.network.out_degree(name) for name in names]
    groups = _communities(links, seed) if method == "communities" else _metis(links, weights, parts, seed)
    homes = pack(groups, links, weights, parts, slack)
    home = {name: homes[number[name]] for name in graph.network}
    crossing = sum(home[subject] != home[object_] for subject, object_ in graph.network.edges())
    return Partition(tuple(_parts(graph, home, parts)), home, crossing)


def _check(graph: KnowledgeGraph, parts: int, method: str, slack: float) -> None:
    subjects = sum(degree > 0 for _, degree in graph.network.out_degree())
    if not 2 <= parts <= subjects:
        problem = f"{parts} parts cannot be made of {subjects} entities that are subjects"
        raise DataError(problem, "give 2 or more parts, and no more than subjects")
    if method not in METHODS:
        raise DataError(f"method={method!r} is unknown", f"choose {' or '.join(METHODS)}")
    if not slack >= 0:
        raise DataError(f"slack={slack} is below 0", "give 0.1, for instance")


def _links(graph: KnowledgeGraph, number: Mapping[str, int]) -> nx.Graph:
    """The graph without directions and relations; an edge weighs as many triples as it stands for."""
    counts = Counter(
        (min(pair), max(pair)) for pair in ((number[one], number[other]) for one, other in graph.network.edges())
    )
    links = nx.Graph()
    links.add_nodes_from(range(len(number)))
    links.add_weighted_edges_from((one, other, count) for (one, other), count in sorted(counts.items()) if one != other)
    return links


def _communities(links: nx.Graph, seed: int) -> list[list[int]]:
    return [sorted(group) for group in nx.community.louvain_communities(links, seed=seed)]


def _metis(links: nx.Graph, weights: Sequence[int], parts: int, seed: int) -> list[list[int]]:
    try:
        import pymetis
    except ImportError as error:
        fix = "pip install 'kadapter[metis]', or take method='communities'"
        raise DataError("method 'metis' needs pymetis, which is not installed", fix) from error
    nodes = range(len(links))
    linked = [sorted((other, data["weight"]) for other, data in links.adj[node].items()) for node in nodes]
    _, homes = pymetis.part_graph(
        parts,
        adjacency=[[other for other, _ in of_node] for of_node in linked],
        vweights=list(weights),
        eweights=[weight for of_node in linked for _, weight in of_node],
        options=pymetis.Options(seed=seed),
    )
    return [[node for node, home in enumerate(homes) if home == part] for part in range(parts)]


def _parts(graph: KnowledgeGraph, home: Mapping[str, int], parts: int) -> Iterator[KnowledgeGraph]:
    networks = [nx.MultiDiGraph() for _ in range(parts)]
    for node, known in graph.network.nodes(data=True):
        networks[home[node]].add_node(node, **known)
    for subject, object_, relation, data in graph.network.edges(keys=True, data=True):
        networks[home[subject]].add_edge(subject, object_, relation, **data)
    for network in networks:
        for node in network:
            network.nodes[node].update(graph.network.nodes[node])
        yield as_part(graph, network, OTHER_PART)
