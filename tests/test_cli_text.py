"""`kadapter data align` and `kadapter data trex`, and training on what they make."""

import json

import pytest
from typer.testing import CliRunner

from kadapter import default_registry
from kadapter.cli import app
from knowledge_data import DataError, read_relation_rows, read_trex, sample_path

HARBOUR = sample_path("trex").parent / "harbour"


@pytest.fixture
def kadapter():
    """Runs a command, and gives its JSON."""

    def run(*words):
        done = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


@pytest.fixture
def aligned(kadapter, tmp_path):
    """A folder that the command has made."""
    labels = f"labels={HARBOUR / 'labels.tsv'}"
    command = ("data", "align", HARBOUR / "triples.tsv", HARBOUR / "log.txt", "--set", labels)
    kadapter(*command, "--output", tmp_path / "aligned", "--negatives", 0.5, "--licence", "Apache-2.0")
    return tmp_path / "aligned"


def test_align(aligned):
    assert read_relation_rows(aligned).report.kept == 29
    told = json.loads((aligned / "provenance.json").read_text())
    assert set(told["inputs"]) == {"graph", "labels", "text"}


def test_what_was_aligned_is_a_source_that_knows_its_licence_and_origin(aligned):
    source = default_registry().sources["relation-rows"]
    knowledge = source(source.Config()).load(aligned, seed=0)
    assert sum(rows.num_rows for rows in knowledge.splits.values()) == 29
    assert knowledge.licence == "Apache-2.0"
    assert knowledge.origin["kept"] == {"rows": 29}


def test_trex(kadapter, tmp_path):
    command = ("data", "trex", sample_path("trex-dump"), "--output", tmp_path / "out", "--threshold", 2)
    told = kadapter(*command, "--exclude", "P17")
    assert told["dropped"]["relation that was excluded"] == 5
    assert read_trex(tmp_path / "out" / "trex.jsonl").report.kept == told["kept"]["rows"] == 7


@pytest.mark.parametrize(("probe", "by", "pairs"), [("bear", "ids", 5), ("pararel", "labels", 3), ("lama", "ids", 2)])
def test_what_a_published_probe_shares_with_a_graph(kadapter, probe, by, pairs):
    labels = HARBOUR / "labels.tsv"
    command = ("data", "overlap", HARBOUR / "triples.tsv", sample_path(probe), "--labels", labels, "--by", by)
    assert len(kadapter(*command, "--kind", probe)["pairs"]) == pairs


def test_tables_say_what_was_kept_and_dropped(tmp_path):
    words = ["data", "trex", str(sample_path("trex-dump")), "--output", str(tmp_path / "out"), "--threshold", "2"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "120"}).stdout
    assert "kept: rows" in shown
    assert "dropped: relation below the threshold" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trex", "nowhere", "--output", "x"], "nowhere: does not exist"),
        (["trex", str(sample_path("trex-dump")), "--output", "x", "--on-error", "no"], "on_error='no' is"),
        (["align", "nowhere.tsv", "x.txt", "--output", "x"], "nowhere.tsv: does not exist"),
        (["align", str(HARBOUR / "triples.tsv"), "nowhere", "--output", "x"], "nowhere: does not exist"),
        (["align", str(HARBOUR / "triples.tsv"), str(HARBOUR / "log.txt"), "--output", "x", "--case", "b"], "case='b'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        CliRunner().invoke(app, ["data", *words], catch_exceptions=False)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []
