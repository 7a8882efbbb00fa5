"""The papers' formulas, written out layer by layer with the backbone's own modules, give the adapter's features."""

import pytest
import torch
from torch.nn import functional

from kadapter.testing import tiny_batch
from kadapter.testing.comparing import features_of

SENTENCE = ["the harbour of the old town is full of small boats"]


def bottleneck(part, activation, hidden):
    """f(h) = act(h D + a) U + b."""
    inner = activation(functional.linear(hidden, part.down.weight, part.down.bias))
    return functional.linear(inner, part.up.weight, part.up.bias)


@torch.no_grad()
def by_hand(backbone, layer_of):
    """The last layer's state: `layer_of(number, layer, state)` gives what a layer gives."""
    state = backbone(tiny_batch(backbone, SENTENCE), frozenset({0}))[0]
    for number, layer in enumerate(backbone.layers, start=1):
        state = layer_of(number, layer, state)
    return state


def assert_features(adapter, backbone, expected):
    features = features_of(adapter, backbone, tiny_batch(backbone, SENTENCE))
    torch.testing.assert_close(features, expected, rtol=1e-6, atol=2e-6)


# --- BERT: a norm behind every sum


@pytest.fixture
def bert(tiny):
    return tiny("bert")


def attention_of_bert(layer, state):
    return layer.attention.output.dense(layer.attention.self(state)[0])


def feedforward_of_bert(layer, attended):
    return layer.output.dense(layer.intermediate(attended))


def test_without_an_adapter_the_formula_of_bert_is_berts(bert):
    def layer_of(number, layer, state):
        attended = layer.attention.output.LayerNorm(state + attention_of_bert(layer, state))
        return layer.output.LayerNorm(attended + feedforward_of_bert(layer, attended))

    batch = tiny_batch(bert, SENTENCE)
    torch.testing.assert_close(by_hand(bert, layer_of), bert.model(**batch).last_hidden_state, rtol=1e-6, atol=2e-6)


def test_houlsby_in_bert(bert, built):
    """y = LN'(x + a + f(a)) with a = attention(x); z = LN'(y + b + f(b)) with b = feed-forward(y)."""
    adapter = built(bert, size=8)

    def layer_of(number, layer, state):
        def added(place, given):
            return given + bottleneck(adapter.bottlenecks[f"{number}-{place}"], functional.gelu, given)

        attended = adapter.norms[f"{number}-attention-norm"](
            state + added("attention", attention_of_bert(layer, state))
        )
        fed = added("feedforward", feedforward_of_bert(layer, attended))
        return adapter.norms[f"{number}-feedforward-norm"](attended + fed)

    assert_features(adapter, bert, by_hand(bert, layer_of))


@pytest.mark.parametrize("places", [["feedforward"], ["attention"], ["attention", "feedforward"]])
@pytest.mark.parametrize("train_norms", [False, True])
def test_pfeiffer_in_bert(bert, built, places, train_norms):
    """z = LN(s + f(LN(s))) with s = y + feed-forward(y): LN is the backbone's own, twice, or the copy, twice."""
    adapter = built(bert, preset="pfeiffer", size=8, places=places, train_norms=train_norms)

    def around(number, place, norm, total):
        norm = adapter.norms[f"{number}-{place}-norm"] if train_norms and place in places else norm
        if place not in places:
            return norm(total)
        part = adapter.bottlenecks[f"{number}-{place}-norm"]
        return norm(total + bottleneck(part, functional.relu, norm(total)))

    def layer_of(number, layer, state):
        total = state + attention_of_bert(layer, state)
        attended = around(number, "attention", layer.attention.output.LayerNorm, total)
        total = attended + feedforward_of_bert(layer, attended)
        return around(number, "feedforward", layer.output.LayerNorm, total)

    assert_features(adapter, bert, by_hand(bert, layer_of))


@pytest.mark.parametrize("places", [["feedforward"], ["attention"], ["attention", "feedforward"]])
def test_parallel_in_bert(bert, built, places):
    """y = LN(x + attention(x) + 4 f(x)); z = LN(y + feed-forward(y) + 4 f(y))."""
    adapter = built(bert, preset="parallel", places=places)

    def beside(number, place, taken):
        if place not in places:
            return 0
        return 4 * bottleneck(adapter.bottlenecks[f"{number}-{place}"], functional.relu, taken)

    def layer_of(number, layer, state):
        attention = attention_of_bert(layer, state) + beside(number, "attention", state)
        attended = layer.attention.output.LayerNorm(state + attention)
        fed = feedforward_of_bert(layer, attended) + beside(number, "feedforward", attended)
        return layer.output.LayerNorm(attended + fed)

    assert_features(adapter, bert, by_hand(bert, layer_of))


def test_norms_and_a_learned_scale_around_the_bottleneck(bert, built):
    """z = LN(y + b + N₂(s f(N₁(b)))): the adapter's own norms stand inside what is added."""
    options = {"places": ["feedforward"], "train_norms": False, "scale": "learned"}
    adapter = built(bert, size=8, norm_before=True, norm_after=True, **options)

    def layer_of(number, layer, state):
        attended = layer.attention.output.LayerNorm(state + attention_of_bert(layer, state))
        fed, part = feedforward_of_bert(layer, attended), adapter.bottlenecks[f"{number}-feedforward"]
        added = part.norm_after(part.scale * bottleneck(part, functional.gelu, part.norm_before(fed)))
        return layer.output.LayerNorm(attended + fed + added)

    assert_features(adapter, bert, by_hand(bert, layer_of))


# --- GPT-2: a norm before every sub-layer, and one at the end


@pytest.fixture
def gpt2(tiny):
    return tiny("gpt2")


def test_without_an_adapter_the_formula_of_gpt2_is_gpt2s(gpt2):
    def layer_of(number, layer, state):
        state = state + layer.attn(layer.ln_1(state))[0]
        return state + layer.mlp(layer.ln_2(state))

    batch, expected = tiny_batch(gpt2, SENTENCE), gpt2.model.ln_f(by_hand(gpt2, layer_of))
    torch.testing.assert_close(expected, gpt2.model(**batch).last_hidden_state, rtol=1e-6, atol=2e-6)


def test_houlsby_in_gpt2(gpt2, built):
    """y = x + a + f(a) with a = attention(LN x); z = y + b + f(b) with b = feed-forward(LN' y).

    The norms that follow the sub-layers are copies: all but that of the first attention.
    """
    adapter = built(gpt2, size=8)

    def layer_of(number, layer, state):
        def added(place, given):
            return given + bottleneck(adapter.bottlenecks[f"{number}-{place}"], functional.gelu, given)

        before = layer.ln_1 if number == 1 else adapter.norms[f"{number - 1}-feedforward-norm"]
        state = state + added("attention", layer.attn(before(state))[0])
        return state + added("feedforward", layer.mlp(adapter.norms[f"{number}-attention-norm"](state)))

    assert_features(adapter, gpt2, adapter.norms["4-feedforward-norm"](by_hand(gpt2, layer_of)))


def test_pfeiffer_in_gpt2(gpt2, built):
    """z = s + f(s) with s = y + feed-forward(LN y): no norm takes the sum inside the layer."""
    adapter = built(gpt2, preset="pfeiffer", size=8)

    def layer_of(number, layer, state):
        state = state + layer.attn(layer.ln_1(state))[0]
        state = state + layer.mlp(layer.ln_2(state))
        return state + bottleneck(adapter.bottlenecks[f"{number}-output"], functional.relu, state)

    assert_features(adapter, gpt2, gpt2.model.ln_f(by_hand(gpt2, layer_of)))


def test_parallel_in_gpt2(gpt2, built):
    """y = x + attention(LN x) + 4 f(LN x); z = y + feed-forward(LN y) + 4 f(LN y)."""
    adapter = built(gpt2, preset="parallel", places=["attention", "feedforward"])

    def layer_of(number, layer, state):
        def beside(place, taken):
            return 4 * bottleneck(adapter.bottlenecks[f"{number}-{place}"], functional.relu, taken)

        taken = layer.ln_1(state)
        state = state + layer.attn(taken)[0] + beside("attention", taken)
        taken = layer.ln_2(state)
        return state + layer.mlp(taken) + beside("feedforward", taken)

    assert_features(adapter, gpt2, gpt2.model.ln_f(by_hand(gpt2, layer_of)))


# --- layers without an adapter


@pytest.mark.parametrize(
    "options", [{"size": 8, "leave_out": [1, 4]}, {"size": [0, 8, 4, 0]}, {"size": [3, 8, 4, 0], "leave_out": [1]}]
)
def test_layers_without_a_bottleneck_are_the_backbones(bert, built, options):
    adapter = built(bert, preset="parallel", **options)

    def layer_of(number, layer, state):
        attended = layer.attention.output.LayerNorm(state + attention_of_bert(layer, state))
        fed = feedforward_of_bert(layer, attended)
        if number in (2, 3):
            fed = fed + 4 * bottleneck(adapter.bottlenecks[f"{number}-feedforward"], functional.relu, attended)
        return layer.output.LayerNorm(attended + fed)

    assert_features(adapter, bert, by_hand(bert, layer_of))
