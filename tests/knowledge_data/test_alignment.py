import gzip
import json
from collections import Counter
from itertools import pairwise

import networkx as nx
import pytest
from datasets import load_from_disk
from hypothesis import given
from hypothesis import strategies as st

from knowledge_data import (
    Aligner,
    AlignOptions,
    DataError,
    KnowledgeGraph,
    Names,
    build_alignment,
    entities_of,
    read_graph,
    read_relation_rows,
    sample_path,
    sentence_spans,
    stream_texts,
)

HARBOUR = sample_path("trex").parent / "harbour"
LOG = HARBOUR / "log.txt"


def graph_of(*triples):
    network = nx.MultiDiGraph()
    for subject, relation, object_ in triples:
        network.add_edge(subject, object_, key=relation)
    return KnowledgeGraph(network)


def aligner(graph, ambiguous="label", **options):
    return Aligner(graph, Names.of(entities_of(graph), "exact", ambiguous), AlignOptions(**options))


def said(row):
    return row.text[slice(*row.subject)], row.relation, row.text[slice(*row.object)]


@pytest.fixture(scope="module")
def harbour():
    return read_graph(HARBOUR / "triples.tsv", labels=HARBOUR / "labels.tsv")


@pytest.fixture
def build(harbour, tmp_path):
    """Aligns a corpus with the harbour, and gives the folder and what is told."""

    def run(text=LOG, output="out", options=None, **more):
        names = Names.of(entities_of(harbour))
        return tmp_path / output, build_alignment(harbour, names, text, tmp_path / output, options, **more)

    return run


# --- sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Mr. J. R. Smith met Dr. Who. He left.", ["Mr. J. R. Smith met Dr. Who.", "He left."]),
        ("He saw the U.S. Embassy. Inc. is short.", ["He saw the U.S. Embassy.", "Inc. is short."]),
        ('"Yes!" she said. "No." Then he left.', ['"Yes!" she said.', '"No."', "Then he left."]),
        ("It cost 3.5 euros at kadapter.org today.", ["It cost 3.5 euros at kadapter.org today."]),
        ("  One\n\n Two  ", ["One", "Two"]),
        ("她来了。他走了！", ["她来了。", "他走了！"]),
        ("", []),
        (" \n ", []),
    ],
)  # fmt: skip
def test_sentences(text, sentences):
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@given(text=st.text(st.sampled_from("aB.!?。 \n\"')Mr"), max_size=60))
def test_sentences_hold_all_that_is_written_in_order(text):
    spans = sentence_spans(text)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


# --- pairs


def test_each_relation_of_a_pair_gives_a_row_in_its_direction():
    known = graph_of(
        ("Ada", "sails", "Gull"), ("Gull", "fears", "Ada"), ("Ada", "owns", "Gull"), ("Ada", "born", "Port")
    )
    rows = aligner(known).sentence_rows("The Gull obeys Ada.")
    assert sorted(map(said, rows)) == [("Ada", "owns", "Gull"), ("Ada", "sails", "Gull"), ("Gull", "fears", "Ada")]
    assert {(row.subject_id, row.object_id) for row in rows} == {("Ada", "Gull"), ("Gull", "Ada")}


@pytest.mark.parametrize(
    ("sentence", "subject", "object_"),
    [
        ("Ada said: the Gull is mine, and then Ada left the Gull.", (37, 40), (50, 54)),
        ("Ada has the Gull, said Ada of the Gull.", (23, 26), (12, 16)),
        ("Gull, Gull, said Ada, oh Gull.", (17, 20), (25, 29)),
    ],
)
def test_of_several_mentions_the_nearest_two_are_marked(sentence, subject, object_):
    rows = aligner(graph_of(("Ada", "sails", "Gull"))).sentence_rows(sentence)
    assert [(row.subject, row.object) for row in rows] == [(subject, object_)]


def test_every_sentence_is_counted_once():
    known = aligner(graph_of(("A1", "r", "B1"), ("C1", "r", "D1")), most=3)
    texts = ["A1 is B1. A1 is C1. A1. Nothing.", "A1 B1 C1 D1", "A1 A1"]
    list(known.rows((str(number), text) for number, text in enumerate(texts)))
    report = known.report
    assert (report.texts, report.sentences, report.related) == (3, 6, 1)
    assert report.skipped == {
        "sentence that names fewer than two entities": 3,
        "sentence whose entities the graph does not relate": 1,
        "sentence that names too many entities": 1,
    }
    assert report.related + report.skipped.total() == report.sentences


def test_a_name_of_several_entities_means_none_of_them_or_each():
    network = graph_of(("q1", "in", "q3"), ("q2", "in", "q4")).network
    for entity, label in (("q1", "Georgia"), ("q2", "Georgia"), ("q3", "Asia"), ("q4", "America")):
        network.nodes[entity]["label"] = label
    known = KnowledgeGraph(network)
    unclear = aligner(known)
    assert unclear.sentence_rows("Georgia lies in Asia.") == []
    assert unclear.report.ambiguous == {"Georgia": 1}
    assert unclear.report.as_dict()["most frequent ambiguous names"] == {"Georgia": 1}
    rows = aligner(known, "all").sentence_rows("Georgia lies in Asia.")
    assert [(row.subject_id, row.object_id) for row in rows] == [("q1", "q3")]


def test_without_any_label_ids_are_names():
    assert [facts.label for _, facts in entities_of(graph_of(("Ada", "sails", "Gull")))] == ["Ada", "Gull"]


# --- pairs without a relation


