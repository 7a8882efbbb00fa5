"""What a graph is like, counted by hand."""

import json

import networkx as nx
import pytest

from knowledge_data import KnowledgeGraph, RelationFacts, describe_graph, read_graph

FAMILY = """ann\tparent\tbob
ann\tparent\tcid
bob\tchild\tann
cid\tchild\tann
bob\tsibling\tcid
cid\tsibling\tbob
bob\tknows\tcid
dan\tparent\teve
fay\tlikes\tfay
"""


@pytest.fixture
def report(file):
    graph = read_graph(
        file("a.tsv", FAMILY),
        labels=file("l.tsv", "ann\tAnn\nbob\tBob\n"),
        relations=file("r.tsv", "parent\tis a parent of\n"),
        licence="CC0",
    )
    return describe_graph(graph)


def test_sizes(report):
    assert (report["entities"], report["triples"], report["relations"]) == (5, 8, 4)
    assert report["licence"] == "CC0"


def test_relations_come_with_counts_the_most_frequent_first(report):
    assert list(report["relation_counts"]) == ["parent", "child", "sibling", "knows"]
    assert report["relation_counts"]["parent"] == {"label": "is a parent of", "triples": 3, "subjects": 2, "objects": 3}


def test_degrees(report):
    assert report["degrees"] == {
        "minimum": 1,
        "mean": 3.2,
        "median": 4.0,
        "maximum": 5,
        "histogram": {"1": 2, "4": 1, "5": 2},
    }


def test_components(report):
    assert report["components"] == {"count": 2, "largest": [3, 2], "isolated_entities": 0}


def test_relations_that_depend_on_one_another(report):
    assert report["symmetric"] == [{"relation": "sibling", "edges": 2, "share": 1.0}]
    assert report["inverse"] == [
        {"relation": "child", "other": "parent", "edges": 2, "share": 1.0},
        {"relation": "knows", "other": "sibling", "edges": 1, "share": 1.0},
    ]
    assert report["duplicate"] == [{"relation": "knows", "other": "sibling", "edges": 1, "share": 1.0}]


def test_a_lower_share_shows_more(file):
    graph = read_graph(file("a.tsv", FAMILY))
    pairs = [(pair["relation"], pair["other"], pair["share"]) for pair in describe_graph(graph, 0.5)["inverse"]]
    assert ("parent", "child", 0.6667) in pairs
    assert ("sibling", "knows", 0.5) in pairs


def test_what_is_missing_and_what_was_left_out(report):
    missing = {"label": 3, "aliases": 5, "types": 5, "description": 5, "relation_label": 3}
    assert report["missing"] == missing
    assert report["read"] == {"kept": 8, "skipped": {"self-loop: subject and object are the same": 1}}


def test_the_report_is_plain(report):
    assert json.loads(json.dumps(report)) == report


def test_a_graph_without_anything():
    report = describe_graph(KnowledgeGraph(nx.MultiDiGraph(), {"r": RelationFacts("r")}))
    assert report["degrees"]["maximum"] == report["components"]["count"] == report["relations"] == 0


@pytest.mark.parametrize("share", [0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share, complaint):
    assert "is not above 0 and at most 1" in complaint(describe_graph, KnowledgeGraph(nx.MultiDiGraph()), share)
