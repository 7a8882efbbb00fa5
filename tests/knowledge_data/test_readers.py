import json
import shutil
from collections import Counter

import pytest

from knowledge_data import (
    READERS,
    RELATION_FEATURES,
    ReadReport,
    read_fewrel,
    read_knowledgenet,
    read_redocred,
    read_semeval,
    read_tacred,
    read_trex,
    sample_path,
)

SAMPLES = {
    "fewrel": (10, {}),
    "knowledgenet": (
        9,
        {"passage of the fact is missing": 1, "passage without a fact: nothing is marked": 2},
    ),
    "redocred": (12, {"no sentence holds both entities": 3}),
    "relation-rows": (12, {}),
    "semeval": (12, {}),
    "tacred": (12, {}),
    "trex": (12, {}),
}


def said(reading):
    """Subject, relation and object of every row, as the text has them."""
    return [
        (
            row["text"][row["subject_start"] : row["subject_end"]],
            row["relation"],
            row["text"][row["object_start"] : row["object_end"]],
        )
        for row in reading.rows
    ]


def ids(reading):
    return list(zip(reading.rows["subject_id"], reading.rows["object_id"], strict=True))


@pytest.mark.parametrize("name", READERS)
def test_samples_are_read_whole(name):
    reading = READERS[name](sample_path(name))
    kept, skipped = SAMPLES[name]
    assert reading.report == ReadReport(kept, Counter(skipped))
    assert reading.rows.num_rows == kept
    assert reading.rows.features == RELATION_FEATURES
    assert set(reading.rows["phrasing"]) == {""}


@pytest.mark.parametrize("name", READERS)
def test_gzip_makes_no_difference(name, zipped):
    assert READERS[name](zipped(name)).rows.to_list() == READERS[name](sample_path(name)).rows.to_list()


def test_a_missing_file_may_lie_there_gzipped(zipped):
    path = zipped("trex").with_suffix("")
    assert not path.exists()
    assert read_trex(path).report.kept == 12


def test_trex():
    reading = read_trex(sample_path("trex"))
    assert reading.rows[0]["text"] == "Trams still climb the hills of Lisbon , the capital of Portugal ."
    assert said(reading)[0] == ("Portugal", "P36", "Lisbon")
    assert said(reading)[6] == ("Johann Sebastian Bach", "P19", "Eisenach")
    assert ids(reading)[6] == ("Q1339", "Q7070")


def test_trex_is_an_array_or_lines(source):
    lines = sample_path("trex").read_text().splitlines()
    array = source("trex", json.dumps([json.loads(line) for line in lines]).encode())
    assert read_trex(array).rows.to_list() == read_trex(sample_path("trex")).rows.to_list()


def test_trex_without_ids(edited):
    def forget(records):
        del records[0]["subj_label"]
        records[0]["obj_label"] = None

    assert ids(read_trex(edited("trex", forget)))[0] == ("portugal", "lisbon")


def test_tacred():
    reading = read_tacred(sample_path("tacred"))
    assert said(reading)[1] == ("Tomas Okoye", "per:employee_of", "Quill Press")
    assert ids(reading)[1] == ("tomas okoye", "quill press")
    assert Counter(reading.rows["relation"])["no_relation"] == 2


def test_fewrel():
    reading = read_fewrel(sample_path("fewrel"))
    assert said(reading)[7] == ("Mona Lisa", "P170", "Leonardo da Vinci")
    assert ids(reading)[7] == ("Q12418", "Q762")


def test_fewrel_takes_the_first_mention():
    rows = read_fewrel(sample_path("fewrel")).rows
    rome = next(row for row in rows if row["text"].count("Rome") == 2)
    assert (rome["subject_start"], rome["subject_end"]) == (0, 4)


def test_semeval_keeps_the_direction():
    reading = read_semeval(sample_path("semeval"))
    assert said(reading)[0] == ("frost", "Cause-Effect(e1,e2)", "cracks")
    assert said(reading)[1] == ("headache", "Cause-Effect(e2,e1)", "glare")
    assert reading.rows[11]["text"] == 'Under the "old" clock a small dog was asleep.'
    assert reading.rows[11]["relation"] == "Other"


