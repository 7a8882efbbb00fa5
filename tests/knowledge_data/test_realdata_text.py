"""Probes, and texts aligned with a graph, as they are published."""

import gzip
import json
from collections import Counter

import pytest

from knowledge_data import (
    Aligner,
    AlignOptions,
    EntityFacts,
    Fact,
    Names,
    entities_of,
    join_tokens,
    overlap,
    probe_facts,
    read_fewrel,
    read_graph,
    read_probe,
)

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize(
    ("name", "path", "records", "skipped"),
    [
        ("bear", "bear", 7_071, {}),
        ("blimp", "blimp/BLiMP.zip", 67_000, {"good and bad sentence are the same": 7}),
        ("lm-kbc", "lm_kbc_2022/train.jsonl", 1_200, {}),
        ("lm-kbc", "lm_kbc_2022/dev.jsonl", 594, {}),
        ("numersense", "numersense/train.masked.tsv", 10_444, {}),
        ("numersense", "numersense/validation.masked.tsv", 200, {}),
        ("pararel", "pararel", 25_807, {"duplicate record": 8}),
    ],
)
def test_probes(name, path, records, skipped, data_folder):
    reading = read_probe(name, data_folder / path)
    assert (reading.report.total, dict(reading.report.skipped)) == (records, skipped)
    assert reading.rows.num_rows == records - sum(skipped.values())


def test_relations_of_probes(data_folder):
    bear, pararel = (read_probe(name, data_folder / name).rows for name in ("bear", "pararel"))
    assert (len(set(bear["relation"])), len(set(pararel["relation"]))) == (55, 36)
    phrasings = {(row["relation"], phrasing) for row in pararel for phrasing in row["phrasings"]}
    # 277 patterns, and a template for each of two relations without patterns.
    assert len(phrasings) == 279
    assert all(row["objects"][0] in row["candidates"] and row["object_ids"] for row in bear)


def test_objects_of_lm_kbc(data_folder):
    rows = read_probe("lm-kbc", data_folder / "lm_kbc_2022" / "train.jsonl").rows
    assert len(set(rows["relation"])) == 12
    assert sum(not objects for objects in rows["objects"]) == 186


def test_phenomena_of_blimp(data_folder):
    rows = read_probe("blimp", data_folder / "blimp" / "BLiMP.zip").rows
    counts = Counter(rows["phenomenon"])
    assert len(counts) == 67
    assert min(counts.values()) > 990


def test_bear_asks_for_facts_of_codex(data_folder):
    graph = read_graph(data_folder / "codex" / "codex-s" / "train.txt")
    asked = probe_facts(read_probe("bear", data_folder / "bear").rows)
    found = overlap((Fact(*triple) for triple in graph.triples()), asked)
    assert 20 < len(found.triples) <= len(found.pairs) < 7_071


def names_of_entities(data_folder):
    """Wikidata id -> label and aliases, of Freebase's entities and those of BEAR."""
    path = data_folder / "fb15k237_entities" / "entity2wikidata.json.gz"
    told = json.loads(gzip.decompress(path.read_bytes())).values()
    names = {
        entity["wikidata_id"]: EntityFacts(entity["label"], tuple(entity.get("alternatives", ())))
        for entity in told
        if entity.get("wikidata_id")
    }
    for row in read_probe("bear", data_folder / "bear").rows:
        ids = (row["subject_id"], *row["object_ids"])
        for entity, label in zip(ids, (row["subject"], *row["objects"]), strict=True):
            names.setdefault(entity, EntityFacts(label))
    return names


@pytest.fixture
def codex(data_folder):
    """CoDEx-M, with the names that other sets give its entities."""
    folder, names = data_folder / "codex" / "codex-m", names_of_entities(data_folder)
    return read_graph(folder / "train.txt.gz", entities=names)


def test_an_alignment_of_wikipedia_agrees_with_what_people_marked(codex, data_folder):
    """Re-DocRED: of the aligned pairs that people marked, about two in three have the relation for them, too."""
    documents = json.loads(gzip.decompress((data_folder / "redocred" / "dev_revised.json.gz").read_bytes()))
    relations = {label["r"] for document in documents for label in document["labels"]}
    aligner = Aligner(codex, Names.of(entities_of(codex)), AlignOptions(whole=True))
    marked = right = 0
    for document in documents:
        facts = {(label["h"], label["t"], label["r"]) for label in document["labels"]}
        for number, tokens in enumerate(document["sents"]):
            mentions = [
                (entity, mention["pos"][0], mention["pos"][1] - 1)
                for entity, of_entity in enumerate(document["vertexSet"])
                for mention in of_entity
                if mention["sent_id"] == number
            ]
            text, spans = join_tokens(tokens, *((first, last) for _, first, last in mentions))
            entity_at = dict(zip(spans, (entity for entity, *_ in mentions), strict=True))
            for row in aligner.sentence_rows(text):
                pair = entity_at.get(row.subject), entity_at.get(row.object)
                if None not in pair and row.relation in relations:
                    marked += 1
                    right += (*pair, row.relation) in facts
    assert marked > 100
    assert 0.55 < right / marked < 0.8


def test_an_alignment_of_fewrel_finds_its_relations(codex, data_folder):
    """FewRel: where the marked pair is aligned in its direction, nearly always with the marked relation."""
    aligner = Aligner(codex, Names.of(entities_of(codex)), AlignOptions(whole=True))
    marked = right = 0
    for row in read_fewrel(data_folder / "fewrel" / "val_wiki.json.gz").rows:
        for found in aligner.sentence_rows(row["text"]):
            if (found.subject, found.object) == tuple(
                (row[f"{role}_start"], row[f"{role}_end"]) for role in ("subject", "object")
            ):
                marked += 1
                right += found.relation == row["relation"]
    assert marked > 30
    assert right / marked > 0.9
