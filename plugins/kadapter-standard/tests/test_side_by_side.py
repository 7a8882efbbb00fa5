"""On a real backbone, a standard adapter beside two k-adapters: none of them notices the others."""

import pytest
import torch

from kadapter import KnowledgeModel, build_adapter
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, assert_same_tensors, features_of

KINDS = {
    "inside": {"type": "standard"},
    "first": {"type": "k-adapter"},
    "second": {"type": "k-adapter", "reads": [1, 6], "transformer_layers": 1},
}
"""One that edits the backbone, two that read it."""

PRESETS = ["houlsby", "pfeiffer", "parallel"]


@pytest.fixture
def adapters(minilm):
    """One of each, filled at random as if they had been trained."""
    made = {name: build_adapter(options, minilm.info).eval() for name, options in KINDS.items()}
    for seed, adapter in enumerate(made.values()):
        fill_randomly(adapter, seed)
    return made


@pytest.fixture
def model(minilm, adapters):
    """All of them plugged into one model that concatenates."""
    model = KnowledgeModel.from_pretrained("minilm", composition={"name": "concat"})
    assert model.backbone.info == minilm.info
    for name, adapter in adapters.items():
        model.plug(name, adapter)
    fill_randomly(model.composition, seed=9)
    return model.eval()


@torch.no_grad()
def features(model, side="right"):
    return model(**tiny_batch(model.backbone, padding_side=side)).features


def take_a_step(model, name):
    """One step of AdamW on the composed states, for the adapter `name` and the composition."""
    model.adapters.requires_grad_(False)
    model.adapters[name].requires_grad_(True)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-2)
    model.train()(**tiny_batch(model.backbone)).last_hidden_state.square().mean().backward()
    optimiser.step()
    model.eval()


@pytest.mark.parametrize("side", ["right", "left"])
def test_each_gives_the_features_that_it_gives_alone(model, minilm, adapters, side):
    together = features(model, side)
    for name, adapter in adapters.items():
        assert_same(together[name], features_of(adapter, minilm, tiny_batch(minilm, padding_side=side)), name)


@pytest.mark.parametrize("order", [["inside", "first", "second"], ["second", "inside", "first"]])
def test_plugging_and_unplugging_others_changes_none(minilm, adapters, order):
    model = KnowledgeModel(minilm).eval()
    alone = {name: features_of(adapter, minilm, tiny_batch(minilm)) for name, adapter in adapters.items()}
    for name in order:
        model.plug(name, adapters[name])
        for plugged, given in features(model).items():
            assert_same(given, alone[plugged], f"{plugged} after {name} was plugged")
    for name in order:
        model.unplug(name)
        for plugged, given in features(model).items():
            assert_same(given, alone[plugged], f"{plugged} after {name} was unplugged")


@torch.no_grad()
def test_two_that_edit_do_not_edit_each_other(minilm):
    model = KnowledgeModel(minilm).eval()
    made = [build_adapter({"type": "standard", "preset": preset}, minilm.info).eval() for preset in PRESETS]
    for number, adapter in enumerate(made):
        fill_randomly(adapter, seed=number)
        model.plug(PRESETS[number], adapter)
    output = model(**tiny_batch(minilm))
    for name, adapter in zip(PRESETS, made, strict=True):
        assert_same(output.features[name], features_of(adapter, minilm, tiny_batch(minilm)), name)
    assert_same(output.backbone_hidden_state, minilm.model(**tiny_batch(minilm)).last_hidden_state, "the backbone")


@torch.no_grad()
def test_unplugging_gives_the_backbone_back_bit_for_bit(model):
    batch = tiny_batch(model.backbone)
    bare = model.backbone.model(**batch).last_hidden_state
    output = model(**batch)
    assert_same(output.backbone_hidden_state, bare, "all are plugged")
    assert not torch.allclose(output.features["inside"], bare, atol=1e-2)
    with model.unplugged():
        assert_same(model(**batch).last_hidden_state, bare, "all are unplugged for a while")
    for name in KINDS:
        model.unplug(name)
    assert_same(model(**batch).last_hidden_state, bare, "all are unplugged")
    assert_same(model.backbone.model(**batch).last_hidden_state, bare, "the transformers model itself")


@pytest.mark.parametrize("name", KINDS)
def test_training_one_changes_no_other_and_nothing_of_the_backbone(model, name):
    before = features(model)
    weights = {key: tensor.clone() for key, tensor in model.backbone.state_dict().items()}
    take_a_step(model, name)
    after = features(model)
    for other in KINDS.keys() - {name}:
        assert_same(after[other], before[other], f"{other}, after {name} was trained")
    assert not torch.allclose(after[name], before[name], atol=1e-3)
    assert_same_tensors(model.backbone.state_dict(), weights, "the backbone")


def test_training_moves_the_adapters_norms_and_not_the_backbones(model, adapters):
    own, theirs = adapters["inside"].norms["3-attention-norm"], model.backbone.layers[2].attention.output.LayerNorm
    before = [tensor.clone() for tensor in (own.weight, theirs.weight, own.bias, theirs.bias)]
    take_a_step(model, "inside")
    after = (own.weight, theirs.weight, own.bias, theirs.bias)
    moved = [not torch.equal(now, then) for now, then in zip(after, before, strict=True)]
    assert moved == [True, False, True, False]
    assert theirs.weight.grad is theirs.bias.grad is None


def test_padding_and_batch_mates_move_none(model, minilm):
    sentence = "Bread is baked in the old town."
    with torch.no_grad():
        alone = model(**tiny_batch(minilm, [sentence])).features["inside"][0]
        for side in ("right", "left"):
            batch = tiny_batch(minilm, [sentence, "A much longer sentence about nothing at all goes here."], side)
            together = model(**batch).features["inside"][0][batch["attention_mask"][0].bool()]
            assert_close(together, alone, f"padded on the {side}")


def test_a_model_is_loaded_bit_for_bit(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = KnowledgeModel.from_pretrained(tmp_path)
    assert loaded.plugged == model.plugged
    batch = tiny_batch(model.backbone)
    with torch.no_grad():
        expected, given = model(**batch), loaded(**batch)
    assert_same(given.last_hidden_state, expected.last_hidden_state, "composed")
    for name in KINDS:
        assert_same(given.features[name], expected.features[name], name)


def test_alone_it_is_the_model(minilm, adapters):
    model = KnowledgeModel.from_pretrained("minilm", adapters={"inside": adapters["inside"]})
    assert model.composition.name == "alone"
    with torch.no_grad():
        output = model(**tiny_batch(minilm))
    assert output.backbone_hidden_state is None
    assert_same(output.last_hidden_state, features_of(adapters["inside"], minilm, tiny_batch(minilm)), "alone")
