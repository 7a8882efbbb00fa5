import pytest

from knowledge_data import (
    check_no_pair_shared,
    read_fewrel,
    read_knowledgenet,
    read_redocred,
    read_semeval,
    split_by_pair,
)

pytestmark = pytest.mark.realdata


def test_fewrel(data_folder):
    reading = read_fewrel(data_folder / "fewrel" / "val_wiki.json.gz")
    assert reading.report.kept == reading.report.total == 11_200
    assert len(set(reading.rows["relation"])) == 16
    check_no_pair_shared(split_by_pair(reading.rows, seed=0))


def test_semeval(data_folder):
    reading = read_semeval(data_folder / "semeval2010_task8" / "TRAIN_FILE.TXT")
    assert reading.report.kept == reading.report.total == 8_000
    assert len(set(reading.rows["relation"])) == 19


def test_knowledgenet(data_folder):
    report = read_knowledgenet(data_folder / "knowledgenet").report
    assert report.as_dict() == {
        "kept": 10_888,
        "skipped": {"duplicate record": 7, "passage without a fact: nothing is marked": 2_504},
    }
    assert report.kept + report.skipped["duplicate record"] == 10_895


def test_redocred(data_folder):
    report = read_redocred(data_folder / "redocred" / "dev_revised.json.gz").report
    assert report.total == 17_284
    assert report.kept + report.skipped["subject and object overlap"] == 7_982
    assert report.kept == 7_976


def test_redocred_negatives(data_folder):
    relations = read_redocred(data_folder / "redocred" / "dev_revised.json.gz", negatives=0.5).rows["relation"]
    assert list(relations).count("no_relation") == 3_988
