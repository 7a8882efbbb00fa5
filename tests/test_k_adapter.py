"""The k-adapter: its size, what it reads, what each option does, and its arithmetic against torch's own layers."""

import copy
import json
from dataclasses import asdict, fields
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from kadapter import BackboneError, BackboneInfo, ConfigError, KnowledgeModel, build_adapter
from kadapter.builtin.k_adapter import KAdapter
from kadapter.testing import SENTENCES, fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_close, assert_same, features_of

COPIED = {"type": "k-adapter"}
RANDOM = {"type": "k-adapter", "init": "random", "reads": [0, 2], "width": 24, "heads": 4, "intermediate": 40}


def info_of(width=768, layers=12, heads=12):
    """The facts of a backbone that nobody runs."""
    return BackboneInfo("fake", "roberta", width, layers, heads, 4 * width, False, "0" * 16, copy_layer=nn.Identity)


def built(options, backbone, seed=1):
    """An adapter filled at random, in evaluation mode."""
    adapter = build_adapter(options, backbone.info)
    fill_randomly(adapter, seed)
    return adapter.eval()


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


# --- the paper's


@pytest.mark.parametrize(("width", "layers", "parameters"), [(1024, 24, 47_251_200), (768, 12, 46_070_784)])
def test_the_preset_of_the_paper_has_exactly_the_papers_size(width, layers, parameters):
    with torch.device("meta"):
        adapter = build_adapter({"type": "k-adapter", "preset": "paper"}, info_of(width, layers))
    assert size(adapter) == parameters
    assert len(adapter.state_dict()) == 108


@pytest.mark.parametrize(
    ("reads", "layers", "states"),
    [
        ("paper", 24, (0, 11, 22)),
        ("paper", 12, (0, 5, 10)),
        ("paper", 6, (0, 2, 4)),
        ("paper", 2, (0,)),
        ("middle", 24, (8, 16)),
        ("middle", 12, (4, 8)),
        ("middle", 6, (2, 4)),
        ("middle", 4, (1, 3)),
        ([0, 3, 6], 6, (0, 3, 6)),
    ],
)
def test_states_are_chosen_for_any_depth(reads, layers, states):
    with torch.device("meta"):
        adapter = build_adapter({"type": "k-adapter", "init": "random", "reads": reads}, info_of(layers=layers))
    assert adapter.reads == adapter.config.reads == states


def test_a_random_adapter_starts_as_the_sum_of_its_states(tiny):
    backbone = tiny("roberta")
    adapter = build_adapter({**RANDOM, "reads": [0, 1, 3]}, backbone.info).eval()
    states = backbone(tiny_batch(backbone), frozenset(adapter.reads))
    expected = states[0] + states[1] + states[3]
    torch.testing.assert_close(features_of(adapter, backbone, tiny_batch(backbone)), expected, rtol=0, atol=0.05)
    assert not any(projection.bias.any() for layer in adapter.layers for projection in (layer.down, layer.up))


# --- copies of the backbone's layers


@torch.no_grad()
@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "llama"])
@pytest.mark.parametrize("layers", [1, 2])
def test_copies_start_as_the_state_and_half_of_what_the_next_layers_make_of_it(tiny, family, layers):
    backbone = tiny(family)
    adapter = build_adapter({**COPIED, "reads": [1], "transformer_layers": layers}, backbone.info).eval()
    states = backbone(tiny_batch(backbone), frozenset({1, 1 + layers}))
    assert adapter.borrows == tuple(range(2, 2 + layers))
    expected = states[1] + states[1 + layers] / 2
    assert_close(features_of(adapter, backbone, tiny_batch(backbone)), expected, "the start")


@torch.no_grad()
def test_each_further_layer_starts_from_its_state_and_what_the_one_before_gave(tiny):
    backbone = tiny("bert")
    adapter = build_adapter({**COPIED, "reads": [0, 2], "transformer_layers": 1}, backbone.info).eval()
    states = backbone(tiny_batch(backbone), frozenset({0, 1, 2}), frozenset({3}))
    entering = states[2] + states[0] + states[1] / 2
    expected = entering + states.calls[3].repeat(backbone.info.copy_layer(3), entering) / 2
    assert_close(features_of(adapter, backbone, tiny_batch(backbone)), expected, "the start")


