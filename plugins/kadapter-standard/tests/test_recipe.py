"""A recipe trains a standard adapter: that and the head alone, and what comes out is loaded bit for bit."""

import json

import pytest
import torch
from safetensors.torch import load_file

from kadapter import KnowledgeModel, Recipe, finetune, load_adapter, load_backbone, pretrain
from kadapter.testing import WORDS, save_tiny_backbone, tiny_batch, tiny_facts
from kadapter.testing.comparing import assert_same, assert_same_tensors, features_of

LAYERS, WIDTH = 4, 32


def bottleneck(m):
    return 2 * WIDTH * m + m + WIDTH


HEAD = 2 * WIDTH * len(WORDS) + len(WORDS)
"""Parameters of a linear layer over the states at both markers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def recipe_of(folder):
    """Gives a run of a few seconds on a tiny Llama, for the options of an adapter."""
    backbone = save_tiny_backbone("llama", folder / "tiny-llama")
    (folder / "facts.json").write_text(json.dumps(tiny_facts()))

    def make(**options):
        return Recipe.from_dict(
            {
                "name": "facts",
                "backbone": str(backbone),
                "source": {"name": "fewrel", "path": str(folder / "facts.json")},
                "task": {"name": "relation-classification"},
                "adapter": {"type": "standard", **options},
                "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2},
            }
        )

    return make


@pytest.fixture(scope="module")
def run(recipe_of, folder):
    """A finished run; not to be changed."""
    return pretrain(recipe_of(size=8).with_options({"training.epochs": 15}), folder / "run")


def test_it_learns_what_the_recipe_teaches(run):
    assert run.result["validation"]["accuracy"] > 0.9


def test_adapter_and_head_are_trained_and_nothing_else(run):
    # Llama's norms have no bias.
    adapter = LAYERS * 2 * (bottleneck(8) + WIDTH)
    assert run.result["trained_parameters"] == adapter + HEAD


@pytest.mark.parametrize(
    ("options", "adapter"),
    [
        ({"preset": "pfeiffer"}, LAYERS * bottleneck(2)),
        ({"preset": "parallel", "leave_out": [1, 2]}, 2 * bottleneck(16)),
        ({"size": 0}, LAYERS * 2 * WIDTH),
    ],
)
def test_every_preset_is_trained_from_a_recipe(recipe_of, tmp_path, options, adapter):
    run = pretrain(recipe_of(**options), tmp_path / "run")
    assert run.result["trained_parameters"] == adapter + HEAD


def test_all_of_its_tensors_move(run, recipe_of):
    backbone = load_backbone(recipe_of().backbone)
    # The same start, but for the seed: norms are the backbone's, biases are nothing.
    fresh = KnowledgeModel(backbone).plug("fresh", recipe_of(size=8).adapter).state_dict()
    for name, tensor in load_file(run.folder / "adapter.safetensors").items():
        assert tensor.shape == fresh[name].shape
        assert not torch.equal(tensor, fresh[name]), name


def test_the_run_is_a_model_and_an_adapter_bit_for_bit(run, recipe_of):
    model, backbone = KnowledgeModel.from_pretrained(run.folder), load_backbone(recipe_of().backbone)
    assert (model.plugged, model.composition.name) == (("facts",), "alone")
    batch = tiny_batch(backbone)
    with torch.no_grad():
        output = model(**batch)
    adapter = load_adapter(run.folder, backbone.info).eval()
    assert_same(output.features["facts"], features_of(adapter, backbone, batch), "the adapter")
    assert_same(output.last_hidden_state, output.features["facts"], "the model")
    with model.unplugged(), torch.no_grad():
        assert_same(model(**batch).last_hidden_state, backbone.model(**batch).last_hidden_state, "the backbone")


def test_the_same_recipe_gives_the_same_adapter(recipe_of, tmp_path):
    runs = [pretrain(recipe_of(size=8, dropout=0.1), tmp_path / name) for name in ("first", "second")]
    first, second = (load_file(run.folder / "adapter.safetensors") for run in runs)
    assert_same_tensors(second, first, "trained again")


def test_a_frozen_one_serves_another_task_beside_a_new_adapter(run, recipe_of, tmp_path):
    options = {"adapter": None, "adapters": {"facts": str(run.folder), "new": {"type": "scalar-mix"}}}
    downstream = recipe_of().with_options({"name": "downstream", **options})
    done = finetune(downstream, tmp_path / "downstream")
    model = KnowledgeModel.from_pretrained(done.folder)
    assert model.plugged == ("facts", "new")
    trained = load_file(run.folder / "adapter.safetensors")
    assert_same_tensors(model.adapters["facts"].state_dict(), trained, "the frozen adapter")
    assert done.result["trained_parameters"] == sum(
        weight.numel()
        for part in (model.adapters["new"], model.composition, model.head)
        for weight in part.parameters()
    )
