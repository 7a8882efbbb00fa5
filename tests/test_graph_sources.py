import json

import pytest

from kadapter import ConfigError, default_registry
from kadapter.card import adapter_card
from kadapter.data import load_knowledge, prepare
from knowledge_data import DataError, GraphOptions, build, content_hash, sample_path

HARBOUR = sample_path("harbour")
FILES = {name: str(HARBOUR / f"{name}.tsv") for name in ("labels", "types", "descriptions")}
SAID = {"templates": str(HARBOUR / "templates.yaml"), **FILES, "licence": "Apache-2.0"}
GRAPH = {"name": "graph", "path": str(HARBOUR / "triples.tsv"), **SAID}

TASKS = {
    "relation": "relation-classification",
    "choice": "multiple-choice",
    "description": "sequence-classification",
    "typing": "entity-typing",
}


@pytest.fixture
def built(tmp_path):
    """Folder of a data set that was built of the graph."""
    build(HARBOUR / "triples.tsv", tmp_path / "built", GraphOptions(**SAID))
    return tmp_path / "built"


@pytest.mark.parametrize("objective", TASKS)
def test_tasks_train_on_a_graph(objective, tiny):
    source = {**GRAPH, "objective": objective, "choices": 3}
    examples = prepare(source, {"name": TASKS[objective]}, tiny("bert").tokenizer)
    assert list(examples.splits) == ["train", "validation", "test"]
    assert all(split["skipped"] == {} for split in examples.provenance["splits"].values())


def test_where_a_graph_comes_from_is_known():
    knowledge = load_knowledge(GRAPH)
    assert knowledge.licence == "Apache-2.0"
    assert knowledge.origin["inputs"].keys() == {"graph", "templates", "labels", "types", "descriptions"}
    assert knowledge.origin["kept"] == {name: rows.num_rows for name, rows in knowledge.splits.items()}
    assert json.loads(json.dumps(knowledge.origin)) == knowledge.origin


def test_an_option_of_a_graph_that_does_not_exist():
    with pytest.raises(ConfigError, match=r"source 'graph' has no option 'template'; .* did you mean 'templates'?"):
        load_knowledge({**GRAPH, "template": "x"})


def test_what_was_built_is_a_source_with_its_own_hash_and_provenance(built, tiny):
    source = {"name": "built", "path": str(built)}
    knowledge, said = load_knowledge(source), json.loads((built / "provenance.json").read_text())
    assert (knowledge.content_hash, knowledge.licence) == (said["content_hash"], "Apache-2.0")
    examples = prepare(source, {"name": "relation-classification"}, tiny("bert").tokenizer)
    assert examples.provenance["content_hash"] == said["content_hash"]
    assert examples.provenance["origin"]["kept"] == said["kept"]
    assert not [path for path in built.rglob("*") if path.name.startswith(("cache", "tmp"))]


def test_a_limit_takes_the_first_rows_and_is_other_data(built):
    knowledge = load_knowledge({"name": "built", "path": str(built), "limit": 5})
    assert [rows.num_rows for rows in knowledge.splits.values()] == [5, 5, 5]
    assert not knowledge.content_hash
    with pytest.raises(ConfigError, match="source 'built': limit is 0; it must be 1 or more, or null"):
        load_knowledge({"name": "built", "path": str(built), "limit": 0})


def test_a_damaged_data_set_is_not_trained_on(built):
    next((built / "test").glob("*.arrow")).unlink()
    with pytest.raises(DataError, match="is missing; build the data set again"):
        load_knowledge({"name": "built", "path": str(built)})


@pytest.mark.parametrize("name", ["graph", "built"])
def test_graph_sources_need_a_path(name):
    with pytest.raises(DataError, match=rf"source '{name}' has no path; say where the data lies"):
        default_registry().sources[name]().load(None, seed=0)


def test_the_card_says_what_the_rows_were_made_from():
    origin = {"inputs": {"graph": {"file": "g.tsv", "hash": "ab12"}}, "kept": {"train": 1234}, "dropped": {"odd": 5}}
    result = {
        "recipe": {"backbone": "minilm", "task": {"name": "t"}, "training": {"trains": None, "seed": 0}},
        "data": {
            "source": {"name": "built"}, "splits": {"train": {"examples": 1234}}, "licence": "CC0",
            "content_hash": "cd34", "origin": origin,
        },
        "trained_parameters": 1, "backbone_parameters": 2, "validation": {"accuracy": 0.5}, "versions": {"torch": "2"},
    }  # fmt: skip
    backbone = {"name": "minilm", "fingerprint": "0" * 16}
    said = {"name": "geo", "backbone": backbone, "adapter": {"type": "k-adapter"}, "trained_on": result}
    card = adapter_card(said)
    assert "| made from | `g.tsv` (graph, `ab12`) |\n| rows | train 1,234 |\n| left out | 5 odd |\n| task |" in card
    del result["data"]["origin"]
    assert "| content hash | `cd34` |\n| task | t |" in adapter_card(said)


def test_a_data_set_has_the_hash_it_always_had():
    splits = load_knowledge({"name": "fewrel", "path": str(sample_path("fewrel"))}).splits
    assert content_hash(splits) == content_hash(splits.with_format("numpy")) == row_by_row(splits)


def row_by_row(splits):
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(name.encode())
        for row in splits[name]:
            digest.update(repr(sorted(row.items())).encode())
    return digest.hexdigest()[:16]
