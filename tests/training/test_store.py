"""Training from the feature store is the training without it."""

import json
import shutil

import pytest
import torch

from kadapter import KnowledgeModel, StorageError, finetune, pretrain
from kadapter.comparison import compare
from kadapter.data import prepare
from kadapter.features import FeatureStore, FrozenStates
from kadapter.registry import default_registry
from kadapter.storing import states_kept
from kadapter.testing import save_tiny_backbone
from kadapter.trainer import KnowledgeTrainer, training_arguments
from kadapter.training import build_model


@pytest.fixture
def short(recipe):
    """Two epochs of the recipe, of which nothing is kept anywhere unless a test says so."""
    return recipe.with_options({"training.epochs": 2, "training.store": "off"})


@pytest.fixture
def computed(monkeypatch):
    """How many rows the backbone has worked on, and those of the batch with which a run tries its kernels."""
    rows, compute = [], FrozenStates.computed
    monkeypatch.setattr(FrozenStates, "computed", lambda self, *given: rows.extend(given[0]) or compute(self, *given))
    return rows


def trained(recipe, folder):
    """Train, and give the loss of each step, the scores, and the weights."""
    base = KnowledgeModel.from_pretrained(recipe.backbone)
    examples = prepare(recipe.source, recipe.task, base.backbone.tokenizer)
    model = build_model(recipe, base, examples.task, default_registry())
    arguments = training_arguments(recipe.training, folder, len(examples.splits["train"]), examples.task.metric)
    arguments.logging_steps = 1
    trainer = KnowledgeTrainer(model, examples, arguments)
    with states_kept(trainer, recipe.training) as costs:
        trainer.train()
    timed = ("runtime", "per_second")
    curve = [{k: v for k, v in log.items() if not k.endswith(timed)} for log in trainer.state.log_history]
    weights = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("backbone.")}
    return trainer.frozen, costs, curve[:-1], weights


def assert_the_same_training(recipe, folder):
    off = trained(recipe.with_options({"training.store": "off"}), folder / "off")
    kept = trained(recipe.with_options({"training.store": str(folder / "store")}), folder / "kept")
    if not off[0].apart:
        pytest.skip("the matrix kernels of this processor work on the tokens of a batch together")
    assert (off[1], kept[1]["store_bytes"] > 0) == ({}, True)
    assert len(off[2]) > 4
    assert kept[2] == off[2]
    assert kept[3].keys() == off[3].keys()
    for name, tensor in off[3].items():
        assert torch.equal(kept[3][name], tensor), name


# --- bit for bit


