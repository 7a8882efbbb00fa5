import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from datasets import load_from_disk

from knowledge_data import (
    ChoiceRow,
    ClozeRow,
    DataError,
    GraphOptions,
    LabelledRow,
    RelationRow,
    TypingRow,
    build,
    check_built,
    graph_rows,
    read_built,
    sample_path,
)

HARBOUR = sample_path("harbour")
FILES = {name: str(HARBOUR / f"{name}.tsv") for name in ("labels", "types", "descriptions")}
TEMPLATES = str(HARBOUR / "templates.yaml")
TRIPLES = HARBOUR / "triples.tsv"
STREAMED = GraphOptions(templates=TEMPLATES, negatives=0, licence="Apache-2.0", **FILES)


def options(**said):
    return GraphOptions(**{"templates": TEMPLATES, **FILES, **said})


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sorted_rows(rows):
    return sorted(map(repr, rows))


class Interrupted(Exception):
    """Stands for whatever ends a build before its time."""


def interrupt_after(count):
    """Gives what is told of each piece, until so many are there."""
    lines = []

    def told(line):
        lines.append(line)
        if len(lines) == count:
            raise Interrupted

    return told


KINDS = {
    "relation": RelationRow,
    "cloze": ClozeRow,
    "choice": ChoiceRow,
    "description": LabelledRow,
    "typing": TypingRow,
}


@pytest.mark.parametrize("objective", KINDS)
def test_what_is_built_is_what_is_said_in_memory(objective, tmp_path):
    said = options(objective=objective, choices=3)
    provenance = build(TRIPLES, tmp_path / "built", said, piece=7)
    there, made = load_from_disk(str(tmp_path / "built")), graph_rows(TRIPLES, said)
    assert there["train"].features == KINDS[objective].features()
    for name, rows in made.splits.items():
        assert sorted_rows(there[name]) == sorted_rows(rows)
    assert provenance["kept"] == {name: rows.num_rows for name, rows in made.splits.items()}
    assert provenance["dropped"] == made.report.skipped


def test_provenance_says_everything(tmp_path):
    provenance = build(TRIPLES, tmp_path / "built", STREAMED, seed=3)
    assert json.loads((tmp_path / "built" / "provenance.json").read_text()) == provenance
    assert (provenance["source"], provenance["licence"], provenance["seed"]) == (str(TRIPLES), "Apache-2.0", 3)
    assert provenance["inputs"].keys() == {"graph", "templates", "labels", "types", "descriptions"}
    assert provenance["options"]["objective"] == "relation"
    assert sum(provenance["kept"].values()) == 45
    assert len(provenance["content_hash"]) == 16


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(Interrupted):
        build(TRIPLES, tmp_path / "built", STREAMED, piece=10, told=interrupt_after(2))
    assert not (tmp_path / "built").exists()
    build(TRIPLES, tmp_path / "built", STREAMED, piece=10)
    assert [path.name for path in tmp_path.iterdir()] == ["built"]
    build(TRIPLES, tmp_path / "other", STREAMED, piece=10)
    assert held(tmp_path / "built") == held(tmp_path / "other")


def test_an_interrupted_build_goes_on_where_it_was(tmp_path):
    with pytest.raises(Interrupted):
        build(TRIPLES, tmp_path / "built", STREAMED, piece=10, told=interrupt_after(2))
    [aside] = tmp_path.iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in aside.rglob("*.arrow")}
    told = []
    build(TRIPLES, tmp_path / "built", STREAMED, piece=10, told=told.append)
    assert len(told) == 3
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "built").rglob("*.arrow")}
    assert before == {name: after[name] for name in before}


@pytest.mark.parametrize("harm", ["cut short", "removed", "note torn"])
def test_a_piece_that_is_not_whole_is_made_again(harm, tmp_path):
    with pytest.raises(Interrupted):
        build(TRIPLES, tmp_path / "built", STREAMED, piece=10, told=interrupt_after(3))
    [aside] = tmp_path.iterdir()
    file = aside / "data-000001.json" if harm == "note torn" else next(aside.rglob("data-000001.arrow"))
    if harm == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-5])
    build(TRIPLES, tmp_path / "built", STREAMED, piece=10)
    build(TRIPLES, tmp_path / "other", STREAMED, piece=10)
    assert held(tmp_path / "built") == held(tmp_path / "other")


def test_a_killed_build_goes_on(tmp_path):
    code = (
        "import os, signal, sys; from knowledge_data import GraphOptions, build;"
        "told = iter([lambda: None, lambda: os.kill(os.getpid(), signal.SIGKILL)]);"
        f"build({str(TRIPLES)!r}, sys.argv[1], GraphOptions(templates={TEMPLATES!r}, negatives=0, "
        f"licence='Apache-2.0', **{FILES!r}), piece=10, told=lambda line: next(told)())"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "built"], cwd=os.getcwd())
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "built").exists()
    assert build(TRIPLES, tmp_path / "built", STREAMED, piece=10)["kept"]
    assert read_built(tmp_path / "built").splits["train"].num_rows


def test_other_options_do_not_go_on_with_the_pieces_of_these(tmp_path):
    with pytest.raises(Interrupted):
        build(TRIPLES, tmp_path / "built", STREAMED, piece=10, told=interrupt_after(2))
    build(TRIPLES, tmp_path / "built", STREAMED, seed=5, piece=10)
    assert [path.name for path in tmp_path.iterdir()] == ["built"]
    build(TRIPLES, tmp_path / "other", STREAMED, seed=5, piece=10)
    assert held(tmp_path / "built") == held(tmp_path / "other")


