"""The published graphs, with the counts that their collection names."""

import pytest

from knowledge_data import (
    GRAPHS,
    describe_graph,
    iter_triples,
    partition,
    read_entities,
    read_graph,
    read_published_graph,
    read_relations,
)

pytestmark = pytest.mark.realdata

LOOPS = "self-loop: subject and object are the same"

TRIPLES = [
    ("codex/codex-s/train.txt", 32_888),
    ("codex/codex-s/valid.txt", 1827),
    ("codex/codex-s/test.txt", 1828),
    ("codex/codex-s/valid_negatives.txt", 1827),
    ("codex/codex-s/test_negatives.txt", 1828),
    ("codex/codex-m/train.txt", 185_584),
    ("codex/codex-m/valid.txt", 10_310),
    ("codex/codex-m/test.txt", 10_311),
    ("codex/codex-m/valid_negatives.txt", 10_310),
    ("codex/codex-m/test_negatives.txt", 10_311),
    ("fb15k237_entities/valid.txt", 17_535),
    ("fb15k237_entities/test.txt", 20_466),
    ("wn18rr/train.txt", 86_835),
    ("wn18rr/valid.txt", 3034),
    ("wn18rr/test.txt", 3134),
    ("wn18rr/synset_ids/train.txt", 86_835),
    ("wn18rr/synset_ids/valid.txt", 3034),
    ("wn18rr/synset_ids/test.txt", 3134),
    ("small_kgs/umls/train.txt", 5216),
    ("small_kgs/umls/valid.txt", 652),
    ("small_kgs/umls/test.txt", 661),
    ("small_kgs/nations/train.txt", 1592),
    ("small_kgs/nations/valid.txt", 199),
    ("small_kgs/nations/test.txt", 201),
    ("small_kgs/kinships/train.txt", 8544),
    ("small_kgs/kinships/valid.txt", 1068),
    ("small_kgs/kinships/test.txt", 1074),
]


@pytest.mark.parametrize(("file", "count"), TRIPLES)
def test_triples(file, count, data_folder):
    report = read_graph(data_folder / file).report
    assert report.total == count
    assert set(report.skipped) <= {LOOPS}


# name -> entities, triples, relations, self-loops, entities with a label, a type, a description
GRAPH_COUNTS = {
    "codex-m": (17_050, 206_205, 51, 0, 366, 17_050, 0),
    "codex-s": (2034, 36_543, 42, 0, 147, 2034, 0),
    "fb15k237": (12_011, 37_820, 224, 181, 11_989, 0, 11_275),
    "kinships": (104, 10_686, 25, 0, 0, 0, 0),
    "nations": (14, 1992, 55, 0, 0, 0, 0),
    "umls": (135, 6529, 46, 0, 135, 0, 135),
    "wn18rr": (41_105, 92_994, 11, 9, 41_105, 0, 0),
    "wn18rr-ids": (40_943, 92_994, 11, 9, 40_943, 0, 40_943),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_with_all_that_is_known(name, data_folder):
    report = describe_graph(read_published_graph(name, data_folder / GRAPHS[name].folder))
    known = (report["entities"] - report["missing"][what] for what in ("label", "types", "description"))
    loops = report["read"]["skipped"].get(LOOPS, 0)
    counts = (report["entities"], report["triples"], report["relations"], loops, *known)
    assert counts == GRAPH_COUNTS[name]
    assert report["licence"]


@pytest.mark.parametrize(
    ("name", "relation"), [("wn18rr", "_derivationally_related_form"), ("codex-s", "P3373"), ("umls", "degree_of")]
)
def test_symmetric_relations_are_found(name, relation, data_folder):
    report = describe_graph(read_published_graph(name, data_folder / GRAPHS[name].folder))
    assert relation in [entry["relation"] for entry in report["symmetric"] if entry["share"] == 1]


SIDE_FILES = [
    ("entities", "fb15k237_entities/entity2wikidata.json", 14_515),
    ("types", "codex/entity2types.json", 77_951),
    ("labels", "codex/types_en.json", 3442),
    ("descriptions", "wn18rr/entity2text.txt", 40_943),
    ("labels", "small_kgs/umls/entity2text.txt", 135),
    ("descriptions", "small_kgs/umls/entity2textlong.txt", 135),
    ("labels", "geonames/countries.json", 252),
]


@pytest.mark.parametrize(("kind", "file", "count"), SIDE_FILES)
def test_side_files_about_entities(kind, file, count, data_folder):
    assert len(read_entities(**{kind: data_folder / file})) == count


@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("codex/relations_en.json", 71),
        ("wn18rr/relation2text.txt", 11),
        ("small_kgs/umls/relation2text.txt", 46),
        ("fewrel/pid2name.json", 744),
        ("pararel/LAMA_relations.jsonl", 46),
    ],
)
def test_side_files_about_relations(file, count, data_folder):
    known = read_relations(data_folder / file)
    assert len(known) == count
    assert all(facts.label for facts in known.values())


def test_names_for_codex_from_other_sets(data_folder):
    freebase = read_entities(entities=data_folder / "fb15k237_entities/entity2wikidata.json", id_field="wikidata_id")
    others = [data_folder / "codex/types_en.json", *sorted((data_folder / "bear").glob("P*.jsonl"))]
    graph = read_graph(data_folder / "codex/codex-s", entities=freebase, labels=others)
    named = {node for node, known in graph.network.nodes(data=True) if known.get("label")}
    assert len(named) == 1193
    assert sum({subject, object_} <= named for subject, _, object_ in graph.triples()) == 18_980


def test_a_large_graph_in_parts(data_folder):
    found = partition(read_published_graph("wn18rr", data_folder / "wn18rr"), 5)
    sizes = [part.network.number_of_edges() for part in found.parts]
    assert sum(sizes) == 92_994
    assert max(sizes) <= 1.1 * 92_994 / 5
    assert found.crossing < 0.2 * 92_994


def test_folders_stream_all_their_splits(data_folder):
    assert sum(1 for _ in iter_triples(data_folder / "codex" / "codex-m")) == 206_205
