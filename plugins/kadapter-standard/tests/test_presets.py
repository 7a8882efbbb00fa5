"""What the presets stand for, and how their weights start."""

import pytest
import torch

from kadapter import Backbone, build_adapter, default_registry
from kadapter.testing import tiny_tokenizer

HOULSBY = {
    "places": ("attention", "feedforward"),
    "form": "sequential",
    "size": (64, 64),
    "activation": "gelu",
    "init": "houlsby",
    "scale": 1.0,
    "train_norms": True,
}
PFEIFFER = {
    "places": ("feedforward",),
    "form": "around-norm",
    "size": (48, 48),
    "activation": "relu",
    "init": "bert",
    "scale": 1.0,
    "train_norms": False,
}
PARALLEL = {
    "places": ("feedforward",),
    "form": "parallel",
    "size": (384, 384),
    "activation": "relu",
    "init": "zero",
    "scale": 4.0,
    "train_norms": False,
}
DOUBLE = {
    "places": ("attention", "feedforward"),
    "form": "sequential",
    "size": (48, 48),
    "activation": "silu",
    "init": "bert",
    "scale": 1.0,
    "train_norms": False,
}


@pytest.fixture(scope="module")
def wide():
    """Two layers of the width of BERT-base: enough weights to measure how they are spread."""
    from transformers import BertConfig, BertModel

    return Backbone(BertModel(BertConfig(vocab_size=99, num_hidden_layers=2, intermediate_size=64)), tiny_tokenizer())


def fresh(backbone, **options):
    torch.manual_seed(0)
    return build_adapter({"type": "standard", **options}, backbone.info)


def weights(adapter, name):
    return torch.cat([getattr(part, name).weight.flatten() for part in adapter.bottlenecks.values()]).detach()


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (None, HOULSBY),
        ("houlsby", HOULSBY),
        ("pfeiffer", PFEIFFER),
        ("seq_bn", PFEIFFER),
        ("parallel", PARALLEL),
        ("par_bn", PARALLEL),
        ("double_seq_bn", DOUBLE),
    ],
)
def test_a_preset_is_what_its_paper_says(wide, preset, expected):
    config = fresh(wide, **({"preset": preset} if preset else {})).config
    assert {name: getattr(config, name) for name in expected} == expected
    assert (config.dropout, config.norm_before, config.norm_after, config.leave_out) == (0.0, False, False, ())


def test_the_presets_are_those_that_are_tested_here():
    known = {"houlsby", "pfeiffer", "seq_bn", "parallel", "par_bn", "double_seq_bn"}
    assert set(default_registry().adapter_types["standard"].presets) == known


def test_an_option_goes_over_a_preset(wide):
    config = fresh(wide, preset="pfeiffer", activation="gelu", reduction=2, places=["attention"]).config
    assert (config.activation, config.size, config.places) == ("gelu", (384, 384), ("attention",))
    assert (config.form, config.init) == ("around-norm", "bert")


@pytest.mark.parametrize("preset", ["houlsby", "pfeiffer", "parallel", "double_seq_bn"])
def test_biases_start_at_nothing(wide, preset):
    adapter = fresh(wide, preset=preset)
    assert not any(getattr(part, name).bias.any() for part in adapter.bottlenecks.values() for name in ("down", "up"))


@pytest.mark.parametrize("name", ["down", "up"])
def test_the_papers_weights_are_normal_and_cut_off_at_two_standard_deviations(wide, name):
    drawn = weights(fresh(wide), name)
    assert drawn.abs().max() <= 0.02
    assert drawn.abs().max() > 0.0199
    # What is left of a normal distribution within two standard deviations is spread less: 0.88 of them.
    assert drawn.std().item() == pytest.approx(0.0088, rel=0.01)
    assert drawn.mean().item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", ["down", "up"])
@pytest.mark.parametrize("preset", ["pfeiffer", "double_seq_bn"])
def test_weights_as_in_bert_are_normal_and_not_cut_off(wide, name, preset):
    drawn = weights(fresh(wide, preset=preset), name)
    assert drawn.std().item() == pytest.approx(0.02, rel=0.02)
    assert (drawn.abs() > 0.04).float().mean().item() == pytest.approx(0.0455, rel=0.1)


def test_what_goes_up_starts_at_nothing_in_a_parallel_one(wide):
    adapter = fresh(wide, preset="parallel")
    assert not weights(adapter, "up").any()
    # As torch starts a linear layer, evenly between ± 1 / √W: the published code of He et al. leaves it so too.
    down, edge = weights(adapter, "down"), 768**-0.5
    assert down.abs().max().item() == pytest.approx(edge, rel=0.01)
    assert down.std().item() == pytest.approx(edge / 3**0.5, rel=0.01)


def test_random_weights_are_of_ordinary_size_on_both_sides(wide):
    adapter = fresh(wide, init="random", size=64)
    assert weights(adapter, "down").std().item() == pytest.approx((768 * 3) ** -0.5, rel=0.02)
    assert weights(adapter, "up").std().item() == pytest.approx((64 * 3) ** -0.5, rel=0.02)


def test_the_norms_start_as_the_backbones(tiny):
    backbone = tiny("bert")
    adapter = fresh(backbone)
    for number, layer in enumerate(backbone.layers, start=1):
        for place, norm in (("attention", layer.attention.output.LayerNorm), ("feedforward", layer.output.LayerNorm)):
            own = adapter.norms[f"{number}-{place}-norm"]
            assert (own.eps, type(own)) == (norm.eps, type(norm))
            assert torch.equal(own.weight, norm.weight)
            assert torch.equal(own.bias, norm.bias)


def test_its_control_has_random_weights_and_the_same_shape(wide):
    kind = default_registry().adapter_types["standard"]
    options = {"preset": "parallel", "size": 8}
    control = kind.random_control(options)
    assert options == {"preset": "parallel", "size": 8}
    adapter, plain = fresh(wide, **control), fresh(wide, **options)
    assert weights(adapter, "up").abs().max() > 0.1
    assert {name: weight.shape for name, weight in adapter.named_parameters()} == {
        name: weight.shape for name, weight in plain.named_parameters()
    }
