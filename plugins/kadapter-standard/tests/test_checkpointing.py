"""Gradient checkpointing computes the layers again: the same features, loss and gradients for less memory."""

import pytest
import torch

from kadapter import KnowledgeModel, build_adapter
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_same_tensors


def gradients(model, checkpointing):
    """Of every weight that has one, after a backward pass in training mode."""
    model.zero_grad()
    model.gradient_checkpointing_enable() if checkpointing else model.gradient_checkpointing_disable()
    torch.manual_seed(0)
    model.train()(**tiny_batch(model.backbone)).last_hidden_state.square().mean().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.fixture
def model_of(minilm):
    """Gives a model on MiniLM with some adapters plugged, which are filled at random."""

    def make(*kinds, **composition):
        model = KnowledgeModel(minilm)
        for number, options in enumerate(kinds):
            adapter = build_adapter(options, minilm.info)
            fill_randomly(adapter, seed=number)
            model.plug(f"adapter-{number}", adapter)
        model.recompose(composition or {"name": "alone"})
        return model

    yield make
    minilm.checkpointing = False


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "houlsby"},
        {"preset": "pfeiffer"},
        {"preset": "parallel"},
        {"preset": "parallel", "places": ["attention", "feedforward"]},
        {"preset": "pfeiffer", "leave_out": [1, 2, 3]},
        {"dropout": 0.5, "norm_before": True, "norm_after": True, "scale": "learned"},
    ],
)
def test_gradients_are_the_same_bit_for_bit(model_of, options):
    model = model_of({"type": "standard", **options})
    plain = gradients(model, checkpointing=False)
    assert len(plain) == len(list(model.adapters.parameters()))
    assert_same_tensors(gradients(model, checkpointing=True), plain, "with checkpointing")


def test_gradients_are_the_same_beside_other_adapters(model_of):
    kinds = {"type": "standard"}, {"type": "k-adapter"}, {"type": "standard", "preset": "pfeiffer", "leave_out": [1]}
    model = model_of(*kinds, name="concat")
    plain = gradients(model, checkpointing=False)
    assert_same_tensors(gradients(model, checkpointing=True), plain, "with checkpointing")


@pytest.fixture
def computed(minilm):
    """The numbers of the layers, each time that one of them is computed."""
    numbers = []

    def note(number):
        return lambda *_: numbers.append(number)

    # A part of a layer: what stands in for the layer itself is called once, however often it is computed.
    hooks = [layer.attention.register_forward_hook(note(k)) for k, layer in enumerate(minilm.layers, start=1)]
    yield numbers
    for hook in hooks:
        hook.remove()


def test_layers_that_get_a_gradient_are_computed_twice(model_of, computed):
    gradients(model_of({"type": "standard", "size": 8, "leave_out": [1, 2]}), checkpointing=True)
    assert [computed.count(layer) for layer in range(1, 7)] == [1, 1, 2, 2, 2, 2]
