"""Compositions: their sizes, their arithmetic, and that neither the order of plugging nor unplugging loses anything."""

from itertools import permutations

import pytest
import torch

from kadapter import Composition, ConfigError, KnowledgeModel, UnknownNameError, build_adapter
from kadapter.composition import build_composition
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, assert_same_tensors

NAMES = ["factual", "linguistic", "medical", "legal", "local"]
WIDTH = 8
every_composition = pytest.mark.parametrize("name", ["concat", "sum", "residual", "gate", "attention"])


def composed(name, plugged, seed=None):
    """A composition for these adapters; with a seed, its parameters are filled at random."""
    composition = build_composition({"name": name}, WIDTH)
    for adapter in plugged:
        composition.plug(adapter)
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        tensors = composition.state_dict()
        composition.load_state_dict(
            {key: torch.randn(tensors[key].shape, generator=generator) for key in sorted(tensors)}
        )
    return composition


@pytest.fixture
def hidden():
    return torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(2, 3, WIDTH, generator=generator) for name in NAMES}


def some(features, names):
    return {name: features[name] for name in names}


# --- size and arithmetic


@pytest.mark.parametrize("plugged", range(6))
@pytest.mark.parametrize("width", [8, 384])
def test_concat_has_a_projection_for_each_adapter_and_from_two_on_a_joint_one(plugged, width):
    composition = build_composition({"name": "concat"}, width)
    for name in NAMES[:plugged]:
        composition.plug(name)
    pairs, joint = plugged * (2 * width * width + width), plugged * width * width + width
    assert sum(p.numel() for p in composition.parameters()) == pairs + (joint if plugged > 1 else 0)


@pytest.mark.parametrize("plugged", [1, 3])
def test_residual_starts_as_the_last_state_bit_for_bit_and_learns_at_once(plugged, hidden, features):
    composition = composed("residual", NAMES[:plugged])
    mixed = composition(hidden, some(features, NAMES[:plugged]))
    assert_same(mixed, hidden, "nothing is trained")
    mixed.sum().backward()
    assert all(projection.weight.grad.any() for projection in composition.projections.values())


def test_residual_adds_the_projected_features(hidden, features):
    composition = composed("residual", ["factual"], seed=0)
    wanted = hidden + features["factual"] @ composition.projections["factual"].weight.T
    assert_close(composition(hidden, some(features, ["factual"])), wanted, "hidden + projection")


def test_sum_has_no_parameters():
    assert not [*composed("sum", NAMES).parameters()]


def test_alone_gives_the_features_of_the_only_adapter_and_looks_at_nothing_else(features):
    composition = composed("alone", NAMES)
    assert not [*composition.parameters()]
    assert not composition.reads_backbone
    assert composition(None, some(features, ["medical"])) is features["medical"]


def test_alone_gives_the_last_state_when_there_is_no_adapter_and_refuses_several(hidden, features):
    composition = composed("alone", NAMES)
    assert composition(hidden, {}) is hidden
    said = r"'alone' .* of one adapter, and factual, legal are plugged; .*`composition: {name: concat}`.*`recompose`"
    with pytest.raises(ConfigError, match=said):
        composition(hidden, some(features, ["factual", "legal"]))


@torch.no_grad()
def test_concat_of_one_is_one_linear_layer_over_both(hidden, features):
    composition = composed("concat", ["factual"], seed=0)
    pair = composition.pairs["factual"]
    expected = torch.cat([hidden, features["factual"]], -1) @ pair.weight.T + pair.bias
    assert_close(composition(hidden, some(features, ["factual"])), expected, "one adapter")


@torch.no_grad()
def test_concat_of_several_is_one_linear_layer_over_all_their_pairs(hidden, features):
    composition = composed("concat", NAMES, seed=0)
    pairs = [composition.pairs[name](torch.cat([hidden, features[name]], -1)) for name in sorted(NAMES)]
    weight = torch.cat([composition.blocks[name] for name in sorted(NAMES)], 1)
    expected = torch.cat(pairs, -1) @ weight.T + composition.bias
    assert_close(composition(hidden, features), expected, "five adapters")


def test_sum_adds_every_feature_to_the_last_state(hidden, features):
    composition = composed("sum", NAMES)
    assert_close(composition(hidden, features), hidden + sum(features.values()), "five adapters")


@torch.no_grad()
@pytest.mark.parametrize("plugged", range(1, 6))
def test_concat_starts_as_the_mean_of_the_last_state_and_the_features_or_a_multiple(hidden, features, plugged):
    names = NAMES[:plugged]
    mean = hidden / 2 + sum(features[name] for name in names) / (2 * plugged)
    start = mean * max(1, plugged / 2)
    assert_close(composed("concat", names)(hidden, some(features, names)), start, "the start")


@torch.no_grad()
def test_gate_weighs_the_features_of_every_token(hidden, features):
    composition = composed("gate", NAMES, seed=0)
    expected = hidden.clone()
    for name in NAMES:
        gate = composition.gates[name]
        weight = torch.cat([hidden, features[name]], -1) @ gate.weight[0] + gate.bias
        expected += weight.sigmoid()[..., None] * features[name]
    assert_close(composition(hidden, features), expected, "five adapters")


