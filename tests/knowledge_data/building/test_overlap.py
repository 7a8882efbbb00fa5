import pytest

from knowledge_data import (
    DataError,
    Fact,
    GraphOptions,
    build,
    overlap,
    probe_facts,
    read_facts,
    read_probe,
    row_facts,
    sample_path,
)

HARBOUR = sample_path("harbour")


def test_pairs_are_shared_in_either_direction_and_triples_in_one():
    training = [Fact("a", "r", "b"), Fact("c", "r", "d"), Fact("e", "r", "f")]
    probe = [Fact("a", "r", "b"), Fact("d", "r", "c"), Fact("x", "r", "y"), Fact("a", "s", "b")]
    found = overlap(training, probe)
    assert (found.pairs, found.triples) == ([("a", "b"), ("c", "d")], [("a", "r", "b")])
    assert (found.training, found.probe, found.probe_pairs, found.unknown) == (3, 4, 3, 0)
    assert found.as_dict()["pairs_share"] == 0.6667


def test_labels_are_compared_without_regard_to_case_and_spaces():
    found = overlap(
        [Fact("Q1", "r", "Q2", "Old  Teal", "KESSPORT")], [Fact("", "", "", "old teal", "Kessport")], "labels"
    )
    assert found.pairs == [("kessport", "old teal")]
    assert (
        overlap([Fact("Q1", "r", "Q2", "Old Teal")], [Fact("", "", "", "Old Teal", "Kessport")], "labels").unknown == 1
    )


def test_a_graph_and_what_was_built_of_it_share_everything(tmp_path):
    said = GraphOptions(templates=str(HARBOUR / "templates.yaml"), labels=str(HARBOUR / "labels.tsv"), negatives=0)
    build(HARBOUR / "triples.tsv", tmp_path / "built", said)
    triples = list(read_facts(HARBOUR / "triples.tsv", str(HARBOUR / "labels.tsv")))
    for by in ("ids", "labels"):
        found = overlap(read_facts(tmp_path / "built"), triples, by)
        assert len(found.triples) == len(triples) == 45
        assert len(found.pairs) == found.probe_pairs


@pytest.mark.parametrize("kind", ["bear", "pararel", "lama"])
def test_probes_are_compared(kind):
    rows = read_probe(kind, sample_path(kind)).rows
    asked = [fact for fact in probe_facts(rows) if fact.subject_label and fact.object_label]
    training = [Fact("", "", "", asked[0].object_label.upper(), asked[0].subject_label)]
    assert len(overlap(training, asked, "labels").pairs) == 1


def test_aligned_rows_have_facts():
    found = overlap(read_facts(sample_path("relation-rows").parent / "rows.jsonl"), [])
    assert found.training == 12


def test_rows_without_ids_have_no_facts(tmp_path):
    files = {name: str(HARBOUR / f"{name}.tsv") for name in ("labels", "types")}
    said = GraphOptions(templates=str(HARBOUR / "templates.yaml"), objective="typing", **files)
    build(HARBOUR / "triples.tsv", tmp_path / "built", said)
    with pytest.raises(DataError, match="built/train: has rows without subject_id and object_id, but with text, start"):
        list(read_facts(tmp_path / "built"))


def test_facts_of_rows_in_memory():
    from knowledge_data import read_trex

    facts = list(row_facts(read_trex(sample_path("trex")).rows))
    assert all(fact.subject and fact.object and fact.subject_label for fact in facts)


@pytest.mark.realdata
def test_codex_and_bear_share_facts(data_folder):
    bear = list(probe_facts(read_probe("bear", data_folder / "bear").rows))
    found = overlap(read_facts(data_folder / "codex" / "codex-s"), bear)
    assert (found.training, found.probe) == (36543, 7071)
    assert found.pairs
