"""What each option does, and that what is saved leaves nothing to the backbone."""

import json

import pytest
import torch

from kadapter import KnowledgeModel, Site, build_adapter, load_adapter, save_adapter
from kadapter.testing import tiny_batch
from kadapter.testing.comparing import assert_same, assert_same_tensors, features_of


@pytest.fixture
def bert(tiny):
    return tiny("bert")


def sites(*places, layers=(1, 2, 3, 4)):
    return {Site(layer, place) for layer in layers for place in places}


def sizes_of(adapter):
    return {name: part.down.out_features for name, part in adapter.bottlenecks.items()}


# --- where


@pytest.mark.parametrize(
    ("family", "options", "expected"),
    [
        ("bert", {}, sites("attention", "attention-norm", "feedforward", "feedforward-norm")),
        ("bert", {"train_norms": False}, sites("attention", "feedforward")),
        ("bert", {"places": ["attention"]}, sites("attention", "attention-norm")),
        ("bert", {"size": 0}, sites("attention-norm", "feedforward-norm")),
        ("bert", {"preset": "pfeiffer"}, sites("feedforward-norm")),
        ("bert", {"preset": "pfeiffer", "places": ["attention"]}, sites("attention-norm")),
        ("bert", {"preset": "parallel"}, sites("feedforward")),
        ("bert", {"preset": "parallel", "leave_out": [1, 2]}, sites("feedforward", layers=(3, 4))),
        ("gpt2", {"preset": "pfeiffer"}, sites("output")),
        ("gpt2", {"preset": "double_seq_bn"}, sites("attention", "feedforward")),
        ("phi", {}, sites("attention", "feedforward", "feedforward-norm")),
        ("phi", {"places": ["attention"]}, sites("attention")),
    ],
)
def test_it_edits_where_its_options_say(tiny, family, options, expected):
    assert build_adapter({"type": "standard", **options}, tiny(family).info).edits == expected


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_layers_below_the_lowest_that_it_edits_stay_as_they_are(tiny, built, family):
    backbone = tiny(family)
    batch, adapter = tiny_batch(backbone), built(backbone, size=8, leave_out=[1, 2])
    states = frozenset(range(5))
    clean, edited = backbone(batch, states), backbone(batch, states, editor=adapter)
    for state in (0, 1, 2):
        assert_same(edited[state], clean[state], f"state {state}")
    for state in (3, 4):
        assert not torch.allclose(edited[state], clean[state], atol=1e-3)


# --- how large


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, (64,) * 4),
        ({"size": 8}, (8,) * 4),
        ({"size": [1, 2, 3, 4]}, (1, 2, 3, 4)),
        ({"reduction": 4}, (8,) * 4),
        ({"reduction": 3.5}, (9,) * 4),
        ({"reduction": 0.5}, (64,) * 4),
        # One at least, however much is asked for.
        ({"reduction": 1000}, (1,) * 4),
        ({"preset": "pfeiffer"}, (2,) * 4),
        ({"preset": "pfeiffer", "size": 8}, (8,) * 4),
        ({"preset": "pfeiffer", "size": [1, 2, 3, 4]}, (1, 2, 3, 4)),
        ({"preset": "pfeiffer", "reduction": None}, (64,) * 4),
    ],
)
def test_size_goes_before_reduction_and_64_is_the_last_resort(bert, options, sizes):
    adapter = build_adapter({"type": "standard", **options}, bert.info)
    assert (adapter.config.size, adapter.config.reduction) == (sizes, None)
    for name, size in sizes_of(adapter).items():
        assert size == sizes[int(name[0]) - 1]


def test_a_layer_of_size_0_keeps_its_trained_norms(bert):
    adapter = build_adapter({"type": "standard", "size": [4, 0, 4, 4], "leave_out": [4]}, bert.info)
    assert sizes_of(adapter) == {"1-attention": 4, "1-feedforward": 4, "3-attention": 4, "3-feedforward": 4}
    assert sorted(name[0] for name in adapter.norms) == ["1", "1", "2", "2", "3", "3"]


def test_norms_alone_start_as_the_backbone_bit_for_bit(bert, built):
    adapter, batch = build_adapter({"type": "standard", "size": 0}, bert.info), tiny_batch(bert)
    last = bert.model(**batch).last_hidden_state
    assert_same(features_of(adapter, bert, batch), last, "copies of the backbone's norms")
    assert not torch.allclose(features_of(built(bert, size=0), bert, batch), last, atol=1e-2)


# --- what is added


@torch.no_grad()
def change(backbone, adapter):
    """What a bottleneck of the last layer adds to the features, where nothing stands between."""
    batch = tiny_batch(backbone)
    return features_of(adapter, backbone, batch) - KnowledgeModel(backbone).eval()(**batch).last_hidden_state


@pytest.mark.parametrize("activation", ["gelu", "relu", "silu", "tanh"])
def test_the_activation_is_the_one_of_transformers(bert, activation):
    from transformers.activations import ACT2FN

    adapter = build_adapter({"type": "standard", "activation": activation}, bert.info)
    hidden = torch.linspace(-3, 3, 50)
    for part in adapter.bottlenecks.values():
        assert torch.equal(part.activation(hidden), ACT2FN[activation](hidden))


