"""Whole graphs: from every format, with what side files know, each triple once."""

import json
import warnings

import networkx as nx
import pytest

from knowledge_data import EntityFacts, RelationFacts, read_graph
from knowledge_data.graphs import room

NODE_LINK = {
    "nodes": [{"id": "ann", "label": "Ann", "types": ["person"]}, {"id": 7, "name": "Seven"}, {"id": "alone"}],
    "links": [
        {"source": "ann", "target": 7, "relation": "counts"},
        {"source": 7, "target": "ann", "key": "is counted by", "split": "test"},
    ],
    "graph": {"relations": {"counts": {"label": "counts up to"}, "unused": {"label": "x"}}},
}

GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="l" for="all" attr.name="label" attr.type="string"/>
<graph edgedefault="directed">
<node id="ann"><data key="l">Ann</data></node><node id="bob"/>
<edge source="ann" target="bob"><data key="l">likes</data></edge>
<edge id="knows" source="bob" target="ann"/>
</graph></graphml>"""


def test_a_triple_that_stands_there_twice_is_one_edge(file):
    graph = read_graph(file("a.tsv", "a\tr\tb\na\ts\tb\na\tr\tb\nb\tr\ta\na\tr\ta\n"))
    assert list(graph.triples()) == [("a", "r", "b"), ("a", "s", "b"), ("b", "r", "a")]
    assert graph.report.as_dict() == {
        "kept": 3,
        "skipped": {"duplicate triple": 1, "self-loop: subject and object are the same": 1},
    }
    assert isinstance(graph.network, nx.MultiDiGraph)


def test_edges_of_a_folder_keep_the_split_they_were_published_in(file, tmp_path):
    file("train.txt", "a\tr\tb\n")
    file("valid.txt", "b\tr\tc\n")
    file("test.txt", "c\tr\ta\na\tr\tb\n")
    graph = read_graph(tmp_path)
    assert nx.get_edge_attributes(graph.network, "split") == {
        ("a", "b", "r"): "train",
        ("b", "c", "r"): "validation",
        ("c", "a", "r"): "test",
    }
    assert graph.report.skipped == {"duplicate triple": 1}


def test_side_files_are_taken_for_what_is_in_the_graph(file):
    graph = read_graph(
        file("a.tsv", "a\tr\tb\n"),
        labels=file("l.tsv", "a\tAnn\nz\tZed\n"),
        aliases=file("n.tsv", "a\tAnnie\n"),
        types=file("t.json", '{"a": ["person"]}'),
        descriptions=file("d.tsv", "b\ta boat\n"),
        relations=file("r.tsv", "r\trows\ns\tsails\n"),
        licence="CC0",
    )
    assert graph.entity("a") == EntityFacts("Ann", ("Annie",), ("person",))
    assert graph.entity("b") == EntityFacts(description="a boat")
    assert set(graph.network) == {"a", "b"}
    assert graph.relations == {"r": RelationFacts("rows")}
    assert (graph.source, graph.licence) == (str(file("a.tsv", "a\tr\tb\n")), "CC0")


def test_facts_can_be_given_as_a_mapping(file):
    graph = read_graph(file("a.tsv", "a\tr\tb\n"), entities={"a": EntityFacts("Ann")})
    assert graph.entity("a").label == "Ann"


def test_node_link(file):
    graph = read_graph(file("a.json.gz", json.dumps(NODE_LINK)))
    assert list(graph.triples()) == [("ann", "counts", "7"), ("7", "is counted by", "ann")]
    assert graph.network.edges["7", "ann", "is counted by"] == {"split": "test"}
    assert graph.entity("ann") == EntityFacts("Ann", types=("person",))
    assert graph.entity("7").label == "Seven"
    assert "alone" in graph.network
    assert graph.relations == {"counts": RelationFacts("counts up to")}


def test_node_link_as_networkx_writes_it(file):
    network = nx.MultiDiGraph()
    network.add_edge("a", "b", "r")
    network.add_edge("a", "b", "s")
    written = json.dumps(nx.node_link_data(network, edges="edges"))
    assert set(read_graph(file("a.json", written)).triples()) == {("a", "r", "b"), ("a", "s", "b")}


def test_graphml(file):
    graph = read_graph(file("a.graphml", GRAPHML))
    assert list(graph.triples()) == [("ann", "likes", "bob"), ("bob", "knows", "ann")]
    assert graph.entity("ann").label == "Ann"


def test_graphml_as_networkx_writes_it(file, tmp_path):
    network = nx.MultiDiGraph()
    network.add_edge("a", "b", "r")
    network.add_edge("a", "b", "s")
    nx.write_graphml(network, tmp_path / "a.graphml")
    assert set(read_graph(tmp_path / "a.graphml").triples()) == {("a", "r", "b"), ("a", "s", "b")}


BAD = [
    ("a.json", "[]", "holds [] but must hold an object with named fields"),
    ("a.json", '{"edges": []}', "field 'nodes' is missing"),
    ("a.json", '{"nodes": []}', "field 'edges' is missing"),
    ("a.json", '{"nodes": [], "edges": []}', "holds no triple"),
    ("a.json", '{"nodes": [3], "edges": []}', "a.json: node 1: holds 3 but must hold an object"),
    ("a.json", '{"nodes": [{}], "edges": []}', "a.json: node 1: field 'id' is missing"),
    ("a.json", '{"nodes": [{"id": ""}], "edges": []}', "a.json: node 1: has an empty id"),
    ("a.json", '{"nodes": [], "edges": [{"source": "a", "target": "b"}]}', "a.json: edge 1: field 'relation' is miss"),
    ("a.json", '{"nodes": [], "edges": [{"source": "a", "target": "b", "key": 0}]}', "field 'relation' is missing"),
    ("a.json", '{"nodes": [], "edges": [{"source": "a", "target": "", "key": "r"}]}', "field 'object' is empty"),
    ("a.json", '{"nodes": [], "edges": [{"source": "\\ud800", "target": "b", "key": "r"}]}', "is no valid Unicode"),
    ("a.graphml", "", "is not GraphML"),
    ("a.graphml", "<graphml>", "is not GraphML"),
    ("a.graphml", GRAPHML.replace("</graph>", '<edge source="a"/></graph>'), "is not GraphML"),
    ("a.graphml", '<!DOCTYPE g [<!ENTITY a "&b;"><!ENTITY b "&a;">]><graphml>&a;</graphml>', "is not GraphML"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_what_is_no_graph_is_refused(name, content, said, file, complaint):
    assert said in complaint(read_graph, file(name, content))


def test_bad_nodes_and_edges_can_be_counted(file):
    nodes = [{"id": "a"}, {}, 3]
    edges = [{"source": "a", "target": "b", "key": "r"}, {"source": "a"}, None]
    graph = read_graph(file("a.json", json.dumps({"nodes": nodes, "edges": edges})), on_error="skip")
    assert list(graph.triples()) == [("a", "r", "b")]
    assert graph.report.skipped == {"a field is missing or no text": 2, "not an object with named fields": 2}


def test_a_graph_that_may_not_fit_is_warned_of_before_it_is_read(file, monkeypatch):
    path = file("a.tsv", "a\tr\tb\n" * 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_graph(path)
    monkeypatch.setattr(room, "PER_BYTE", 10**12)
    with pytest.warns(UserWarning, match="a graph is held in memory as a whole"):
        read_graph(path)


def test_an_unknown_format_is_refused(file, complaint):
    message = complaint(read_graph, file("a.tsv", "a\tr\tb\n"), format="xml")
    assert message == "format='xml' is unknown; choose csv, tsv, txt, jsonl, nt, ttl, graphml, json"
