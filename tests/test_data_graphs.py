"""`kadapter data inspect`, `select` and `partition`: a few lines over what knowledge_data does, printed and written."""

import json
import sys

import pytest
from matplotlib.image import imread

from kadapter.cli import main
from knowledge_data import read_graph

TRIPLES = """ann\tlives in\tteviot
bob\tlives in\tteviot
ann\tknows\tbob
bob\tknows\tann
cid\tknows\tdan
dan\tknows\teve
eve\tlives in\tuver
"""


@pytest.fixture
def triples(tmp_path):
    path = tmp_path / "triples.tsv"
    path.write_text(TRIPLES)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command; gives its exit code, what it printed, and what it complained of."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["kadapter", "data", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return command


def test_inspect_prints_tables(run, triples):
    code, out, _ = run("inspect", triples)
    assert code == 0
    for said in ("entities", "7", "lives in", "knows", "1 to 3"):
        assert said in out


def test_inspect_prints_and_writes_the_same_report(run, triples, tmp_path):
    _, out, _ = run("inspect", triples, "--json", "--output", tmp_path / "report")
    report = json.loads(out)
    assert report["triples"] == 7
    assert report["components"]["count"] == 2
    assert json.loads((tmp_path / "report" / "graph.json").read_text()) == report
    assert imread(tmp_path / "report" / "graph.png").std() > 0


def test_inspect_takes_options_of_reading(run, tmp_path):
    (tmp_path / "a.csv").write_text("who,did,whom\nann,met,bob\nbob,met\n")
    (tmp_path / "labels.tsv").write_text("ann\tAnn\n")
    words = ["inspect", tmp_path / "a.csv", "--json", "--set", "columns=[who, did, whom]"]
    code, _, err = run(*words)
    assert code == 2
    assert "a.csv:3: has 2 cells but must have 3" in err
    _, out, _ = run(*words, "--on-error", "skip", "--set", f"labels={tmp_path / 'labels.tsv'}")
    report = json.loads(out)
    assert report["read"] == {"kept": 1, "skipped": {"wrong number of columns": 1}}
    assert report["missing"]["label"] == 1


def test_places_of_columns_may_be_numbers(run, triples):
    _, out, _ = run("inspect", triples, "--json", "--set", "columns=[3, 2, 1]")
    assert json.loads(out)["relation_counts"]["lives in"]["subjects"] == 2


def test_select_writes_triples_and_where_they_come_from(run, triples, tmp_path):
    part = tmp_path / "out" / "part.tsv"
    code, _, _ = run("select", triples, "--around", "ann", "--hops", 1, "--relation", "knows", "--output", part)
    assert code == 0
    assert set(read_graph(part).triples()) == {("ann", "knows", "bob"), ("bob", "knows", "ann")}
    note = json.loads(part.with_name("part.provenance.json").read_text())
    assert note["kept"] == {"triples": 2}
    assert note["dropped"] == {"triple of another relation": 3, "triple out of reach": 2}
    assert note["options"] == {"relations": ["knows"], "ends": "both", "around": ["ann"], "hops": 1}
    assert note["inputs"]["graph"]["file"] == str(triples)
    assert len(note["inputs"]["graph"]["hash"]) == len(note["content_hash"]) == 16
    assert sorted(path.name for path in part.parent.iterdir()) == ["part.provenance.json", "part.tsv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--relation", "likes"], "relation 'likes' is not in the graph"),
        ([], "nothing is asked"),
        (["--component", "1", "--set", "foo=1"], "graph has no option 'foo'"),
        (["--component", "1", "--published", "umls"], "does not exist"),
        (["--component", "1", "--published", "umls", "--set", "licence=CC0"], "drop --set"),
        (["--component", "1", "--published", "gone"], "there is no published graph 'gone' here; choose codex-m"),
    ],
)
def test_what_cannot_be_selected_is_one_line_and_writes_nothing(words, said, run, triples, tmp_path):
    code, _, err = run("select", triples, *words, "--output", tmp_path / "part.tsv")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["triples.tsv"]


def test_partition_writes_parts_that_make_up_the_graph(run, triples, tmp_path):
    folder = tmp_path / "parts"
    code, out, _ = run("partition", triples, "--parts", 2, "--slack", 0.2, "--output", folder, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["crossing"] == 0
    assert sum(part["kept"]["triples"] for part in report["parts"]) == 7
    read = [read_graph(folder / f"part-{number}.tsv") for number in (1, 2)]
    assert sorted(triple for graph in read for triple in graph.triples()) == sorted(read_graph(triples).triples())
    homes = dict(line.split("\t") for line in (folder / "homes.tsv").read_text().splitlines())
    assert homes["ann"] == homes["teviot"] != homes["cid"]
    notes = [json.loads((folder / f"part-{number}.provenance.json").read_text()) for number in (1, 2)]
    assert [note["seed"] for note in notes] == [0, 0]
    assert notes == report["parts"]


def test_partition_prints_a_table_and_never_overwrites(run, triples, tmp_path):
    _, out, _ = run("partition", triples, "--parts", 2, "--output", tmp_path / "parts")
    assert "part-2.tsv" in out
    code, _, err = run("partition", triples, "--parts", 2, "--output", tmp_path / "parts")
    assert code == 2
    assert "is there already" in err
