import gzip

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_data import (
    DataError,
    Reading,
    ReadReport,
    files_by_split,
    published_splits,
    read_published,
    split_by_group,
)


def rows_of(texts):
    return Dataset.from_list([{"text": text} for text in texts])


def by_text(rows):
    return [(text,) for text in rows["text"]]


def numbered(start, end):
    return rows_of(f"t{number}" for number in range(start, end))


def texts(splits):
    return {name: sorted(rows["text"]) for name, rows in splits.items()}


def read_lines(path):
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().split()
    return Reading(rows_of(lines), ReadReport(len(lines)))


@pytest.fixture
def folder(tmp_path):
    """Gives a folder with files of these names; each holds its own name."""

    def write(*names):
        for name in names:
            (tmp_path / name).write_text(name)
        return tmp_path

    return write


def test_files_are_told_by_what_their_names_hold(folder):
    found = files_by_split(
        folder("wnut17train.conll", "emerging.dev.conll", "README.conll", "notes-test.md"), [".conll"]
    )
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "train": ["wnut17train.conll"],
        "validation": ["emerging.dev.conll"],
    }


@pytest.mark.parametrize("name", ["dev.txt", "SICK_trial.txt", "Valid.txt", "validation.txt.gz"])
def test_words_for_validation(name, folder):
    assert list(files_by_split(folder("train.txt", name), [".txt"])) == ["train", "validation"]


def test_a_split_may_have_several_files(folder):
    names = ["en-ud-train-b.conllu", "en-ud-train-a.conllu", "en-ud-test.conllu"]
    found = files_by_split(folder(*names), [".conll", ".conllu"])
    assert [path.name for path in found["train"]] == ["en-ud-train-a.conllu", "en-ud-train-b.conllu"]
    assert list(found) == ["train", "test"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["dev.txt"], r"has no training file: no name holds 'train' and ends in \.txt or \.tsv; rename it"),
        (["train.csv"], r"has no training file"),
        (["train-dev.txt"], r"train-dev\.txt: is named after train and validation; let its name say one of them"),
    ],
)
def test_folders_that_say_too_little_or_too_much(names, words, folder):
    with pytest.raises(DataError, match=words):
        files_by_split(folder(*names), [".txt", ".tsv"])


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: is no folder; check the path"):
        files_by_split(tmp_path / "nowhere", [".txt"])


def test_a_folder_is_read_by_split(folder, tmp_path):
    folder("train-b.txt", "train-a.txt", "test.txt")
    (tmp_path / "train-c.txt.gz").write_bytes(gzip.compress(b"x y"))
    rows, report = read_published(tmp_path, read_lines, [".txt"])
    assert {name: list(part["text"]) for name, part in rows.items()} == {
        "train": ["train-a.txt", "train-b.txt", "x", "y"],
        "test": ["test.txt"],
    }
    assert report.kept == 5


def test_a_file_is_all_for_training(folder):
    rows, report = read_published(folder("dev.txt") / "dev.txt", read_lines, [".csv"])
    assert (list(rows), report.kept) == (["train"], 1)


def test_three_published_splits_stay_as_they_are():
    parts = {"train": numbered(0, 5), "validation": numbered(4, 6), "test": numbered(6, 9)}
    assert texts(published_splits(parts, by_text, seed=0)) == texts(parts)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_the_second_of_two_published_splits_is_for_testing(name):
    splits = published_splits({"train": numbered(0, 100), name: numbered(100, 120)}, by_text, seed=0)
    assert list(splits) == ["train", "validation", "test"]
    assert texts(splits)["test"] == sorted(f"t{number}" for number in range(100, 120))
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 85, "validation": 15, "test": 20}


def test_a_training_split_alone_is_split_in_three():
    rows = numbered(0, 100)
    assert texts(published_splits({"train": rows}, by_text, 3)) == texts(split_by_group(rows, by_text(rows), 3))


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=8).filter(lambda all: len(set(all)) > 7), st.integers(), st.randoms()
)
@settings(max_examples=30)
def test_what_is_held_out_shares_no_group(all_texts, seed, random):
    parts = {"train": rows_of(all_texts), "test": rows_of("xyz")}
    splits = texts(published_splits(parts, by_text, seed))
    assert not set(splits["train"]) & set(splits["validation"])
    assert sorted(splits["train"] + splits["validation"]) == sorted(all_texts)
    random.shuffle(all_texts)
    assert texts(published_splits(parts | {"train": rows_of(all_texts)}, by_text, seed)) == splits


@pytest.mark.parametrize("parts", [{}, {"test": numbered(0, 3)}])
def test_there_must_be_something_to_train_on(parts):
    with pytest.raises(DataError, match=r"there is no training split, only (nothing|test); give train"):
        published_splits(parts, by_text, seed=0)


def test_too_little_to_hold_out():
    with pytest.raises(DataError, match=r"too few pairs or texts: 2 leave split 'validation' empty"):
        published_splits({"train": numbered(0, 2), "test": numbered(5, 6)}, by_text, seed=0)