def test_what_is_built_is_not_built_again(tmp_path):
    first = build(TRIPLES, tmp_path / "built", STREAMED)
    told = []
    assert build(TRIPLES, tmp_path / "built", STREAMED, told=told.append) == first
    assert told == []


def test_phrasings_cannot_be_held_out_of_what_is_built(tmp_path):
    with pytest.raises(DataError, match=r"holds facts out, not phrasings; let the source `graph`"):
        build(TRIPLES, tmp_path / "built", replace(STREAMED, objective="cloze", split="phrasing"))


def test_what_lies_there_is_not_overwritten(tmp_path):
    build(TRIPLES, tmp_path / "built", STREAMED)
    with pytest.raises(DataError, match="built: holds another data set; choose another output, or remove it"):
        build(TRIPLES, tmp_path / "built", STREAMED, seed=1)
    (tmp_path / "notes").mkdir()
    with pytest.raises(DataError, match="notes: holds something that was not built here"):
        build(TRIPLES, tmp_path / "notes", STREAMED)


def test_a_change_of_an_input_is_another_data_set(tmp_path):
    (tmp_path / "triples.tsv").write_bytes(TRIPLES.read_bytes())
    build(tmp_path / "triples.tsv", tmp_path / "built", STREAMED)
    (tmp_path / "triples.tsv").write_bytes(TRIPLES.read_bytes() + b"b1\tnear\th3\n")
    with pytest.raises(DataError, match="built: holds another data set"):
        build(tmp_path / "triples.tsv", tmp_path / "built", STREAMED)


def test_more_processes_build_the_same(tmp_path):
    one = build(TRIPLES, tmp_path / "one", STREAMED, piece=10)
    two = build(TRIPLES, tmp_path / "two", STREAMED, piece=10, num_proc=2)
    assert one == two
    assert held(tmp_path / "one") == held(tmp_path / "two")


def test_what_goes_wrong_in_a_process_is_told(tmp_path):
    (tmp_path / "triples.tsv").write_bytes(TRIPLES.read_bytes() + b"b1\tunheard_of\th3\n")
    with pytest.raises(DataError, match=r"relation 'unheard_of' of the triple b1 . unheard_of . h3 has no template"):
        build(tmp_path / "triples.tsv", tmp_path / "built", STREAMED, piece=10, num_proc=2)
    assert not (tmp_path / "built").exists()


def test_memory_is_spoken_of_before_anything_is_built(tmp_path):
    told = []
    build(TRIPLES, tmp_path / "built", options(negatives=1.0), told=told.append)
    assert told[0] == "negatives=1.0: needs the whole graph in memory, about 0 MB"
    told.clear()
    build(TRIPLES, tmp_path / "streamed", STREAMED, told=told.append)
    assert told == ["45 rows"]


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"negatives": 0}, []),
        ({"negatives": 1}, ["negatives=1"]),
        ({"objective": "cloze"}, []),
        ({"objective": "typing"}, []),
        ({"objective": "choice"}, ["objective=choice"]),
        ({"split": "relation", "negatives": 0}, ["split=relation"]),
        ({"split": "entity", "negatives": 0, "limit": 3}, ["limit=3"]),
    ],
)
def test_what_needs_memory_is_known(said, reasons):
    assert options(**said).in_memory == reasons


def test_a_split_that_stays_empty_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "one.tsv").write_text("b1\tnear\th1\n")
    with pytest.raises(DataError, match=r"no row is in split '\w+' \(1 rows in all; left out: nothing\)"):
        build(tmp_path / "one.tsv", tmp_path / "built", STREAMED)
    assert not (tmp_path / "built").exists()


def test_a_graph_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.tsv: does not exist"):
        build(tmp_path / "nowhere.tsv", tmp_path / "built", STREAMED)


# --- reading what was built


@pytest.fixture
def built(tmp_path):
    """Folder of a built data set."""
    build(TRIPLES, tmp_path / "built", STREAMED, piece=10)
    return tmp_path / "built"


def test_a_missing_or_changed_file_is_seen(built):
    file = next(built.rglob("*.arrow"))
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    with pytest.raises(DataError, match=r"data-\d+\.arrow: has \d+ bytes, but had \d+ when it was built; build the"):
        read_built(built)
    file.unlink()
    with pytest.raises(DataError, match=r"data-\d+\.arrow: is missing"):
        read_built(built)


@pytest.mark.parametrize("split", ["pair", "entity"])
def test_a_row_in_the_wrong_split_is_seen(split, tmp_path):
    said = GraphOptions(templates=TEMPLATES, negatives=0, split=split)
    provenance = build(TRIPLES, tmp_path / "built", said)
    splits = read_built(tmp_path / "built").splits
    splits["test"] = splits["train"]
    with pytest.raises(DataError, match=r"the pair \w+, \w+ is in split 'test' but belongs elsewhere"):
        check_built(splits, provenance)


def test_a_folder_that_was_not_built(tmp_path):
    with pytest.raises(DataError, match=r"holds no provenance\.json; give a folder that `kadapter data build` made"):
        read_built(tmp_path)
    (tmp_path / "provenance.json").write_text('{"source": "x"}')
    with pytest.raises(DataError, match=r"provenance\.json: does not say content_hash, files"):
        read_built(tmp_path)


def test_rows_stay_in_their_files(built):
    assert read_built(built).splits["train"].cache_files