@torch.no_grad()
@pytest.mark.parametrize("scale", [0, 0.5, 4, -1.0])
def test_what_is_added_is_multiplied_by_the_scale(bert, built, scale):
    part, scaled = (built(bert, size=8, scale=given).bottlenecks["2-attention"] for given in (1.0, scale))
    hidden = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(scaled(hidden), scale * part(hidden))


def test_nothing_is_added_at_scale_0(bert, built):
    adapter = built(bert, size=8, scale=0, train_norms=False)
    assert not change(bert, adapter).any()


@torch.no_grad()
def test_a_learned_scale_starts_at_1_and_is_learned(bert):
    torch.manual_seed(0)
    adapter = build_adapter({"type": "standard", "scale": "learned", "init": "random"}, bert.info)
    torch.manual_seed(0)
    plain = build_adapter({"type": "standard", "init": "random"}, bert.info)
    before = features_of(adapter.eval(), bert, tiny_batch(bert))
    assert_same(before, features_of(plain.eval(), bert, tiny_batch(bert)), "at the start")
    scales = [weight for name, weight in adapter.named_parameters() if name.endswith(".scale")]
    assert [weight.tolist() for weight in scales] == [[1.0]] * 8
    for weight in scales:
        weight.fill_(0.0)
    assert_same(features_of(adapter, bert, tiny_batch(bert)), bert.model(**tiny_batch(bert)).last_hidden_state, "at 0")


@pytest.mark.parametrize(("option", "norm"), [("norm_before", "norm_before"), ("norm_after", "norm_after")])
def test_a_norm_of_its_own_starts_as_a_plain_one_and_is_trained(bert, option, norm):
    adapter = build_adapter({"type": "standard", option: True}, bert.info)
    for part in adapter.bottlenecks.values():
        own = getattr(part, norm)
        assert own.weight.requires_grad
        assert (own.weight == 1).all()
        assert not own.bias.any()
    other = {"norm_before": "norm_after", "norm_after": "norm_before"}[norm]
    assert not any(other in name for name in adapter.state_dict())


@torch.no_grad()
def test_dropout_works_in_training_only(bert, built):
    adapter, batch = built(bert, size=8, dropout=0.5), tiny_batch(bert)
    plain = built(bert, size=8)
    assert_same(features_of(adapter, bert, batch), features_of(plain, bert, batch), "in evaluation")
    adapter.train()
    first, second = (features_of(adapter, bert, batch) for _ in range(2))
    assert not torch.equal(first, second)


@torch.no_grad()
def test_dropout_falls_on_what_is_added_alone(bert, built):
    part = built(bert, size=8, dropout=0.5).bottlenecks["1-attention"].train()
    hidden = torch.ones(50, 4, 32)
    full, dropped = part.eval()(hidden), part.train()(hidden)
    is_kept = dropped != 0
    torch.testing.assert_close(dropped[is_kept], 2 * full[is_kept])
    assert 0.4 < is_kept.float().mean() < 0.6


# --- on disk


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": "pfeiffer"},
        {"preset": "parallel", "leave_out": [2]},
        {"size": [4, 0, 2, 1], "scale": "learned", "norm_before": True, "norm_after": True, "dropout": 0.1},
    ],
)
def test_what_is_saved_leaves_nothing_to_the_backbone_and_is_loaded_bit_for_bit(bert, built, options, tmp_path):
    adapter = built(bert, **options)
    save_adapter(tmp_path, adapter, "saved")
    said = json.loads((tmp_path / "adapter.json").read_text())["adapter"]
    assert "preset" not in said
    assert (said["type"], said["reduction"], len(said["size"])) == ("standard", None, 4)
    again = build_adapter(said, bert.info)
    assert again.config == adapter.config
    loaded = load_adapter(tmp_path, bert.info).eval()
    assert_same_tensors(loaded.state_dict(), adapter.state_dict(), "loaded")
    batch = tiny_batch(bert)
    assert_same(features_of(loaded, bert, batch), features_of(adapter, bert, batch), "loaded")


def test_the_names_of_its_tensors_are_told(bert):
    """They are what a saved adapter is read by: no release may change them in silence."""
    options = {"size": [0, 4, 0, 0], "leave_out": [1, 3, 4], "scale": "learned", "norm_before": True}
    adapter = build_adapter({"type": "standard", "places": ["attention"], **options}, bert.info)
    part = "bottlenecks.2-attention"
    assert {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()} == {
        f"{part}.scale": (1,),
        f"{part}.norm_before.weight": (32,),
        f"{part}.norm_before.bias": (32,),
        f"{part}.down.weight": (4, 32),
        f"{part}.down.bias": (4,),
        f"{part}.up.weight": (32, 4),
        f"{part}.up.bias": (32,),
        "norms.2-attention-norm.weight": (32,),
        "norms.2-attention-norm.bias": (32,),
    }