@pytest.mark.parametrize(
    ("reads", "layers", "borrows"),
    [([4], 2, (3, 4)), ([3], 2, (3, 4)), ([2, 4], 3, (2, 3, 4, 2, 3, 4)), ([0], 1, (1,))],
)
def test_near_the_end_of_the_backbone_its_last_layers_are_copied(tiny, reads, layers, borrows):
    adapter = build_adapter({**COPIED, "reads": reads, "transformer_layers": layers}, tiny("bert").info)
    assert adapter.borrows == borrows


def test_its_control_has_random_layers_instead_of_copies(tiny):
    adapter = build_adapter(COPIED, tiny("bert").info)
    options = type(adapter).random_control({**COPIED, "reads": [1, 2]})
    control = build_adapter(options, tiny("bert").info)
    assert options == {**COPIED, "reads": [1, 2], "init": "random", "projection_std": 0.02}
    assert control.borrows == ()
    assert (control.config.width, control.config.heads) == (32, 4)


# --- the arithmetic


def as_torchs_own(block, config):
    """The same layer, made of torch's own."""
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, config.intermediate, 0.0, getattr(functional, config.activation), 1e-5, True
    )
    attention = layer.self_attn
    inputs = (block.query, block.key, block.value)
    pairs = [
        (attention.in_proj_weight, torch.cat([linear.weight for linear in inputs])),
        (attention.in_proj_bias, torch.cat([linear.bias for linear in inputs])),
    ]
    modules = [
        (attention.out_proj, block.mix),
        (layer.linear1, block.expand),
        (layer.linear2, block.contract),
        (layer.norm1, block.attention_norm),
        (layer.norm2, block.output_norm),
    ]
    for own, ours in modules:
        pairs += [(own.weight, ours.weight), (own.bias, ours.bias)]
    for own, ours in pairs:
        own.copy_(ours)
    return layer


def by_hand(adapter, states, hidden_from):
    """Section 3.2 of the paper, step by step; `hidden_from` is the mask that torch's layers are called with."""
    output = torch.zeros_like(states[0])
    for number, (layer, state) in enumerate(zip(adapter.layers, adapter.reads, strict=True)):
        gate = 1 if adapter.gates is None or number == 0 else adapter.gates[number - 1]
        entering = states[state] + gate * output
        inner = functional.linear(entering, layer.down.weight, layer.down.bias)
        for block in layer.transformer.layers:
            inner = as_torchs_own(block, adapter.config)(inner, **hidden_from)
        output = entering + functional.linear(inner, layer.up.weight, layer.up.bias)
    return output


