"""Parts of graphs: what is kept was there, what is dropped is counted, and the graph itself stays."""

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_data import (
    DataError,
    KnowledgeGraph,
    ReadReport,
    RelationFacts,
    Selection,
    select_around,
    select_component,
    select_degrees,
    select_relations,
    select_types,
)


def graph_of(triples, types=()):
    network = nx.MultiDiGraph()
    network.add_edges_from((subject, object_, relation) for subject, relation, object_ in triples)
    for entity, *kinds in types:
        network.add_node(entity, types=tuple(kinds))
    relations = {relation: RelationFacts(relation.upper()) for _, relation, _ in triples}
    return KnowledgeGraph(network, relations, ReadReport(network.number_of_edges()), "here", "CC0")


entities = st.sampled_from("abcdef")
triples = st.tuples(entities, st.sampled_from("rst"), entities).filter(lambda parts: parts[0] != parts[2])
graphs = st.lists(triples, min_size=1, max_size=12, unique=True).map(
    lambda triples: graph_of(triples, [(triples[0][0], "one", "two"), (triples[-1][2], "two")])
)

WISHES = {
    "relations": Selection(relations=("r",)),
    "without": Selection(without=("r",)),
    "types": Selection(types=("two",), ends="either"),
    "around": Selection(around=("a",), hops=1),
    "degrees": Selection(min_degree=2, max_degree=3),
    "component": Selection(component=1),
    "several": Selection(around=("a",), hops=2, max_degree=4, component=1),
}


@pytest.mark.parametrize("wish", WISHES)
@settings(max_examples=40)
@given(graph=graphs)
def test_a_part_holds_what_the_graph_holds_and_counts_the_rest(wish, graph):
    before = list(graph.triples())
    try:
        part = WISHES[wish].of(graph)
    except DataError:
        return
    kept = list(part.triples())
    assert kept == [triple for triple in before if triple in set(kept)] == list(dict.fromkeys(kept))
    assert list(graph.triples()) == before
    assert part.report.kept == len(kept)
    assert part.report.total == len(before)
    assert all(part.entity(node) == graph.entity(node) for node in part.network)
    assert part.relations == {triple.relation: graph.relations[triple.relation] for triple in kept}
    assert (part.source, part.licence) == ("here", "CC0")


@settings(max_examples=40)
@given(graphs, st.sampled_from("rst"))
def test_a_relation_and_all_others_make_up_the_graph(graph, relation):
    names = {triple.relation for triple in graph.triples()}
    if relation in names and len(names) > 1:
        one, others = select_relations(graph, [relation]), select_relations(graph, [relation], drop=True)
        assert set(one.triples()) | set(others.triples()) == set(graph.triples())
        assert not set(one.triples()) & set(others.triples())


@settings(max_examples=40)
@given(graphs, st.integers(0, 4))
def test_a_neighbourhood_is_as_wide_as_asked(graph, hops):
    seed = next(iter(graph.network))
    distances = nx.single_source_shortest_path_length(graph.network.to_undirected(), seed)
    near = {node for node, distance in distances.items() if distance <= hops}
    assert set(select_around(graph, [seed], hops).network) == near


@settings(max_examples=40)
@given(graphs)
def test_components_make_up_the_graph(graph):
    count = nx.number_weakly_connected_components(graph.network)
    parts = [select_component(graph, number) for number in range(1, count + 1)]
    assert sorted(triple for part in parts for triple in part.triples()) == sorted(graph.triples())
    sizes = [len(part.network) for part in parts]
    assert sizes == sorted(sizes, reverse=True)
    for node in graph.network:
        assert node in select_component(graph, of=node).network


@settings(max_examples=40)
@given(graphs, st.integers(0, 4), st.integers(0, 6))
def test_degrees_are_those_of_the_whole_graph(graph, at_least, at_most):
    within = {node for node, degree in graph.network.degree() if at_least <= degree <= at_most}
    try:
        assert set(select_degrees(graph, at_least, at_most).network) == within
    except DataError:
        assert not within


TOWN = graph_of(
    [("ann", "lives in", "teviot"), ("ann", "knows", "bob"), ("teviot", "twin of", "uver"), ("bob", "owns", "boat")],
    [("ann", "person"), ("bob", "sailor", "painter"), ("teviot", "town"), ("uver", "town")],
)


@pytest.mark.parametrize(
    ("ends", "relations"),
    [
        ("both", {"knows"}),
        ("either", {"lives in", "knows", "owns"}),
        ("subject", {"lives in", "knows", "owns"}),
        ("object", {"knows"}),
    ],
)
def test_types_of_ends(ends, relations):
    part = select_types(TOWN, ["person", "sailor"], ends=ends)
    assert {triple.relation for triple in part.triples()} == relations


def test_subtypes_count_too_and_circles_among_them_end():
    hierarchy = [
        ("sailor", "is", "person"),
        ("cook", "is", "sailor"),
        ("person", "is", "cook"),
        ("town", "is", "place"),
    ]
    graph = graph_of(
        [*hierarchy, ("bob", "knows", "eve"), ("bob", "lives in", "teviot")],
        [("bob", "sailor"), ("eve", "cook"), ("teviot", "town")],
    )
    part = select_types(graph, ["person"], subclass_of="is")
    assert list(part.triples()) == [("bob", "knows", "eve")]


@pytest.mark.parametrize(
    ("select", "said"),
    [
        (lambda: select_relations(TOWN, ["likes"]), "relation 'likes' is not in the graph; it has 4, such as knows"),
        (lambda: select_types(TOWN, ["boat"]), "no entity has one of the types boat; the most frequent are town"),
        (lambda: select_types(TOWN, ["town"], ends="none"), "ends='none' is unknown; choose both"),
        (lambda: select_types(TOWN, ["town"], subclass_of="is"), "relation 'is' is not in the graph"),
        (lambda: select_types(TOWN, ["painter"]), "no triple is left; all 4 are: triple with an end of another type"),
        (lambda: select_around(TOWN, ["zed"]), "entity 'zed' is not in the graph; it has 5"),
        (lambda: select_around(TOWN, ["ann"], -1), "hops=-1 leaves nothing"),
        (lambda: select_degrees(TOWN, 9), "no entity has a degree of 9 to any; degrees go from 1 to 2"),
        (lambda: select_component(TOWN, 2), "there is no component number 2; there are 1"),
        (lambda: select_component(TOWN, of="zed"), "entity 'zed' is not in the graph"),
        (lambda: Selection().of(TOWN), "nothing is asked"),
        (lambda: Selection(component=1, component_of="ann").of(TOWN), "a component is said twice"),
        (lambda: Selection(around=("ann",), hops=0).of(TOWN), "no triple is left"),
    ],
)
def test_wishes_that_leave_nothing_are_refused(select, said, complaint):
    assert said in complaint(select)
