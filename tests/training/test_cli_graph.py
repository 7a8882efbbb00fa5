import json

import pytest

from knowledge_data import sample_path

HARBOUR = sample_path("harbour")
TRIPLES, TEMPLATES, LABELS = (str(HARBOUR / name) for name in ("triples.tsv", "templates.yaml", "labels.tsv"))
SMALL = (
    "--epochs", "1", "--set", "adapter.reads=[1]", "--set", "adapter.transformer_layers=1",
    "--set", f"source.labels={LABELS}", "--set", "training.batch_size=16",
)  # fmt: skip


@pytest.mark.slow
def test_a_graph_becomes_an_adapter_with_provenance_and_controls(kadapter, backbone, tmp_path):
    run = tmp_path / "run"
    said = ("--graph", TRIPLES, "--templates", TEMPLATES, "--backbone", backbone, "--output", run)
    result = json.loads(kadapter("pretrain", "my-harbour", *said, *SMALL, "--json").out)
    assert result["recipe"]["source"] == {"name": "graph", "path": TRIPLES, "templates": TEMPLATES, "labels": LABELS}
    origin = json.loads((run / "adapter.json").read_text())["trained_on"]["data"]["origin"]
    assert origin["inputs"]["graph"]["file"] == TRIPLES
    assert "| made from | " in (run / "README.md").read_text()
    report = json.loads(kadapter("evaluate", run, "--controls", "--seeds", "1", "--json").out)
    assert list(report["rows"]) == ["backbone", "mix", "random", "untrained", "adapter", "full"]


def test_an_objective_of_the_graph_goes_with_its_task(kadapter, backbone, tmp_path):
    said = ("--graph", TRIPLES, "--templates", TEMPLATES, "--backbone", backbone, "--output", tmp_path / "run")
    task = ("--set", "source.objective=choice", "--set", "source.choices=3", "--set", "task.name=multiple-choice")
    result = json.loads(kadapter("pretrain", "my-harbour", *said, *SMALL, *task, "--json").out)
    assert "accuracy" in result["validation"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("mine", "--templates", TEMPLATES, "--backbone", "x"), "--templates goes with --graph"),
        (("mine", "--graph", TRIPLES, "--data", "x", "--backbone", "x"), "--graph says where the data lies"),
        (("mine", "--graph", TRIPLES), "which backbone? Say --backbone minilm"),
        (("mine", "--backbone", "x"), "there is no knowledge 'mine'"),
    ],
)
def test_what_does_not_go_together(said, words, kadapter, tmp_path):
    outcome = kadapter("pretrain", *said, "--output", tmp_path / "run")
    assert outcome.code == 2
    assert words in outcome.err


def test_a_data_set_is_built_and_trained_on(kadapter, backbone, tmp_path):
    built = tmp_path / "built"
    said = (TRIPLES, "--templates", TEMPLATES, "--labels", LABELS, "--set", "phrasings=2", "--set", "licence=CC0")
    provenance = json.loads(kadapter("data", "build", *said, "--output", built, "--json").out)
    assert (provenance["licence"], provenance["options"]["phrasings"]) == ("CC0", 2)
    assert "content hash" in kadapter("data", "build", *said, "--output", built).out
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"{{name: harbour, backbone: '{backbone}', source: {{name: built, path: '{built}'}}, "
        "task: {name: relation-classification}, adapter: {type: k-adapter, reads: [1], transformer_layers: 1}}"
    )
    result = json.loads(kadapter("pretrain", recipe, "--epochs", "1", "--output", tmp_path / "run", "--json").out)
    assert result["data"]["content_hash"] == provenance["content_hash"]
    assert result["data"]["origin"]["licence"] == "CC0"


def test_an_overlap_is_printed(kadapter, tmp_path):
    found = json.loads(kadapter("data", "overlap", TRIPLES, TRIPLES, "--json").out)
    assert (found["training"], len(found["triples"]), found["pairs_share"]) == (45, 45, 1.0)
    shown = kadapter("data", "overlap", TRIPLES, TRIPLES, "--by", "labels", "--labels", LABELS).out
    assert "shared triples" in shown
    outcome = kadapter("data", "overlap", TRIPLES, TRIPLES, "--by", "words")
    assert (outcome.code, "say ids or labels" in outcome.err) == (2, True)


def test_an_overlap_with_a_published_probe(kadapter):
    said = ("data", "overlap", TRIPLES, sample_path("bear"), "--kind", "bear", "--by", "labels", "--labels", LABELS)
    found = json.loads(kadapter(*said, "--json").out)
    assert (found["training"], found["probe"]) == (45, 5)
    outcome = kadapter(*said[:4], "--kind", "beer")
    assert (outcome.code, "there is no probe 'beer'; choose one of: bear" in outcome.err) == (2, True)


def test_an_error_in_a_template_is_one_line(kadapter, tmp_path):
    (tmp_path / "t.yaml").write_text("near: '{subject} alone'")
    outcome = kadapter("data", "build", TRIPLES, "--templates", tmp_path / "t.yaml", "--output", tmp_path / "built")
    assert outcome.code == 2
    assert "t.yaml: relation 'near', template 1: template '{subject} alone' does not name both entities" in outcome.err
