import gzip
import shutil
from itertools import combinations

import pytest

from kadapter import ConfigError, default_registry
from kadapter.data import content_hash, load_knowledge
from knowledge_data import (
    DOWNSTREAM_READERS,
    DataError,
    by_context,
    by_sentences,
    by_text,
    by_words,
    read_conllu,
    sample_path,
)

READERS = {**DOWNSTREAM_READERS, "conllu": read_conllu}

SOURCES = {
    "codah": ("codah", by_context),
    "conllu": ("conllu", by_words),
    "cosmosqa": ("cosmosqa", by_context),
    "crossner": ("tagged", by_words),
    "crossner-typing": ("typing", by_text),
    "piqa": ("piqa", by_context),
    "sick": ("sick", by_sentences),
    "squad": ("squad", by_context),
    "tagged-typing": ("typing", by_text),
    "tagged-words": ("tagged", by_words),
    "wnut17": ("tagged", by_words),
}
"""Source -> its reader, and what must stay together."""

PUBLISHED = {
    "codah": ("codah-train.tsv", "codah-test.tsv"),
    "conllu": ("en_own-ud-train.conllu", "en_own-ud-dev.conllu"),
    "cosmosqa": ("train.csv", "valid.csv"),
    "crossner": ("train.txt", "dev.txt"),
    "crossner-typing": ("train.txt", "dev.txt"),
    "piqa": ("train.jsonl", "valid.jsonl"),
    "sick": ("SICK_train.txt", "SICK_trial.txt"),
    "squad": ("train-v2.0.json", "dev-v2.0.json"),
    "tagged-typing": ("train.bio", "dev.bio"),
    "tagged-words": ("train.tsv", "test.tsv"),
    "wnut17": ("wnut17train.conll", "emerging.dev.conll"),
}

every_source = pytest.mark.parametrize("name", SOURCES)
limited_source = pytest.mark.parametrize("name", sorted(SOURCES.keys() - {"conllu"}))


def load(name, path=None, **options):
    return load_knowledge({"name": name, "path": str(path or sample_path(SOURCES[name][0])), **options})


def publish(name, folder, files=None):
    """Copies the sample of a source into a folder, under each of these names."""
    sample = sample_path(SOURCES[name][0])
    for file in files or PUBLISHED[name]:
        shutil.copy(sample, folder / file)
        for beside in sample.parent.glob(f"{sample.stem}-*"):
            shutil.copy(beside, folder / beside.name.replace(sample.stem, file.rpartition(".")[0]))
    return folder


def sizes(splits):
    return {name: rows.num_rows for name, rows in splits.items()}


@every_source
def test_a_file_gives_three_splits_that_share_nothing(name):
    reader, groups = SOURCES[name]
    splits = load(name).splits
    assert list(splits) == ["train", "validation", "test"]
    assert sum(sizes(splits).values()) == READERS[reader](sample_path(reader)).report.kept
    for one, other in combinations(splits.values(), 2):
        assert one.num_rows
        assert other.num_rows
        assert not set(groups(one)) & set(groups(other))


@every_source
def test_a_folder_gives_what_was_published_and_holds_out_the_rest(name, tmp_path):
    reader, groups = SOURCES[name]
    whole = READERS[reader](sample_path(reader)).rows
    splits = load(name, publish(name, tmp_path)).splits
    assert splits["test"].to_list() == whole.to_list()
    assert splits["train"].num_rows + splits["validation"].num_rows == whole.num_rows
    assert not set(groups(splits["train"])) & set(groups(splits["validation"]))


def test_three_published_splits_stay_as_they_are(tmp_path):
    folder = publish("crossner", tmp_path, ["train.txt", "dev.txt", "test.txt"])
    assert sizes(load("crossner", folder).splits) == {"train": 12, "validation": 12, "test": 12}


@limited_source
def test_a_limit_is_drawn_by_the_seed_before_anything_is_split(name):
    splits = {seed: load(name, limit=9, seed=seed).splits for seed in (1, 2)}
    assert [sum(sizes(of_seed).values()) for of_seed in splits.values()] == [9, 9]
    assert content_hash(splits[1]) == content_hash(load(name, limit=9, seed=1).splits) != content_hash(splits[2])


def test_a_limit_holds_for_each_published_split(tmp_path):
    splits = load("cosmosqa", publish("cosmosqa", tmp_path), limit=10).splits
    assert splits["train"].num_rows + splits["validation"].num_rows == splits["test"].num_rows == 10


def test_a_limit_beyond_the_data_changes_nothing():
    assert content_hash(load("squad", limit=1000).splits) == content_hash(load("squad").splits)


@pytest.mark.parametrize(
    ("limit", "error", "words"),
    [
        (0, DataError, "limit=0 leaves no row; give 1 or more"),
        (2, DataError, "too few pairs or texts: 2 leave split 'test' empty"),
        ("2", ConfigError, "source 'piqa': option 'limit' is '2'; it must be int or null"),
    ],
)
def test_impossible_limits(limit, error, words):
    with pytest.raises(error, match=words):
        load("piqa", limit=limit)


@every_source
def test_every_source_says_what_it_is(name):
    source = default_registry().sources[name]
    assert source.needs_path
    assert source.licence
    assert source.description
    assert "\n" not in source.description


def test_what_was_left_out_is_counted(tmp_path):
    publish("wnut17", tmp_path, ["train-a.conll", "train-b.conll", "test.conll"])
    content = (tmp_path / "train-a.conll").read_bytes()
    (tmp_path / "train-a.conll").write_bytes(content + b"\n" + content)
    assert load("wnut17", tmp_path).skipped == {"duplicate record": 12}


@every_source
def test_a_source_asked_directly_needs_a_path(name):
    with pytest.raises(DataError, match=rf"source '{name}' has no path; say where the data lies"):
        default_registry().sources[name]().load(None, seed=0)


def test_a_folder_without_training_data(tmp_path):
    with pytest.raises(DataError, match=r"has no training file: no name holds 'train' and ends in \.csv"):
        load("cosmosqa", publish("cosmosqa", tmp_path, ["valid.csv"]))


# --- treebanks


def treebank(folder, name, sentences):
    """A file of that name with some of the sample's sentences."""
    blocks = sample_path("conllu").read_text(encoding="utf-8").strip().split("\n\n")
    (folder / name).write_text("\n\n".join(blocks[sentences]) + "\n\n")
    return folder / name


def first_words(rows):
    return [" ".join(words[:3]) for words in rows["words"]]


def test_sentences_that_are_the_same_are_in_one_split(tmp_path):
    text = sample_path("conllu").read_text(encoding="utf-8")
    (tmp_path / "twice.conllu").write_text(f"{text}\n{text}")
    splits = load("conllu", tmp_path / "twice.conllu").splits
    assert sum(sizes(splits).values()) == 40
    for one, other in combinations(splits.values(), 2):
        assert not set(by_words(one)) & set(by_words(other))


def test_training_files_of_a_treebank_are_joined_in_order(tmp_path):
    treebank(tmp_path, "en_own-ud-train-b.conllu", slice(8, 12))
    treebank(tmp_path, "en_own-ud-train-a.conllu", slice(0, 8))
    treebank(tmp_path, "en_own-ud-dev.conllu", slice(12, 20))
    (tmp_path / "README.txt").write_text("train on these")
    splits = load("conllu", tmp_path).splits
    whole = read_conllu(sample_path("conllu")).rows
    assert splits["test"].to_list() == whole.select(range(12, 20)).to_list()
    assert sizes(splits) == {"train": 10, "validation": 2, "test": 8}
    assert sorted(first_words(splits["train"]) + first_words(splits["validation"])) == sorted(first_words(whole)[:12])


def test_three_splits_of_a_treebank_stay_as_they_are(tmp_path):
    parts = {"train": slice(0, 10), "dev": slice(9, 13), "test": slice(13, 20)}
    for name, sentences in parts.items():
        treebank(tmp_path, f"en_own-ud-{name}.conllu", sentences)
    splits = load("conllu", tmp_path).splits
    whole = first_words(read_conllu(sample_path("conllu")).rows)
    assert [first_words(splits[n]) for n in ("train", "validation", "test")] == [whole[own] for own in parts.values()]