def test_semeval_with_windows_line_ends_and_byte_order_mark(source):
    content = sample_path("semeval").read_text().replace("\n", "\r\n").encode("utf-8-sig")
    assert (
        read_semeval(source("semeval", content)).rows.to_list() == read_semeval(sample_path("semeval")).rows.to_list()
    )


def test_knowledgenet():
    reading = read_knowledgenet(sample_path("knowledgenet"))
    assert said(reading)[1] == ("Vera Lindqvist", "PLACE_OF_RESIDENCE", "Oslo")
    assert ids(reading)[1] == ("vera lindqvist", "Q585")


def test_knowledgenet_as_it_was_published_has_quotation_marks(tmp_path):
    folder = shutil.copytree(sample_path("knowledgenet"), tmp_path / "copy")
    passages = folder / "passages.tsv"
    passages.write_text(passages.read_text().replace("Before that", '"efore that'))
    assert read_knowledgenet(folder).rows[0]["text"].startswith('"efore that')


def test_redocred():
    reading = read_redocred(sample_path("redocred"))
    assert said(reading)[1] == ("Jorunn Vik", "P19", "Bodo")
    assert reading.rows[1]["text"].startswith("Its keeper , Jorunn Vik , was born in Bodo")


def test_redocred_prefers_evidence_and_keeps_one_id_for_all_names():
    reading = read_redocred(sample_path("redocred"))
    assert said(reading)[3] == ("Salt and Cedar", "P50", "Adeyemi")
    assert ids(reading)[3] == ("salt and cedar", "mirjam adeyemi")


def test_redocred_without_evidence(edited):
    def forget(documents):
        for label in documents[1]["labels"]:
            del label["evidence"]

    assert said(read_redocred(edited("redocred", forget)))[3] == ("Salt and Cedar", "P50", "Mirjam Adeyemi")


def test_redocred_negatives_are_unrelated_pairs():
    plain = read_redocred(sample_path("redocred"))
    reading = read_redocred(sample_path("redocred"), negatives=0.5, seed=3)
    added = [triple for triple in said(reading) if triple[1] == "no_relation"]
    related = {frozenset(pair) for pair in ids(plain)}
    assert len(added) == 6
    assert not related & {frozenset(pair) for pair in ids(reading)[12:]}
    assert said(reading)[:12] == said(plain)


def test_redocred_negatives_follow_the_seed():
    first, again, other = (said(read_redocred(sample_path("redocred"), negatives=1, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_redocred_gives_as_many_negatives_as_there_are():
    few, many = (read_redocred(sample_path("redocred"), negatives=ratio).report.kept for ratio in (100, 1000))
    assert few == many > 12


def test_overlapping_spans_and_duplicates_are_counted(edited):
    def spoil(records):
        records[0] |= {"subj_start": 6, "subj_end": 10}
        records.append(dict(records[1]))

    report = read_trex(edited("trex", spoil)).report
    assert report.as_dict() == {
        "kept": 11,
        "skipped": {"subject and object overlap": 1, "duplicate record": 1},
    }
    assert report.total == 13


def test_reports_add_up():
    report = ReadReport(2, Counter(a=1)) + ReadReport(3, Counter(a=1, b=4))
    assert report == ReadReport(5, Counter(a=2, b=4))


def test_no_usable_record_is_no_row_rather_than_a_crash(source):
    header = "fold\tpassage_id\tproperty\tsubject_start\tsubject_end\tobject_start\tobject_end\t"
    facts = f"{header}subject_wikidata\tobject_wikidata\n1\tnowhere\tCEO\t0\t1\t2\t3\t\t\n"
    reading = read_knowledgenet(source("knowledgenet", facts.encode()))
    assert (reading.report.kept, reading.rows.num_rows) == (0, 0)
    assert reading.rows.features == RELATION_FEATURES
