"""`torch.compile` on a model with plugged adapters: a whole pass is one graph, which gives what the model gives.

The graph runs as it was traced, without a compiler behind it: what is tested is that tracing follows taps and passes.
"""

import pytest
import torch

from kadapter import KnowledgeModel
from kadapter.testing import SENTENCES, fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_close

PLUGGED = {
    "nothing": [],
    "copies and random layers": [{"type": "k-adapter"}, {"type": "k-adapter", "init": "random", "reads": [1]}],
    "low only, so that the pass ends early": [{"type": "k-adapter", "reads": [0], "transformer_layers": 1}],
    "one that edits": [{"type": "shift"}],
}


def compiled(model):
    torch._dynamo.reset()
    return torch.compile(model, backend="eager", fullgraph=True)


@torch.no_grad()
@pytest.mark.parametrize("adapters", PLUGGED.values(), ids=PLUGGED)
def test_a_pass_is_one_graph(tiny, editors, adapters):
    backbone = tiny("bert")
    model = KnowledgeModel(backbone).eval()
    for number, options in enumerate(adapters):
        fill_randomly(model.plug(f"number-{number}", options, editors), number)
    if len(adapters) == 1:
        model.recompose({"name": "alone"})
    batch = tiny_batch(backbone)
    expected, found = model(**batch), compiled(model)(**batch)
    real = batch["attention_mask"].bool()
    assert_close(found.last_hidden_state[real], expected.last_hidden_state[real], "compiled")
    for name, features in expected.features.items():
        assert_close(found.features[name][real], features[real], name)


@torch.no_grad()
def test_copies_of_a_backbone_whose_states_transformers_was_asked_for_are_traced(tiny):
    """transformers hangs hooks into a model that is asked for its states, which cannot be followed in a copy."""
    backbone = tiny("bert")
    batch = tiny_batch(backbone)
    backbone.model(**batch, output_hidden_states=True, output_attentions=True)
    model = KnowledgeModel(backbone).eval()
    fill_randomly(model.plug("it", {"type": "k-adapter"}))
    found, expected = (run(**batch).features["it"] for run in (compiled(model), model))
    real = batch["attention_mask"].bool()
    assert_close(found[real], expected[real], "compiled")


@torch.no_grad()
def test_what_is_compiled_and_what_is_not_can_take_turns(tiny):
    backbone = tiny("roberta")
    model = KnowledgeModel(backbone).eval()
    fill_randomly(model.plug("it", {"type": "k-adapter"}))
    batch = tiny_batch(backbone, SENTENCES[:1])
    expected, quick = model(**batch).last_hidden_state, compiled(model)
    assert_close(quick(**batch).last_hidden_state, expected, "compiled")
    assert torch.equal(model(**batch).last_hidden_state, expected)
    model.unplug("it")
    assert_close(quick(**batch).last_hidden_state, model(**batch).last_hidden_state, "unplugged")
