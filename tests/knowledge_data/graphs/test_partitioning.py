"""A graph in parts: everything once, parts of about one size, few triples across."""

import os
import subprocess
import sys
from collections import Counter

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_data import DataError, KnowledgeGraph, RelationFacts, partition

entities = st.integers(0, 15).map(str)
triples = st.tuples(entities, st.sampled_from("rs"), entities)


def graph_of(triples, isolated=()):
    network = nx.MultiDiGraph()
    network.add_edges_from((subject, object_, relation) for subject, relation, object_ in triples)
    network.add_nodes_from(isolated)
    return KnowledgeGraph(network, {"r": RelationFacts("R")})


def two_towns():
    """Two crowds who know one another, and one who knows somebody in the other crowd."""
    crowds = [[f"{town}{number}" for number in range(12)] for town in "ab"]
    known = [(one, "knows", other) for crowd in crowds for one in crowd for other in crowd if one != other]
    return graph_of([*known, ("a0", "knows", "b0")])


@pytest.mark.parametrize("method", ["communities", "metis"])
@settings(max_examples=40)
@given(triples=st.lists(triples, min_size=2, max_size=40, unique=True), parts=st.integers(2, 5), slack=st.floats(0, 1))
def test_every_triple_and_entity_is_in_one_part_and_parts_are_balanced(method, triples, parts, slack):
    graph = graph_of(triples, isolated=["alone"])
    try:
        found = partition(graph, parts, method=method, slack=slack)
    except DataError:
        assert len({subject for subject, _, _ in triples}) < parts
        return
    assert sorted(triple for part in found.parts for triple in part.triples()) == sorted(graph.triples())
    assert found.home.keys() == set(graph.network)
    for number, part in enumerate(found.parts):
        assert {triple.subject for triple in part.triples()} <= {n for n, home in found.home.items() if home == number}
        assert {node for node, home in found.home.items() if home == number} <= set(part.network)
        assert part.report.kept == part.network.number_of_edges() > 0
    sizes = [part.network.number_of_edges() for part in found.parts]
    mean, heaviest = sum(sizes) / parts, max(degree for _, degree in graph.network.out_degree())
    assert max(sizes) <= max((1 + slack) * mean, mean + heaviest) + 1e-9
    across = [found.home[subject] != found.home[object_] for subject, _, object_ in graph.triples()]
    assert found.crossing == sum(across)


@pytest.mark.parametrize("method", ["communities", "metis"])
def test_what_is_linked_stays_together(method):
    found = partition(two_towns(), 2, method=method)
    assert found.crossing == 1
    assert {
        frozenset(name[0] for name in part.network if found.home[name] == n) for n, part in enumerate(found.parts)
    } == {
        frozenset("a"),
        frozenset("b"),
    }


@pytest.mark.parametrize("parts", [3, 4, 7])
def test_crowds_that_are_too_large_are_cut(parts):
    found = partition(two_towns(), parts, slack=0.1)
    sizes = [part.network.number_of_edges() for part in found.parts]
    assert max(sizes) <= sum(sizes) / parts + 12
    assert min(sizes) > 0


def test_the_seed_decides_not_the_order_of_the_triples_nor_the_process():
    triples = [(str(n * n % 23), "r", str(n)) for n in range(60)]
    homes = [partition(graph_of(order), 3, seed=1).home for order in (triples, triples[::-1])]
    assert homes[0] == homes[1]
    code = (
        "import networkx as nx; from knowledge_data import KnowledgeGraph, partition; network = nx.MultiDiGraph(); "
        "network.add_edges_from((str(n * n % 23), str(n), 'r') for n in range(60)); "
        "print(sorted(partition(KnowledgeGraph(network), 3, seed=1).home.items()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == str(sorted(homes[0].items()))


def test_parts_keep_what_is_known():
    graph = two_towns()
    graph.network.nodes["a0"]["label"] = "Ann"
    found = partition(graph, 2)
    part = found.parts[found.home["a0"]]
    assert part.entity("a0").label == "Ann"
    assert part.report.skipped == Counter({"triple of another part": 265 - part.report.kept})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parts": 1}, "1 parts cannot be made of 24 entities that are subjects; give 2 or more"),
        ({"parts": 25}, "25 parts cannot be made of 24 entities"),
        ({"parts": 2, "method": "scissors"}, "method='scissors' is unknown; choose communities or metis"),
        ({"parts": 2, "slack": -1}, "slack=-1 is below 0"),
        ({"parts": 2, "slack": float("nan")}, "slack=nan is below 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said, complaint):
    assert said in complaint(partition, two_towns(), **options)


def test_without_pymetis_the_error_says_what_to_install(monkeypatch, complaint):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    message = complaint(partition, two_towns(), 2, method="metis")
    assert (
        "needs pymetis, which is not installed; pip install 'kadapter[metis]', or take method='communities'" in message
    )