@given(ratio=st.sampled_from([0.0, 0.3, 1.0, 2.5]), seed=st.integers(0, 3))
def test_as_many_pairs_without_a_relation_as_the_ratio_allows(ratio, seed):
    known = graph_of(("A1", "r", "B1"), ("C1", "s", "D1"))
    made = aligner(known, negatives=ratio, seed=seed)
    related = unrelated = 0
    for row in made.rows(("x", "A1 saw B1 with C1 and D1.") for _ in range(8)):
        related, unrelated = related + (row.relation != "no_relation"), unrelated + (row.relation == "no_relation")
        assert unrelated <= ratio * 16
        if row.relation == "no_relation":
            assert {row.subject_id, row.object_id} not in ({"A1", "B1"}, {"C1", "D1"})
    # Four pairs of a sentence have no relation.
    assert (related, unrelated) == (16, min(int(ratio * 16 + 1e-9), 8 * 4))


def test_the_draw_goes_by_the_seed_and_the_sentence():
    known = graph_of(("A1", "r", "B1"), ("C1", "s", "D1"))
    sentence = "A1 saw B1 with C1 and D1."

    def draw(seed):
        rows = aligner(known, negatives=0.5, seed=seed).sentence_rows(sentence)
        return [(row.subject_id, row.object_id) for row in rows if row.relation == "no_relation"]

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in range(20)}) > 3


# --- texts


def test_texts_come_from_lines_and_records_in_files_folders_and_gzip(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "three", "n": 1}\n{"text": "four"}\n'))
    (tmp_path / "c.json").write_text('[{"text": "five"}]')
    assert [text for _, text in stream_texts(tmp_path)] == ["one", "two", "three", "four", "five"]
    assert [where.rpartition("/")[2] for where, _ in stream_texts(tmp_path)] == [
        "a.txt:1", "a.txt:3", "b.jsonl.gz:1", "b.jsonl.gz:2", "c.json: record 1",
    ]  # fmt: skip


def test_records_without_the_text_are_told_or_counted(build, tmp_path):
    corpus = tmp_path / "x.jsonl"
    corpus.write_text(
        '{"said": "The Gull lies in Vellmouth."}\n{"text": "x"}\n{"said": 7}\n{"said": "\\ud800 Gull Vellmouth"}\n'
    )
    with pytest.raises(DataError, match=r"x\.jsonl:2: field 'said' is missing"):
        build(corpus, field="said")
    _, told = build(corpus, field="said", on_error="skip")
    assert told["kept"] == {"rows": 1}
    assert told["dropped"] == {"record without the text": 2, "text that is no valid Unicode": 1}


# --- the whole way


@pytest.mark.parametrize("form", ["jsonl", "arrow"])
def test_what_is_written_is_read_again_in_either_form(form, build):
    folder, told = build(form=form, options=AlignOptions(negatives=0.5), licence="Apache-2.0")
    rows = read_relation_rows(folder).rows
    assert told["kept"] == {"rows": rows.num_rows} == {"rows": 29}
    assert Counter(rows["relation"]) == told["found"]["rows"]
    assert told["content_hash"] == "e7e1aaed0c3b2878"
    assert rows[1]["text"] == "Ada Lorne sails the Gull as she did before."
    assert (rows[1]["subject_id"], rows[1]["relation"], rows[1]["object_id"]) == ("p1", "sails", "b1")
    assert json.loads((folder / "provenance.json").read_text()) == told
    assert (told["licence"], told["seed"], told["inputs"]["text"]["file"]) == ("Apache-2.0", 0, str(LOG))
    if form == "arrow":
        assert load_from_disk(str(folder)).num_rows == 29


def test_every_span_is_a_name_of_its_entity(build, harbour):
    folder, _ = build()
    for row in read_relation_rows(folder).rows:
        for role in ("subject", "object"):
            name = row["text"][row[f"{role}_start"] : row[f"{role}_end"]]
            assert name.casefold() == harbour.entity(row[f"{role}_id"]).label.casefold()


def test_a_corpus_that_gives_nothing_leaves_nothing(build, tmp_path):
    (tmp_path / "x.txt").write_text("Nobody is here.\n")
    with pytest.raises(
        DataError, match=r"no sentence names two entities .* {'sentence that names fewer than two entiti"
    ):
        build(tmp_path / "x.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def test_a_corpus_that_breaks_off_leaves_nothing_or_is_counted(build, tmp_path):
    corpus = tmp_path / "x.txt.gz"
    lines = [f"The Gull lies in Vellmouth on day {number * 7919 % 100_003}." for number in range(20_000)]
    corpus.write_bytes(gzip.compress("\n".join(lines).encode())[:-300])
    with pytest.raises(DataError, match="is not a whole gzip file"):
        build(corpus)
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt.gz"]
    _, told = build(corpus, on_error="skip")
    assert told["dropped"] == {"file that breaks off or cannot be read": 1}
    assert 10_000 < told["kept"]["rows"] < 20_000


def test_a_folder_that_is_there_is_not_touched(build):
    build()
    with pytest.raises(DataError, match="is there already"):
        build()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"most": 1}, "most=1 leaves no pair"), ({"negatives": -1}, "negatives=-1 is below 0")],
)
def test_options_out_of_range(options, message):
    with pytest.raises(DataError, match=message):
        AlignOptions(**options)


def test_an_unknown_form(build):
    with pytest.raises(DataError, match=r"form='csv' is unknown; choose jsonl or arrow"):
        build(form="csv")
