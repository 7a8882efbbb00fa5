"""A recipe trains a fusion of trained members: only mixers and head, and what comes out needs no member's folder."""

import json
import shutil

import pytest
import torch
from kadapter_fusion import FusionAdapter
from safetensors.torch import load_file

from kadapter import KnowledgeModel, Recipe, build_adapter, load_adapter, load_backbone, pretrain, save_adapter
from kadapter.testing import WORDS, fill_randomly, save_tiny_backbone, tiny_batch, tiny_facts
from kadapter.testing.comparing import assert_same, assert_same_tensors, features_of

LAYERS, WIDTH = 4, 32

MIXER = 3 * WIDTH * WIDTH + 2 * WIDTH
FRESH = {"type": "standard", "preset": "pfeiffer", "init": "random"}

HEAD = 2 * WIDTH * len(WORDS) + len(WORDS)
"""Parameters of a linear layer over the states at both markers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def backbone(folder):
    return load_backbone(save_tiny_backbone("llama", folder / "tiny-llama"))


@pytest.fixture(scope="module")
def recipe(folder, backbone):
    """A run of a second, with a single adapter."""
    (folder / "facts.json").write_text(json.dumps(tiny_facts()))
    return Recipe.from_dict(
        {
            "name": "facts",
            "backbone": str(folder / "tiny-llama"),
            "source": {"name": "fewrel", "path": str(folder / "facts.json")},
            "task": {"name": "relation-classification"},
            "adapter": {"type": "standard", "size": 8},
            "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2},
        }
    )


@pytest.fixture(scope="module")
def trained(recipe, folder):
    """The folder of a member that a run gave; not to be changed."""
    return pretrain(recipe.with_options({"training.epochs": 15}), folder / "trained").folder


@pytest.fixture(scope="module")
def saved(backbone, folder):
    """The folder of a member of another form that was saved by hand; not to be changed."""
    adapter = build_adapter({"type": "standard", "preset": "parallel", "size": 8}, backbone.info)
    fill_randomly(adapter, 3)
    save_adapter(folder / "saved", adapter, "saved")
    return folder / "saved"


@pytest.fixture(scope="module")
def fused(recipe, trained, saved):
    """The recipe of their fusion, and of a third one from options."""
    members = {"trained": str(trained), "saved": str(saved), "fresh": FRESH}
    adapter = {"type": "fusion", "members": members, "temperature": 9.0, "cooling": 100, "dropout": 0.1}
    return recipe.with_options({"name": "fused", "adapter": adapter, "training.epochs": 2})


@pytest.fixture(scope="module")
def run(fused, folder):
    """A finished run of the fusion; not to be changed."""
    return pretrain(fused, folder / "run")


@pytest.fixture
def alone(run, trained, saved, tmp_path):
    """The same run where the folders of its members are gone."""
    away = [(place, tmp_path / place.name) for place in (trained, saved)]
    for place, elsewhere in away:
        shutil.move(place, elsewhere)
    yield run
    for place, elsewhere in away:
        shutil.move(elsewhere, place)


def tensors(run):
    return load_file(run.folder / "adapter.safetensors")


def of_member(run, name):
    inside = f"members.{name}."
    return {key.removeprefix(inside): tensor for key, tensor in tensors(run).items() if key.startswith(inside)}


def test_mixers_and_head_are_trained_and_nothing_else(run):
    # "houlsby" edits two sub-layers and the norms behind them, "pfeiffer" what the layer gives.
    assert run.result["trained_parameters"] == 5 * LAYERS * MIXER + HEAD
    values = {key: tensor for key, tensor in tensors(run).items() if key.endswith(".value")}
    assert len(values) == 5 * LAYERS
    for tensor in values.values():
        assert (tensor - torch.eye(WIDTH)).abs().max() > 1e-3


def test_members_are_those_that_were_given(run, trained, saved):
    for name, folder in [("trained", trained), ("saved", saved)]:
        assert_same_tensors(of_member(run, name), load_file(folder / "adapter.safetensors"), name)


def test_it_counts_the_steps(run):
    # The checkpoint is that of the better epoch.
    assert tensors(run)["steps"].item() in (5, 10)


def test_members_are_not_needed_once_it_is_saved(alone, backbone):
    members = json.loads((alone.folder / "adapter.json").read_text())["adapter"]["members"]
    assert {name: (member["type"], member["size"]) for name, member in members.items()} == {
        "trained": ("standard", [8] * LAYERS),
        "saved": ("standard", [8] * LAYERS),
        "fresh": ("standard", [2] * LAYERS),
    }
    adapter, model = load_adapter(alone.folder, backbone.info).eval(), KnowledgeModel.from_pretrained(alone.folder)
    assert_same_tensors(adapter.state_dict(), tensors(alone), "loaded")
    batch = tiny_batch(backbone)
    with torch.no_grad():
        assert_same(model(**batch).last_hidden_state, features_of(adapter, backbone, batch), "the model")


def test_a_fusion_as_a_member_is_not_needed_once_that_is_saved(run, backbone, tmp_path):
    shutil.copytree(run.folder, tmp_path / "inner")
    options = {"type": "fusion", "members": {"inner": str(tmp_path / "inner"), "fresh": FRESH}}
    outer = build_adapter(options, backbone.info).eval()
    fill_randomly(outer.mixers, 5)
    save_adapter(tmp_path / "outer", outer, "outer")
    shutil.rmtree(tmp_path / "inner")
    loaded, batch = load_adapter(tmp_path / "outer", backbone.info).eval(), tiny_batch(backbone)
    expected = features_of(outer, backbone, batch)
    assert_same(features_of(loaded, backbone, batch), expected, "loaded")


def test_what_a_member_knows_is_used(recipe, trained, tmp_path):
    """Mixers alone do not learn it: of fresh members they make no better than chance."""
    members = {"trained": str(trained), "fresh": FRESH}
    adapter = {"adapter": {"type": "fusion", "members": members}, "training.epochs": 12}
    assert pretrain(recipe.with_options(adapter), tmp_path / "run").result["validation"]["accuracy"] > 0.9


class Interrupted(Exception):
    """Stands for whatever ends a run before its time."""


def test_a_run_that_was_interrupted_ends_the_same(fused, run, tmp_path, monkeypatch):
    """With dropout, and while the temperature falls."""
    begin = FusionAdapter.begin

    def perhaps(self):
        if self.steps == 8:
            raise Interrupted
        begin(self)

    monkeypatch.setattr(FusionAdapter, "begin", perhaps)
    with pytest.raises(Interrupted):
        pretrain(fused, tmp_path / "run")
    monkeypatch.undo()
    assert_same_tensors(tensors(pretrain(fused, tmp_path / "run", resume=True)), tensors(run), "resumed")


def test_its_random_control_has_members_that_were_never_trained(trained, backbone):
    options = {"type": "fusion", "members": {"facts": str(trained), "fresh": FRESH}, "dropout": 0.1}
    control = FusionAdapter.random_control(options)
    assert {member["init"] for member in control["members"].values()} == {"random"}
    assert control["dropout"] == 0.1
    fusion, theirs = build_adapter(control, backbone.info), load_file(trained / "adapter.safetensors")
    ours = fusion.members["facts"].state_dict()
    assert ours.keys() == theirs.keys()
    assert not any(torch.equal(ours[key], theirs[key]) for key in ours if key.endswith("down.weight"))