@pytest.mark.parametrize(
    "family", ["llama", *(pytest.param(family, marks=pytest.mark.slow) for family in ("bert", "gpt2", "roberta", "t5"))]
)
def test_loss_curve_and_weights_are_those_without_it(short, tmp_path, family):
    backbone = save_tiny_backbone(family, tmp_path / family)
    assert_the_same_training(short.with_options({"backbone": str(backbone)}), tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"training.precision": "bfloat16"}, id="bfloat16"),
        pytest.param({"adapter": None, "training.trains": ["head"]}, id="no adapter"),
        pytest.param({"adapter": {"type": "scalar-mix"}}, id="all states", marks=pytest.mark.slow),
        pytest.param(
            {"adapter": {"type": "k-adapter", "init": "random", "reads": [0]}}, id="no calls", marks=pytest.mark.slow
        ),
    ],
)
def test_so_they_are_whatever_is_trained(short, tmp_path, options):
    assert_the_same_training(short.with_options(options), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_so_they_are_on_a_real_backbone(short, minilm, tmp_path, precision):
    assert minilm.info.layers == 6
    options = {"backbone": "minilm", "adapter.reads": [2, 4], "training.precision": precision}
    assert_the_same_training(short.with_options(options), tmp_path)


def test_a_run_that_was_killed_goes_on_with_another_store(short, tmp_path, interrupted_at, tensors):
    whole = pretrain(short, tmp_path / "whole")
    with interrupted_at(7):
        pretrain(short.with_options({"training.store": str(tmp_path / "store")}), tmp_path / "run")
    resumed = pretrain(short, tmp_path / "run", resume=True)
    assert all(torch.equal(tensors(resumed.folder)[key], it) for key, it in tensors(whole.folder).items())


# --- what is kept, and when


def test_the_backbone_runs_once_for_all_epochs_seeds_and_adapters(short, tmp_path, computed):
    place = tmp_path / "store"
    kept = short.with_options({"training.store": str(place), "training.epochs": 3})
    first = pretrain(kept, tmp_path / "first").result
    [train, validation] = sorted(FeatureStore(place).entries(), key=lambda entry: -entry.rows)
    assert (train.states, train.busy) == ([1, 3, 4], False)
    assert len(computed) == train.rows + validation.rows
    assert first["store_bytes"] == (train.tokens + validation.tokens) * 3 * 32 * 4
    computed.clear()
    pretrain(kept.with_options({"training.seed": 1}), tmp_path / "seed")
    pretrain(kept.with_options({"adapter": {"type": "k-adapter", "reads": [3]}}), tmp_path / "adapter")
    assert computed == []


def test_runs_of_a_ledger_share_a_store(short, tmp_path, computed, monkeypatch):
    place = tmp_path / "store"
    # Runs are loaded again to be scored, without a store.
    monkeypatch.setattr("kadapter.comparison.evaluate", lambda *_: {"validation": {"accuracy": 0.5}})
    kept = short.with_options({"training.store": str(place), "training.epochs": 1})
    compare(kept, tmp_path / "ledger", seeds=[0, 1], rows=["adapter", "backbone"], splits=["validation"])
    there = FeatureStore(place).entries()
    assert len(there) == 2
    # The head alone reads the last state, the adapter two more: one pass for each, whatever the seed.
    assert len(computed) == 2 * sum(entry.rows for entry in there)


def test_auto_keeps_states_for_several_epochs_only(short, tmp_path, monkeypatch, computed):
    monkeypatch.setenv("KADAPTER_CACHE", str(tmp_path))
    auto = short.with_options({"training.store": "auto", "training.epochs": 1})
    assert "store_bytes" not in pretrain(auto, tmp_path / "one").result
    assert FeatureStore().entries() == []
    assert "store_bytes" in pretrain(auto.with_options({"training.epochs": 2}), tmp_path / "two").result
    computed.clear()
    assert "store_bytes" in pretrain(auto, tmp_path / "again").result, "the states are there already"
    assert computed == []


def test_auto_does_without_where_there_is_no_room(short, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KADAPTER_CACHE", str(tmp_path))
    options = {"training.store": "auto", "training.store_limit": "10KB"}
    assert "store_bytes" not in pretrain(short.with_options(options), tmp_path / "run").result
    assert "no feature store: the feature store in" in capsys.readouterr().err
    options["training.store"] = str(tmp_path)
    with pytest.raises(StorageError, match="raise --store-limit"):
        pretrain(short.with_options(options), tmp_path / "asked")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"adapter": {"type": "shift"}}, "adapter 'facts' edits the backbone"),
        ({"training.trains": ["head", "backbone"]}, "the backbone is trained"),
    ],
)
def test_what_the_store_cannot_serve_is_trained_without(short, editors, tmp_path, capsys, options, reason):
    asked = short.with_options({"training.store": str(tmp_path / "store"), "training.epochs": 1, **options})
    finetune(asked, tmp_path / "run", registry=editors)
    assert f"no feature store: {reason}" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


# --- the command line


def test_a_store_from_the_command_line(kadapter, recipe_file, tmp_path, assert_refused, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    place, run = tmp_path / "store", ("pretrain", recipe_file, "--store", tmp_path / "store")
    assert kadapter(*run, "--output", tmp_path / "run").code == 0
    listed = json.loads(kadapter("store", "list", "--store", place, "--json").out)
    assert [entry["states"] for entry in listed] == [[1, 3, 4]] * 2
    assert listed[0]["key"] in kadapter("store", "list", "--store", place).out
    assert json.loads(kadapter("store", "verify", "--store", place, "--json").out) == {e["key"]: [] for e in listed}
    assert_refused(kadapter("store", "remove", "--store", place), "--all")
    assert_refused(kadapter("store", "remove", "0123", "--store", place), "has no '0123'", listed[0]["key"])
    gone = json.loads(kadapter("store", "remove", listed[0]["key"], "--store", place, "--json").out)
    assert [entry["key"] for entry in gone] == [listed[0]["key"]]
    hurt = next(place.glob("*/state-003*"))
    hurt.write_bytes(hurt.read_bytes()[:-1])
    outcome = kadapter("store", "verify", "--store", place)
    assert outcome.code == 1
    assert hurt.name in outcome.out
    assert kadapter("store", "remove", "--all", "--store", place).code == 0
    assert json.loads(kadapter("store", "list", "--store", place, "--json").out) == []


def test_limits_from_the_command_line(kadapter, recipe_file, tmp_path, assert_refused):
    run = ("pretrain", recipe_file, "--store", tmp_path / "store", "--output", tmp_path / "run")
    assert_refused(kadapter(*run, "--store-limit", "much"), "'much' is no size; write it as 20GB")
    assert_refused(kadapter(*run, "--store-limit", "1KB"), "may take 1 KB", "raise --store-limit")
    shutil.rmtree(tmp_path / "run")
    assert kadapter(*run[:2], "--store", "off", "--output", tmp_path / "run").code == 0
