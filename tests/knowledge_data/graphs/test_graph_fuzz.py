"""Bytes changed at random never give anything but a graph or the error of this package."""

import gzip
import json
import random
from collections import Counter
from contextlib import suppress

import networkx as nx
import pytest

from knowledge_data import (
    DataError,
    KnowledgeGraph,
    iter_triples,
    read_entities,
    read_graph,
    read_relations,
    write_graph,
)

ROUNDS = 50

TABLE = 'head\trelation\ttail\nann\tlikes\tböb\nböb\t"likes"\tcid\ncid\tknows\tann\n'
COMMAS = 'subject,relation,object\n"ann, the first",likes,"b ""b"""\nbob,likes,cid\n'
LINES = '{"h": "ann", "r": "likes", "t": "b\\u00f6b"}\n["böb", "likes", "cid"]\n'
STATEMENTS = (
    '<http://e/ann> <http://e/likes> <http://e/b\\u00F6b> .\n_:x <http://e/r> "öl"@de . # note\n_:x <r> _:y .\n'
)
TURTLE = (
    '@prefix : <http://e/> .\n:ann :likes :bob, [ :is "x"@de ] ; a :Person .\n'
    "<> <http://www.w3.org/2002/07/owl#imports> <> .\n"
)
SIDE = '{"ann": {"label": "Ann", "aliases": ["A"], "types": ["person"]}, "bob": "Bob", "cid": ["Cid", "a man"]}'

TOOLS = [
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b"\t",
    b'"',
    b",",
    b"<",
    b">",
    b"\\u",
    b"\\",
    b"{",
    b"]",
    b"[" * 3000,
    b"\xef\xbb\xbf",
    b"9" * 5000,
]


def graphml():
    network = nx.MultiDiGraph()
    network.add_edge("ann", "bob", "r", relation="likes")
    network.add_node("ann", label="Ann", aliases='["A"]')
    return "\n".join(nx.generate_graphml(network))


def node_link():
    network = nx.MultiDiGraph()
    network.add_edge("ann", "böb", "likes")
    network.add_node("ann", label="Ann", types=["person"])
    return json.dumps(nx.node_link_data(network, edges="edges"), ensure_ascii=False)


GRAPHS = {
    "a.tsv": TABLE, "a.txt": TABLE, "a.csv": COMMAS, "a.jsonl": LINES, "a.nt": STATEMENTS, "a.ttl": TURTLE,
    "a.json": node_link(), "a.graphml": graphml(), "a.tsv.gz": TABLE, "a.jsonl.gz": LINES, "a.graphml.gz": graphml(),
}  # fmt: skip
SIDES = {
    "b.json": SIDE,
    "b.jsonl": '{"id": "ann", "label": "Ann"}\n' * 3,
    "b.tsv": "id\tlabel\nann\tAnn\n",
    "b.nt": STATEMENTS,
}


def mutations(content, name):
    """The content, each time with a few bytes replaced, removed, repeated, inserted or cut off."""
    draw = random.Random(name)
    for _ in range(ROUNDS):
        changed = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 5])):
            place = draw.randrange(len(changed) + 1)
            kind = draw.randrange(5)
            if kind == 0:
                changed[place : place + 1] = bytes([draw.randrange(256)])
            elif kind == 1:
                del changed[place : place + draw.randrange(1, 9)]
            elif kind == 2:
                changed[place:place] = changed[place : place + draw.randrange(1, 30)]
            elif kind == 3:
                changed[place:place] = draw.choice(TOOLS)
            else:
                del changed[max(place, len(changed) // 2) :]
        yield bytes(changed)


def packed(content, name):
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def changed_files(name, text, path):
    """Writes the changed file again and again; of gzip files what is packed is changed, too."""
    for changed in mutations(text.encode(), name):
        path.write_bytes(packed(changed, name))
        yield
    if name.endswith(".gz"):
        for changed in mutations(packed(text.encode(), name), name):
            path.write_bytes(changed)
            yield


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_or_an_error(name, tmp_path):
    path, outcomes = tmp_path / name, Counter()
    for number, _ in enumerate(changed_files(name, GRAPHS[name], path)):
        for on_error in ("raise", "skip"):
            try:
                graph = read_graph(path, on_error=on_error)
            except DataError as error:
                outcomes["refused" if "\n" not in str(error) else "badly said"] += 1
            else:
                check(graph, tmp_path / f"{number}-{on_error}.json")
                outcomes["read"] += 1
    assert min(outcomes["read"], outcomes["refused"]) > 2, outcomes
    assert not outcomes["badly said"]


def check(graph, place):
    assert isinstance(graph, KnowledgeGraph)
    assert graph.report.kept == graph.network.number_of_edges() > 0
    assert all(triple.subject != triple.object and all(triple) for triple in graph.triples())
    # Whatever was read can be written.
    write_graph(graph, place)


@pytest.mark.parametrize(
    "name", [name for name in GRAPHS if not name.startswith(("a.ttl", "a.graphml", "a.json."))][:5]
)
def test_a_stream_gives_what_the_whole_gives(name, tmp_path):
    path = tmp_path / name
    for _ in changed_files(name, GRAPHS[name], path):
        try:
            streamed = list(iter_triples(path, on_error="skip"))
        except DataError:
            with pytest.raises(DataError):
                read_graph(path, on_error="skip")
        else:
            assert set(read_graph(path, on_error="skip").triples()) == set(streamed)


@pytest.mark.parametrize(
    "read",
    [
        lambda path, how: read_entities(entities=path, on_error=how),
        lambda path, how: read_entities(labels=path, types=path, on_error=how),
        lambda path, how: read_relations(path, on_error=how),
    ],
)
@pytest.mark.parametrize("name", SIDES)
def test_facts_or_an_error(name, read, tmp_path):
    path = tmp_path / name
    for _ in changed_files(name, SIDES[name], path):
        for on_error in ("raise", "skip"):
            with suppress(DataError):
                # What was read can be written as UTF-8.
                str(read(path, on_error)).encode()
