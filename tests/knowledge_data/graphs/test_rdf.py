"""RDF: N-Triples and Turtle say the same; ontologies that import one another are read once each."""

import sys

import pytest

from knowledge_data import EntityFacts, RelationFacts, read_graph

PREFIXES = """@prefix : <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""

TURTLE = f"""{PREFIXES}
:ann a :Person ; rdfs:label "Ann"@en, "Anna"@de ; :likes :bob ; :age 3 .
:bob rdfs:label "Roberto"@it .
:likes rdfs:label "likes" .
"""

STATEMENTS = """
<http://e/ann> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://e/Person> .
<http://e/ann> <http://www.w3.org/2000/01/rdf-schema#label> "Ann"@en .
<http://e/ann> <http://www.w3.org/2000/01/rdf-schema#label> "Anna"@de .
<http://e/ann> <http://e/likes> <http://e/bob> .
<http://e/ann> <http://e/age> "3"^^<http://www.w3.org/2001/XMLSchema#integer> .
<http://e/bob> <http://www.w3.org/2000/01/rdf-schema#label> "Roberto"@it .
<http://e/likes> <http://www.w3.org/2000/01/rdf-schema#label> "likes" .
"""


@pytest.mark.parametrize(("name", "content"), [("a.ttl", TURTLE), ("a.ttl.gz", TURTLE), ("a.nt", STATEMENTS)])
def test_both_formats_say_the_same(name, content, file):
    graph = read_graph(file(name, content))
    assert {triple.relation.rpartition("/")[2] for triple in graph.triples()} == {
        "22-rdf-syntax-ns#type",
        "likes",
    }
    assert graph.entity("http://e/ann") == EntityFacts("Ann", (), ("http://e/Person",))
    assert graph.entity("http://e/bob").label == "Roberto"
    assert graph.relations == {"http://e/likes": RelationFacts("likes")}
    assert graph.report.as_dict() == {
        "kept": 2,
        "skipped": {
            "literal: kept as a label, alias or description": 2,
            "literal: in another language, kept only where there is no English label or description": 2,
            "literal: a text or a number, no entity": 1,
        },
    }


def test_turtle_reads_the_same_twice_blank_nodes_and_relative_names_too(file, tmp_path):
    content = f"{PREFIXES} <x> :has [ :is <y> ], [ :is <z> ] . _:b :is <x> ."
    first = list(read_graph(file("a.ttl", content)).triples())
    (tmp_path / "moved").mkdir()
    assert list(read_graph((tmp_path / "a.ttl").rename(tmp_path / "moved" / "a.ttl")).triples()) == first
    assert ("file:///x", "http://e/has", "_:a-1") in first


def test_imports_in_a_circle_are_read_once_each(file):
    path = file("a.ttl", f"{PREFIXES} <> owl:imports <sub/b.ttl> . :a :r :b .")
    file("sub/b.ttl", f"{PREFIXES} <> owl:imports <c.nt>, <b.ttl> . :b :r :c .")
    file(
        "sub/c.nt",
        "<http://e/> <http://www.w3.org/2002/07/owl#imports> <b.ttl> .\n<http://e/c> <http://e/r> <http://e/a> .",
    )
    graph = read_graph(path)
    assert {triple.subject for triple in graph.triples()} == {"http://e/a", "http://e/b", "http://e/c"}
    assert graph.report.as_dict() == {"kept": 3, "skipped": {"import of another ontology, which is no edge": 4}}


@pytest.mark.parametrize("target", ["http://e.org/far.ttl", "gone.ttl", "../outside.ttl", "/etc/passwd", "other.txt"])
def test_an_import_from_elsewhere_is_counted_not_followed(target, file):
    file("outside.ttl", f"{PREFIXES} :x :r :y .")
    file("in/other.txt", "a\tr\tb\n")
    graph = read_graph(file("in/a.ttl", f"{PREFIXES} <> owl:imports <{target}> . :a :r :b ."))
    assert graph.report.as_dict() == {
        "kept": 1,
        "skipped": {"import that is not followed: no file beside this one": 1},
    }


def test_what_is_no_turtle_is_refused_with_its_line(file, complaint):
    message = complaint(read_graph, file("a.ttl", f"{PREFIXES}\n:a :r :b\n:c :d :e .\n"))
    assert "a.ttl:5: is not Turtle (expected '.'" in message
    assert "is not Turtle" in complaint(read_graph, file("b.ttl", b"<a> <b> \xff ."))
    assert "is not Turtle" in complaint(read_graph, file("c.ttl", "[" * 5000))


def test_without_rdflib_the_error_says_what_to_install(file, monkeypatch, complaint):
    monkeypatch.setitem(sys.modules, "rdflib", None)
    message = complaint(read_graph, file("a.ttl", TURTLE))
    assert message.endswith("is Turtle, which rdflib reads, and that is not installed; pip install 'kadapter[rdf]'")
