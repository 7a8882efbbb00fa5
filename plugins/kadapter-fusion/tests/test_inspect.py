"""`kadapter inspect` shows which members a trained fusion mixes, and where."""

import json
import os
import re
import subprocess
import sys

import pytest
from kadapter_fusion import prune_run

from kadapter import ConfigError, KnowledgeModel, Recipe, default_registry, evaluate, finetune
from kadapter.testing import save_tiny_backbone
from knowledge_data import sample_path

pytestmark = pytest.mark.slow

MEMBERS = {
    "reading": {
        "type": "k-adapter",
        "init": "random",
        "reads": [2],
        "transformer_layers": 1,
        "width": 16,
        "projection_std": 0.5,
    },
    "editing": {"type": "standard", "size": 4, "init": "random", "train_norms": False},
}
PLACES = {
    "reading": ["output"],
    "editing": [f"{layer}-{place}" for layer in range(1, 5) for place in ("attention", "feedforward")],
}


def kadapter(*arguments):
    """Run a command; give what it prints."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "kadapter", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=MEMBERS)
def run(request, tmp_path_factory):
    """A fine-tuning of one epoch over a fusion of two fresh members; what they are, and its folder."""
    member = MEMBERS[request.param]
    if member["type"] not in default_registry().adapter_types:
        pytest.skip(f"adapter type '{member['type']}' is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    said = {
        "name": "fused",
        "backbone": str(save_tiny_backbone("llama", folder / "backbone")),
        "source": {"name": "conllu", "path": str(sample_path("conllu"))},
        "task": {"name": "dependency-heads"},
        "adapter": {"type": "fusion", "members": {"first": member, "second": member}},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2},
    }
    return request.param, finetune(Recipe.from_dict(said), folder / "run").folder


def test_the_shares_of_the_members_of_a_split_are_told_at_every_place(run):
    kind, folder = run
    report = json.loads(kadapter("inspect", folder, "--split", "validation", "--json"))
    fused = report["attention"]["fused"]
    assert list(fused) == PLACES[kind]
    for parts in fused.values():
        assert list(parts) == ["first", "second"]
        assert sum(parts.values()) == pytest.approx(1, abs=1e-5)
    assert any(parts["first"] != pytest.approx(0.5, abs=1e-3) for parts in fused.values())
    assert report == json.loads((folder / "attention.json").read_text())


def test_a_text_is_told_token_by_token(run):
    kind, folder = run
    printed = kadapter("inspect", folder, "--text", "A river runs by")
    assert re.search(r"place +┃ first +┃ second", printed)
    assert re.search(r"token +┃ first +┃ second", printed)
    report = json.loads((folder / "attention.json").read_text())
    assert report["tokens"] == ["<s>", "A", "river", "runs", "by", "</s>"]
    assert list(report["attention"]["fused"]) == PLACES[kind]
    assert report["attention"] == KnowledgeModel.from_pretrained(folder).attention_of(report["text"]).weights


def test_a_pruned_run_is_a_run(run, tmp_path):
    _, folder = run
    report = prune_run(folder, tmp_path / "pruned", keep=1)
    assert {len(names) for names in report["kept"]["fused"].values()} == {1}
    assert report["scores"]["before"] == evaluate(folder, ["test"])
    assert report["scores"]["after"] == evaluate(tmp_path / "pruned", ["test"])
    assert set(report["seconds"]) == {"before", "after"}
    attention = json.loads((folder / "attention.json").read_text())["attention"]["fused"]
    assert report["kept"]["fused"] == {place: (max(there, key=there.get),) for place, there in attention.items()}
    with pytest.raises(ConfigError, match="is there already"):
        prune_run(folder, tmp_path / "pruned")
