"""What is written is read back; what a format cannot hold is refused."""

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_data import (
    DataError,
    EntityFacts,
    KnowledgeGraph,
    RelationFacts,
    Triple,
    iter_triples,
    read_entities,
    read_graph,
    write_entities,
    write_graph,
    write_triples,
)

# All letters that a text can hold, but for the zero byte; names have no white space around.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8).map(
    str.strip
)
names = texts.filter(bool)
plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(str.strip).filter(bool)


@st.composite
def graphs(draw, names=names):
    """Graphs with facts, splits, isolated entities and relations with and without facts."""
    triples = draw(
        st.lists(st.tuples(names, names, names), min_size=1, max_size=8).filter(
            lambda triples: any(subject != object_ for subject, _, object_ in triples)
        )
    )
    network = nx.MultiDiGraph()
    for subject, relation, object_ in triples:
        if subject != object_:
            split = draw(st.sampled_from(["", "train", "test"]))
            network.add_edge(subject, object_, relation, **({"split": split} if split else {}))
    network.add_nodes_from(draw(st.lists(names, max_size=2)))
    for node in network:
        facts = {
            "label": draw(st.just("") | names),
            "aliases": tuple(draw(st.lists(names, max_size=2, unique=True))),
            "types": tuple(draw(st.lists(names, max_size=2, unique=True))),
            "description": draw(st.just("") | names),
        }
        network.nodes[node].update({name: value for name, value in facts.items() if value})
    known = draw(st.sets(st.sampled_from(sorted({key for *_, key in network.edges(keys=True)}))))
    return KnowledgeGraph(network, {name: RelationFacts(label=draw(names)) for name in known})


def written(graph, name):
    """The graph written and read, or None when the format cannot hold it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        try:
            write_graph(graph, path)
        except DataError:
            assert not path.exists()
            return None
        return read_graph(path)


def same(one, other):
    assert set(one.triples()) == set(other.triples())
    assert {node: one.entity(node) for node in one.network} == {node: other.entity(node) for node in other.network}
    assert one.relations == other.relations
    splits = [nx.get_edge_attributes(graph.network, "split") for graph in (one, other)]
    assert splits[0] == splits[1]


@settings(max_examples=30)
@given(graphs())
def test_node_link_gives_everything_back(graph):
    same(written(graph, "a.json"), graph)


@settings(max_examples=30)
@given(graphs())
def test_graphml_gives_everything_back_or_is_refused(graph):
    back = written(graph, "a.graphml")
    if back is not None:
        same(back, graph)


@settings(max_examples=30)
@given(graphs(plain))
def test_graphml_holds_everything_without_control_characters(graph):
    assert written(graph, "a.graphml") is not None


@settings(max_examples=30)
@given(graphs())
def test_a_table_gives_the_triples_back_or_is_refused(graph):
    back = written(graph, "a.tsv")
    if back is not None:
        assert set(back.triples()) == set(graph.triples())


@given(st.lists(st.tuples(plain, plain, plain).filter(lambda parts: parts[0] != parts[2]), min_size=1, max_size=10))
def test_written_triples_are_streamed_back_in_their_order(triples):
    with TemporaryDirectory() as folder:
        write_triples(map(Triple._make, triples), Path(folder) / "a.tsv")
        assert list(iter_triples(Path(folder) / "a.tsv")) == triples


@settings(max_examples=30)
@given(graphs())
def test_entities_give_their_facts_back(graph):
    known = {node: graph.entity(node) for node in graph.network if graph.entity(node) != EntityFacts()}
    with TemporaryDirectory() as folder:
        write_entities(graph, Path(folder) / "a.jsonl")
        assert read_entities(entities=Path(folder) / "a.jsonl") == known


def graph_of(*triples):
    network = nx.MultiDiGraph()
    network.add_edges_from((subject, object_, relation) for subject, relation, object_ in triples)
    return KnowledgeGraph(network)


def test_networkx_reads_what_is_written(tmp_path):
    graph = graph_of(("a", "r", "b"), ("a", "s", "b"))
    for name in ("a.json", "a.graphml"):
        write_graph(graph, tmp_path / name)
    network = nx.node_link_graph(json.loads((tmp_path / "a.json").read_text()), edges="edges")
    assert set(network.edges(keys=True)) == {("a", "b", "r"), ("a", "b", "s")}
    relations = nx.get_edge_attributes(nx.read_graphml(tmp_path / "a.graphml", force_multigraph=True), "relation")
    assert set(relations.values()) == {"r", "s"}


@pytest.mark.parametrize(
    ("name", "entity", "said"),
    [
        ("a.tsv", "a\tb", "'a\\tb' cannot stand in a table"),
        ("a.tsv", " a", "' a' cannot stand in a table"),
        ("a.tsv", "a\nb", "cannot stand in a table"),
        ("a.graphml", "a\x01b", "holds '\\x01', which GraphML cannot hold; write node-link JSON"),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(name, entity, said, tmp_path, complaint):
    assert said in complaint(write_graph, graph_of((entity, "r", "c")), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path, complaint):
    (tmp_path / "a.tsv").write_text("mine")
    assert "is there already" in complaint(write_graph, graph_of(("a", "r", "b")), tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_text() == "mine"


def test_a_name_that_says_no_format_is_refused(tmp_path, complaint):
    message = complaint(write_graph, graph_of(("a", "r", "b")), tmp_path / "a.nt")
    assert message.endswith("has a name that ends in none of .tsv, .graphml, .json; rename it")


def test_a_stream_that_breaks_leaves_nothing(tmp_path):
    def broken():
        yield Triple("a", "r", "b")
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        write_triples(broken(), tmp_path / "a.tsv")
    assert list(tmp_path.iterdir()) == []
