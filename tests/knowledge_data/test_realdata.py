import pytest

from knowledge_data import (
    by_sentences,
    check_no_pair_shared,
    published_splits,
    read_codah,
    read_conllu,
    read_cosmosqa,
    read_fewrel,
    read_knowledgenet,
    read_piqa,
    read_published,
    read_redocred,
    read_semeval,
    read_sick,
    read_tagged,
    read_typing,
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


CROSSNER = {"politics": 1392, "science": 1193, "music": 945, "literature": 916}


@pytest.mark.parametrize(("domain", "sentences"), CROSSNER.items())
def test_crossner(domain, sentences, data_folder):
    parts, report = read_published(data_folder / "crossner" / domain, read_tagged, [".txt"])
    assert list(parts) == ["train", "validation", "test"]
    assert report.total == sentences
    assert report.skipped.total() < 12


def test_crossner_politics_by_split(data_folder):
    folder = data_folder / "crossner" / "politics"
    assert [read_tagged(folder / f"{name}.txt").report.total for name in ("train", "dev", "test")] == [200, 541, 651]


def test_crossner_mentions(data_folder):
    folders = [data_folder / "crossner" / domain for domain in CROSSNER]
    reports = [read_published(folder, read_typing, [".txt"])[1] for folder in folders]
    assert sum(report.total for report in reports) == 27_297
    assert sum(report.kept for report in reports) == 27_083


def test_crossner_types(data_folder):
    rows = read_published(data_folder / "crossner" / "politics", read_typing, [".txt"])[0]
    assert len({kind for part in rows.values() for kinds in part["types"] for kind in kinds}) == 9


def test_wnut17(data_folder):
    parts, report = read_published(data_folder / "wnut17", read_tagged, [".conll"])
    assert {name: part.num_rows for name, part in parts.items()} == {"train": 3303, "validation": 1007}
    assert report.total == 3394 + 1009


@pytest.mark.parametrize(("file", "mentions"), [("wnut17train.conll", 1975), ("emerging.dev.conll", 836)])
def test_wnut17_mentions(file, mentions, data_folder):
    assert read_typing(data_folder / "wnut17" / file).report.total == mentions


@pytest.mark.parametrize(
    ("read", "file", "questions"),
    [
        (read_cosmosqa, "cosmosqa/valid.csv", 2985),
        (read_piqa, "piqa/valid.jsonl", 1838),
        (read_codah, "codah/full_data.tsv", 2776),
    ],
)
def test_multiple_choice(read, file, questions, data_folder):
    report = read(data_folder / file).report
    assert report.kept == report.total == questions


def test_sick(data_folder):
    parts, report = read_published(data_folder / "sick", read_sick, [".txt"])
    assert report.total == 4500 + 500
    assert set(parts["train"]["label"]) == {"entailment", "neutral", "contradiction"}
    splits = published_splits(parts, by_sentences, seed=0)
    assert splits["test"].num_rows == 500
    assert not set(by_sentences(splits["train"])) & set(by_sentences(splits["validation"]))
    assert splits["validation"].num_rows > 400


@pytest.mark.parametrize(
    ("file", "sentences", "words"),
    [
        ("UD_English-EWT/en_ewt-ud-train-reviews", 2725, 44_811),
        ("UD_English-EWT/en_ewt-ud-train-weblog", 1585, 35_053),
        ("UD_English-EWT/en_ewt-ud-dev", 2001, 25_147),
        ("UD_English-Atis/en_atis-ud-dev", 572, 6644),
        ("UD_English-Atis/en_atis-ud-test", 586, 6580),
        ("UD_Chinese-GSDSimp/zh_gsdsimp-ud-dev", 500, 12_663),
        ("UD_Chinese-GSDSimp/zh_gsdsimp-ud-test", 500, 12_012),
        ("UD_German-GSD/de_gsd-ud-dev", 799, 12_480),
        ("UD_German-GSD/de_gsd-ud-test", 977, 16_499),
    ],
)
def test_treebanks(file, sentences, words, data_folder):
    reading = read_conllu(data_folder / "ud" / f"{file}.conllu")
    assert reading.report.kept == reading.report.total == sentences
    assert sum(map(len, reading.rows["words"])) == words