def test_further_treebanks_are_further_splits(tmp_path):
    folder = tmp_path / "UD_Own"
    folder.mkdir()
    treebank(folder, "xx-ud-test.conllu", slice(3, 5))
    treebank(folder, "xx-ud-dev.conllu", slice(0, 3))
    zipped = folder / "xx-ud-late.conllu.gz"
    zipped.write_bytes(gzip.compress(treebank(tmp_path, "late.conllu", slice(5, 6)).read_bytes()))
    (folder / "xx-ud-test.conllu.orig").write_text("an editor left this")
    one = treebank(tmp_path, "one.conllu", slice(7, 8))
    splits = load("conllu", also={"folder": str(folder), "file": str(one)}).splits
    whole = first_words(read_conllu(sample_path("conllu")).rows)
    assert list(splits) == ["train", "validation", "test", "folder", "file"]
    assert first_words(splits["folder"]) == [*whole[0:3], whole[5], *whole[3:5]]
    assert first_words(splits["file"]) == whole[7:8]


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_further_treebank_cannot_take_the_name_of_a_split(name):
    with pytest.raises(ConfigError, match=f"source 'conllu': also gives {name} a second time; choose another name"):
        load("conllu", also={name: "somewhere", "fine": "somewhere"})


@pytest.mark.parametrize("place", [3, None, ["a", "b"]])
def test_a_further_treebank_is_a_path(place):
    with pytest.raises(ConfigError, match=r"source 'conllu': also\.german is .*; it must be the path of a treebank"):
        load("conllu", also={"german": place})


def test_a_further_treebank_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.conllu: does not exist"):
        load("conllu", also={"german": str(tmp_path / "nowhere.conllu")})


def test_a_folder_without_a_further_treebank(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(DataError, match=rf"{tmp_path}: holds no treebank; give a folder with files named \*\.conllu"):
        load("conllu", also={"german": str(tmp_path)})


# --- parsed text


@pytest.fixture
def pipeline(tmp_path):
    """Folder of a spaCy pipeline in which every word hangs from the first one."""
    spacy = pytest.importorskip("spacy")

    @spacy.Language.component("all-from-the-first")
    def all_from_the_first(document):
        words, spaces = zip(*((token.text, bool(token.whitespace_)) for token in document), strict=True)
        number = len(words)
        return spacy.tokens.Doc(document.vocab, words, spaces, heads=[0] * number, deps=["dep"] * number)

    language = spacy.blank("en")
    language.add_pipe("all-from-the-first")
    language.to_disk(tmp_path / "pipeline")
    return str(tmp_path / "pipeline")


PASSAGES = [f"Boat {number} left the harbour." for number in range(20)]


def test_parsed_text_is_split_by_sentence(pipeline, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join([*PASSAGES, "Bread"]))
    knowledge = load("parsed-text", tmp_path / "text.txt", pipeline=pipeline)
    assert sizes(knowledge.splits) == {"train": 13, "validation": 3, "test": 4}
    assert knowledge.skipped == {"sentence of one word": 1}
    row = knowledge.splits["train"][0]
    assert (row["words"][2:], row["heads"]) == (["left", "the", "harbour", "."], [0, 1, 1, 1, 1, 1])


def test_parsed_text_from_a_folder(pipeline, tmp_path):
    for name, passages in {"train": PASSAGES[:12], "dev": PASSAGES[12:15], "test": PASSAGES[15:]}.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(passages))
    splits = load("parsed-text", tmp_path, pipeline=pipeline).splits
    assert sizes(splits) == {"train": 12, "validation": 3, "test": 5}


def test_parsed_text_with_a_pipeline_that_is_not_installed(tmp_path):
    pytest.importorskip("spacy")
    (tmp_path / "text.txt").write_text("Rain fell.")
    with pytest.raises(DataError, match="spaCy has no pipeline 'xx_no_such_pipeline'; install it"):
        load("parsed-text", tmp_path / "text.txt", pipeline="xx_no_such_pipeline")