@torch.no_grad()
@pytest.mark.parametrize("accumulation", ["add", "gated"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_it_computes_what_the_paper_says(tiny, accumulation, activation):
    backbone = tiny("bert")
    adapter = built({**RANDOM, "reads": [0, 1, 3], "accumulation": accumulation, "activation": activation}, backbone)
    batch = tiny_batch(backbone)
    states, real = backbone.model(**batch, output_hidden_states=True).hidden_states, batch["attention_mask"].bool()
    expected = by_hand(adapter, states, {"src_key_padding_mask": ~real})
    assert_close(features_of(adapter, backbone, batch)[real], expected[real], "real tokens")


@torch.no_grad()
def test_on_a_causal_backbone_it_computes_the_same_with_a_causal_mask(tiny):
    backbone = tiny("gpt2")
    adapter, batch = built(RANDOM, backbone), tiny_batch(backbone, SENTENCES[:1])
    states, tokens = backbone.model(**batch, output_hidden_states=True).hidden_states, batch["input_ids"].shape[1]
    later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    assert_close(features_of(adapter, backbone, batch), by_hand(adapter, states, {"src_mask": later}), "causal")


# --- the published code's padding


@torch.no_grad()
@pytest.mark.parametrize(("family", "first"), [("roberta", 2), ("bert", 0)])
def test_as_in_the_published_code_padding_is_attended_to_and_numbered_as_tokens(tiny, family, first):
    backbone = tiny(family)
    adapter, batch = built({**RANDOM, "compat": "microsoft"}, backbone), tiny_batch(backbone)
    positions = torch.arange(first, first + batch["input_ids"].shape[1])[None]
    states = backbone.model(**batch, position_ids=positions, output_hidden_states=True).hidden_states
    assert_close(features_of(adapter, backbone, batch), by_hand(adapter, states, {}), "padding too")


def test_the_published_padding_cannot_be_had_on_a_causal_backbone(tiny):
    with pytest.raises(ConfigError, match="causal"):
        built({**RANDOM, "compat": "microsoft"}, tiny("gpt2"))


def test_padding_matters_only_with_the_published_codes(tiny):
    backbone = tiny("roberta")
    alone, among = tiny_batch(backbone, [SENTENCES[1]]), tiny_batch(backbone)
    length = alone["input_ids"].shape[1]
    for compat, matters in [(None, False), ("microsoft", True)]:
        adapter = built({**RANDOM, "compat": compat}, backbone)
        own = features_of(adapter, backbone, alone)[0]
        other = features_of(adapter, backbone, among)[1, :length]
        assert torch.allclose(own, other, atol=1e-5) is not matters


# --- options

EFFECTS = [
    (COPIED, {"reads": [0, 2]}),
    (COPIED, {"transformer_layers": 1}),
    (COPIED, {"init": "random"}),
    (COPIED, {"accumulation": "gated"}),
    (RANDOM, {"reads": [0, 3]}),
    (RANDOM, {"transformer_layers": 1}),
    (RANDOM, {"accumulation": "gated"}),
    (RANDOM, {"width": 16}),
    (RANDOM, {"heads": 2}),
    (RANDOM, {"intermediate": 20}),
    (RANDOM, {"activation": "relu"}),
    (RANDOM, {"compat": "microsoft"}),
    (COPIED, {"residual": True}),
    (RANDOM, {"residual": True}),
]


@pytest.mark.parametrize(("options", "change"), EFFECTS)
def test_each_option_changes_the_features(tiny, options, change):
    backbone = tiny("roberta")
    batch = tiny_batch(backbone)
    before, after = (features_of(built(o, backbone), backbone, batch) for o in (options, {**options, **change}))
    real = batch["attention_mask"].bool()
    assert not torch.allclose(before[real], after[real], atol=1e-3)


def test_every_option_is_tested_for_an_effect():
    tested = {option for _, change in EFFECTS for option in change} | {"dropout", "projection_std", "gate", "gate_cost"}
    assert tested == {field.name for field in fields(type(build_adapter(RANDOM, info_of()).config))}


@torch.no_grad()
@pytest.mark.parametrize(("dropout", "random"), [(0.0, False), (0.5, True)])
def test_dropout_is_for_training(tiny, dropout, random):
    backbone = tiny("roberta")
    adapter, batch = built({**RANDOM, "dropout": dropout}, backbone).train(), tiny_batch(backbone)
    first, second = (features_of(adapter, backbone, batch) for _ in range(2))
    assert torch.equal(first, second) is not random


@pytest.mark.parametrize(("given", "std"), [(None, 0.0002), (0.02, 0.02)])
def test_the_projections_start_as_small_as_they_are_said_to(given, std):
    adapter = build_adapter({**RANDOM, "width": 96, "projection_std": given}, info_of())
    for layer in adapter.layers:
        for projection in (layer.down, layer.up):
            assert projection.weight.std().item() == pytest.approx(std, rel=0.05)


def test_gates_start_open(tiny):
    backbone = tiny("roberta")
    plain, gated = (build_adapter({**COPIED, "accumulation": a}, backbone.info).eval() for a in ("add", "gated"))
    assert size(gated) == size(plain) + 32
    batch = tiny_batch(backbone)
    assert_same(features_of(gated, backbone, batch), features_of(plain, backbone, batch), "the start")


@pytest.mark.parametrize("options", [COPIED, RANDOM, {"type": "k-adapter", "init": "random"}])
def test_the_saved_config_leaves_nothing_to_the_backbone(tiny, options):
    adapter = build_adapter(options, tiny("roberta").info)
    again = build_adapter({"type": "k-adapter", **json.loads(json.dumps(asdict(adapter.config)))}, tiny("roberta").info)
    assert again.config == adapter.config
    assert isinstance(adapter.config.reads, tuple)
    if adapter.config.init == "random":
        open_ones = [name for name, value in asdict(adapter.config).items() if value is None and name != "compat"]
        assert not open_ones


@pytest.mark.parametrize(("width", "heads", "chosen"), [(None, None, 12), (64, None, 8), (60, 5, 5), (7, None, 7)])
def test_heads_that_are_not_given_divide_the_width(width, heads, chosen):
    adapter = build_adapter({"type": "k-adapter", "init": "random", "width": width, "heads": heads}, info_of(width=48))
    assert adapter.config.heads == chosen


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"reads": []}, ConfigError, "reads is \\[\\]; it must name one state or more"),
        ({"reads": [2, 1]}, ConfigError, "ascending"),
        ({"reads": [1, 1]}, ConfigError, "none twice"),
        ({"reads": "top"}, ConfigError, "'middle' or 'paper'"),
        ({"reads": [0, 13]}, BackboneError, "state 13 .*has 12 layers"),
        ({"reads": [-1]}, BackboneError, "state -1"),
        ({"transformer_layers": 0}, ConfigError, "transformer_layers is 0"),
        ({"transformer_layers": 13}, ConfigError, "13 transformer layers cannot be copied from the 12 of 'fake'"),
        ({"width": 64}, ConfigError, "width cannot be chosen with init 'backbone'"),
        ({"init": "random", "width": 64, "heads": 5}, ConfigError, "width 64 cannot be divided among 5 heads"),
        ({"init": "random", "width": 0}, ConfigError, "width is 0"),
        ({"init": "random", "dropout": 1.0}, ConfigError, "dropout is 1.0"),
        ({"init": "random", "activation": "no_such"}, ConfigError, "activation 'no_such'"),
        ({"init": "copied"}, ConfigError, "option 'init' is 'copied'"),
        ({"gate": True}, ConfigError, "a gate lets a residual through; set residual to true as well"),
        ({"residual": True, "gate_cost": 0.1}, ConfigError, "gate_cost is 0.1; .* 0 without a gate"),
        ({"residual": True, "gate": True, "gate_cost": -1.0}, ConfigError, "gate_cost is -1.0"),
        ({"read": [1]}, ConfigError, "no option 'read'.*did you mean 'reads'"),
        ({"preset": "tiny"}, ConfigError, "no preset 'tiny'; it has paper"),
    ],
)
def test_options_that_cannot_be_are_one_clear_error(change, error, said):
    with pytest.raises(error, match=said), torch.device("meta"):
        build_adapter({**COPIED, **change}, info_of())


# --- what is added to the last state


def set_gate(adapter, bias):
    """Let the bias alone decide: a gate that is open everywhere, or shut everywhere."""
    nn.init.zeros_(adapter.residual.gate.weight)
    nn.init.constant_(adapter.residual.gate.bias, bias)


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [COPIED, RANDOM, {**COPIED, "gate": True}], ids=["copied", "random", "gated"])
def test_an_untrained_residual_changes_nothing_bit_for_bit(tiny, options, training):
    model = KnowledgeModel(tiny("gpt2"))
    model.plug("facts", {**options, "residual": True})
    model.train(training)
    batch = tiny_batch(model.backbone)
    assert_same(model(**batch).last_hidden_state, model.backbone.model(**batch).last_hidden_state, "the last state")


def test_an_untrained_residual_learns_from_the_first_step(tiny):
    adapter = build_adapter({**COPIED, "residual": True, "gate": True}, tiny("gpt2").info).train()
    adapter(states_for([adapter], tiny("gpt2"))).sum().backward()
    assert adapter.residual.project.weight.grad.any()


@torch.no_grad()
def test_a_shut_gate_leaves_the_last_state_bit_for_bit_and_an_open_one_lets_all_through(tiny):
    backbone, plain = tiny("gpt2"), built({**COPIED, "residual": True}, tiny("gpt2"))
    gated, batch = built(GATED, backbone), tiny_batch(backbone)
    gated.load_state_dict(plain.state_dict(), strict=False)
    set_gate(gated, bias=-0.01)
    assert not features_of(gated, backbone, batch).any()
    set_gate(gated, bias=0.01)
    assert_same(features_of(gated, backbone, batch), features_of(plain, backbone, batch), "open")


@torch.no_grad()
def test_a_gate_decides_for_each_token_by_itself(tiny):
    backbone, adapter = tiny("gpt2"), built(GATED, tiny("gpt2"))
    adapter.residual.register_forward_hook(lambda module, given, output: likely.append(output[1]))
    likely, batch = [], tiny_batch(backbone)
    features_of(adapter, backbone, batch)
    adapter.residual.gate.bias -= likely[0].logit().median()
    changed = features_of(adapter, backbone, batch).any(-1)
    assert_same(changed, likely[1][..., 0] > 0.5, "where it is likely open")
    assert 0 < changed.float().mean() < 1


def test_in_training_a_gate_is_drawn_and_learns_when_it_is_shut_too(tiny):
    adapter = built(GATED, tiny("gpt2")).train()
    set_gate(adapter, bias=-1.0)
    states = states_for([adapter], tiny("gpt2"), times=40)
    features = adapter(states)
    is_open = features.any(-1)[states.attention_mask].float().mean().item()
    assert is_open == pytest.approx(torch.tensor(-1.0).sigmoid().item(), abs=0.06)
    features[~features.any(-1)].sum().backward()
    assert adapter.residual.gate.bias.grad.any()


@pytest.mark.parametrize("bias", [-1.0, 2.0])
def test_open_gates_cost_what_they_are_said_to_over_real_tokens(tiny, bias):
    model = KnowledgeModel(tiny("gpt2"))
    adapter = model.plug("facts", {**GATED, "gate_cost": 0.5})
    set_gate(adapter, bias)
    model.train()(**tiny_batch(model.backbone))
    assert adapter.penalty().item() == pytest.approx(0.5 * torch.tensor(bias).sigmoid().item())


@pytest.mark.parametrize("change", [{"gate": False}, {"gate_cost": 0.0}])
def test_without_a_gate_or_its_cost_there_is_no_penalty(tiny, change):
    options = {**GATED, **change}
    adapter = built(options, tiny("gpt2")).train()
    adapter(states_for([adapter], tiny("gpt2")))
    assert adapter.penalty() is None


def test_a_step_leaves_nothing_in_the_gates(tiny):
    """What is kept of a pass could neither be copied nor go through the backward pass again."""
    model = KnowledgeModel(tiny("gpt2"))
    adapter = model.plug("facts", {**GATED, "gate_cost": 0.5})
    model.train()(**tiny_batch(model.backbone))
    adapter.drop(range(1, 5))
    model(**tiny_batch(model.backbone))
    assert adapter.penalty() is None
    adapter.drop(())
    model(**tiny_batch(model.backbone))
    adapter.penalty().backward()
    copy.deepcopy(adapter)


@torch.no_grad()
def test_a_gated_residual_is_causal(tiny):
    backbone, adapter = tiny("llama"), built(GATED, tiny("llama"))
    set_gate(adapter, bias=2.0)
    batch = tiny_batch(backbone, SENTENCES[:1])
    shorter = {name: values[:, :-2] for name, values in batch.items()}
    whole = features_of(adapter, backbone, batch)[:, :-2]
    assert_close(features_of(adapter, backbone, shorter), whole, "earlier tokens")