@torch.no_grad()
def test_attention_asks_with_the_last_state_and_weighs_all_that_answer(hidden, features):
    composition = composed("attention", NAMES, seed=0)
    asked = composition.query(hidden)
    answers = [(composition.own_key(hidden), hidden)]
    answers += [(composition.keys[name](features[name]), features[name]) for name in NAMES]
    scores = torch.stack([(asked * key).sum(-1) / 8 for key, _ in answers], -1).softmax(-1)
    expected = sum(scores[..., [i]] * value for i, (_, value) in enumerate(answers))
    assert_close(composition(hidden, features), expected, "five adapters")
    assert scores.std() > 0


@torch.no_grad()
def test_at_the_start_gate_halves_the_features_and_attention_takes_the_mean(hidden, features):
    halved = hidden + sum(features.values()) / 2
    assert_close(composed("gate", NAMES)(hidden, features), halved, "gate")
    mean = torch.stack([hidden, *features.values()]).mean(0)
    assert_close(composed("attention", NAMES)(hidden, features), mean, "attention")


def test_an_attention_without_width_is_an_error():
    with pytest.raises(ConfigError, match="composition 'attention': width is 0; it must be 1 or more"):
        build_composition({"name": "attention", "width": 0}, WIDTH)


@every_composition
def test_without_features_it_gives_the_last_state_itself(name, hidden):
    assert composed(name, [])(hidden, {}) is hidden
    assert composed(name, NAMES)(hidden, {}) is hidden


# --- order, unplugging


@torch.no_grad()
@every_composition
def test_the_order_of_plugging_does_not_matter_bit_for_bit(name, hidden, features):
    names = NAMES[:3]
    expected, fresh = composed(name, names, seed=0), composed(name, names)
    for order in permutations(names):
        composition = composed(name, order)
        assert_same_tensors(composition.state_dict(), fresh.state_dict(), f"the start of {order}")
        composition.load_state_dict(expected.state_dict())
        given = composition(hidden, some(features, reversed(order)))
        assert_same(given, expected(hidden, some(features, names)), f"{order}")


@pytest.mark.parametrize("name", ["concat", "gate", "attention"])
def test_plugging_again_keeps_what_was_learned(name):
    composition = composed(name, NAMES[:2], seed=0)
    learned = {key: tensor.clone() for key, tensor in composition.state_dict().items()}
    composition.plug("factual")
    assert_same_tensors(composition.state_dict(), learned, "plugged again")
    composition.plug("medical")
    assert_same_tensors({key: composition.state_dict()[key] for key in learned}, learned, "one more was plugged")


@torch.no_grad()
def test_an_adapter_that_is_unplugged_adds_nothing_and_is_back_when_plugged_again(tiny):
    backbone = tiny("bert")
    model = KnowledgeModel(backbone, build_composition({"name": "concat"}, 32)).eval()
    for name in ("factual", "linguistic"):
        model.plug(name, {"type": "k-adapter", "reads": [1]})
    fill_randomly(model.composition)
    batch = tiny_batch(backbone)
    both = model(**batch).last_hidden_state
    adapter = model.unplug("linguistic")
    pair = model.composition.pairs["factual"]
    output = model(**batch)
    expected = pair(torch.cat([output.backbone_hidden_state, output.features["factual"]], -1))
    assert_same(output.last_hidden_state, expected, "one is left")
    model.plug("linguistic", adapter)
    assert_same(model(**batch).last_hidden_state, both, "plugged again")


@torch.no_grad()
@every_composition
def test_a_saved_model_composes_bit_for_bit_as_before(name, minilm, tmp_path):
    model = KnowledgeModel(minilm, build_composition({"name": name}, 384)).eval()
    for own_name in ("zoology", "botany", "anatomy"):
        model.plug(own_name, build_adapter({"type": "k-adapter", "init": "random", "width": 32}, minilm.info))
    model.unplug("botany")
    fill_randomly(model.composition)
    model.save_pretrained(tmp_path)
    loaded = KnowledgeModel.from_pretrained(tmp_path)
    assert loaded.plugged == ("zoology", "anatomy")
    assert loaded.composition.plugged == {"zoology", "botany", "anatomy"}
    assert_same_tensors(loaded.composition.state_dict(), model.composition.state_dict(), "loaded")
    batch = tiny_batch(minilm)
    assert_same(loaded(**batch).last_hidden_state, model(**batch).last_hidden_state, "loaded")


# --- errors


def test_an_unknown_composition_says_which_there_are():
    with pytest.raises(
        UnknownNameError, match="there is alone, attention, concat, gate, residual, sum; did you mean 'concat'"
    ):
        build_composition({"name": "concta"}, WIDTH)


@every_composition
def test_an_unknown_option_is_an_error(name):
    with pytest.raises(ConfigError, match=f"composition '{name}' has no option 'depth'"):
        build_composition({"name": name, "depth": 2}, WIDTH)


def test_a_composition_that_does_not_mix_says_so(hidden):
    with pytest.raises(TypeError, match="composition Composition does not say how it mixes"):
        Composition(None, WIDTH)(hidden, {})