@pytest.mark.parametrize("name", ["parsed-text", "fewrel"])
def test_sources_that_read_files_need_a_path(name):
    with pytest.raises(DataError, match=rf"source '{name}' has no path; say where the data lies"):
        default_registry().sources[name]().load(None, seed=0)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("crossner", "crossner/politics", {"train": 200, "validation": 540, "test": 651}),
        ("crossner-typing", "crossner/politics", {"train": 1304, "validation": 3475, "test": 4209}),
    ],
)
def test_published_splits_of_crossner(name, place, expected, data_folder):
    assert sizes(load(name, data_folder / place).splits) == expected


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "place", "total"),
    [
        ("wnut17", "wnut17", 4310),
        ("cosmosqa", "cosmosqa/valid.csv", 2985),
        ("piqa", "piqa/valid.jsonl", 1838),
        ("codah", "codah/full_data.tsv", 2776),
        ("sick", "sick", 4970),
        ("sick", "sick/SICK_train.txt", 4470),
    ],
)
def test_published_data_is_split(name, place, total, data_folder):
    splits = load(name, data_folder / place).splits
    assert sum(sizes(splits).values()) == total
    assert min(sizes(splits).values()) > total / 20


@pytest.mark.realdata
def test_published_treebanks(data_folder):
    also = {"atis": str(data_folder / "ud" / "UD_English-Atis"), "german": str(data_folder / "ud" / "UD_German-GSD")}
    splits = load("conllu", data_folder / "ud" / "UD_English-EWT", also=also).splits
    assert sizes(splits)["test"] == 2001
    assert sizes(splits)["train"] + sizes(splits)["validation"] == 2725 + 1585
    assert not set(by_words(splits["train"])) & set(by_words(splits["validation"]))
    assert (sizes(splits)["atis"], sizes(splits)["german"]) == (572 + 586, 799 + 977)


@pytest.mark.parametrize("name", ["fewrel", "semeval", "redocred"])
def test_relation_files_can_be_drawn_from_in_whole_pairs(name):
    source = {"name": name, "path": str(sample_path(name))}
    every = load_knowledge(source).splits
    drawn = load_knowledge({**source, "limit": 8}).splits
    assert sum(map(len, drawn.values())) == 8 < sum(map(len, every.values()))
    rows = [row for rows in drawn.values() for row in rows]
    assert all(row in [row for rows in every.values() for row in rows] for row in rows)


# --- text beside knowledge

HARBOUR = sample_path("harbour")
CLOZES = {
    "name": "graph",
    "path": str(HARBOUR / "triples.tsv"),
    "templates": str(HARBOUR / "templates.yaml"),
    "labels": str(HARBOUR / "labels.tsv"),
    "objective": "cloze",
}


@pytest.mark.parametrize("split", ["pair", "phrasing"])
@pytest.mark.parametrize("limit", [None, 5])
def test_text_beside_knowledge_is_marked_and_in_training_alone(split, limit):
    alone = load_knowledge({**CLOZES, "split": split})
    source = {"name": "beside-text", "path": str(sample_path("text")), "knowledge": {**CLOZES, "split": split}}
    beside = load_knowledge({**source, "limit": limit})
    for name in ("validation", "test"):
        assert not any(beside.splits[name]["hold"])
        assert beside.splits[name].remove_columns("hold").to_list() == alone.splits[name].to_list()
    train = beside.splits["train"]
    taught, held = (train.filter(lambda hold, wanted=wanted: hold == wanted, input_columns="hold") for wanted in (0, 1))
    assert taught.remove_columns("hold").to_list() == alone.splits["train"].to_list()
    passages = sample_path("text").read_text(encoding="utf-8").splitlines()
    assert set(held["text"]) <= set(passages)
    assert len(held) == (limit or len(passages))
    assert beside.recalled == (split == "phrasing")


def test_text_beside_nothing_is_an_error():
    with pytest.raises(ConfigError, match="knowledge has no name; say which source teaches"):
        load_knowledge({"name": "beside-text", "path": str(sample_path("text")), "knowledge": {}})