@torch.no_grad()
def test_when_all_layers_are_dropped_nothing_is_added(tiny):
    backbone, adapter = tiny("gpt2"), built({**COPIED, "residual": True}, tiny("gpt2"))
    adapter.drop(range(1, 5))
    assert not features_of(adapter, backbone, tiny_batch(backbone)).any()


# --- several at once

GATED = {**COPIED, "residual": True, "gate": True}
SHAPES = {"copies": COPIED, "residual": GATED, "gated": {**COPIED, "accumulation": "gated"}, "random": RANDOM}


def states_for(adapters, backbone, times=1):
    reads, borrows = ({n for a in adapters for n in asked(a)} for asked in (attrgetter("reads"), attrgetter("borrows")))
    return backbone(tiny_batch(backbone, SENTENCES[:2] * times), frozenset(reads), frozenset(borrows))


def by_itself(ran):
    """A `forward` that notes that it ran."""
    return lambda adapter, states: ran.append(adapter) or FORWARD(adapter, states)


FORWARD = KAdapter.forward


@torch.no_grad()
@pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("family", ["bert", "deberta-v2", "gpt2", "llama"])
def test_those_of_one_shape_run_at_once(tiny, family, options, monkeypatch):
    adapters = [built(options, tiny(family), seed) for seed in range(4)]
    states = states_for(adapters, tiny(family))
    expected = [adapter(states) for adapter in adapters]
    monkeypatch.setattr(KAdapter, "forward", by_itself(ran := []))
    found = KAdapter.together(adapters, states)
    assert ran == adapters[:1], "the first one stands for all of them"
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, "at once")


@torch.no_grad()
@pytest.mark.parametrize("why", ["few", "long", "trained", "with gradient", "of several shapes"])
def test_they_run_one_after_another_where_that_is_quicker_or_something_is_trained(tiny, why, monkeypatch):
    shapes = [COPIED, RANDOM] if why == "of several shapes" else [COPIED]
    adapters = [built(options, tiny("bert"), seed) for seed in range(3 if why != "long" else 4) for options in shapes]
    adapters += [built(COPIED, tiny("bert"))] if why in ("trained", "with gradient") else []
    adapters[-1].train(why == "trained")
    states = states_for(adapters, tiny("bert"), times=4 if why == "long" else 1)
    monkeypatch.setattr(KAdapter, "forward", by_itself(ran := []))
    with torch.set_grad_enabled(why == "with gradient"):
        KAdapter.together(adapters, states)
    assert len(ran) == len(adapters)
    assert set(ran) == set(adapters)


@torch.no_grad()
def test_layers_that_cannot_be_batched_run_one_after_another(tiny, monkeypatch):
    adapters = [built(COPIED, tiny("bert"), seed) for seed in range(4)]
    states = states_for(adapters, tiny("bert"))
    asks = lambda module, hidden, *_, **__: hidden + 0 * hidden.sum().item()  # noqa: E731
    monkeypatch.setattr(type(adapters[0].layers[0].transformer.layers[0]), "forward", asks)
    expected = [adapter(states) for adapter in adapters]
    for _ in range(2):
        for one, other in zip(KAdapter.together(adapters, states), expected, strict=True):
            assert_same(one, other, "one after another")


@torch.no_grad()
def test_what_was_stacked_of_other_weights_is_stacked_again(tiny):
    adapters = [built(COPIED, tiny("bert"), seed) for seed in range(4)]
    states = states_for(adapters, tiny("bert"))
    KAdapter.together(adapters, states)
    fill_randomly(adapters[2], seed=9)
    assert_close(KAdapter.together(adapters, states)[2], adapters[2](states), "filled again")
    adapters[1].load_state_dict(built(COPIED, tiny("bert"), 8).state_dict(), assign=True)
    assert_close(KAdapter.together(adapters, states)[1], adapters[1](states), "replaced")


def test_every_option_is_told_of_where_recipes_are():
    page = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")
    told = page[page.index("## The k-adapter") : page.index("## What is composed")]
    assert [option.name for option in fields(KAdapter.Config) if f"`{option.name}`" not in told] == []
