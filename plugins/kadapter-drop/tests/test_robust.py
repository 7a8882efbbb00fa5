"""Robust training: how many layers are dropped is drawn anew for every batch, and the same again for the same seed."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kadapter import ConfigError, build_adapter
from kadapter.testing import fill_randomly, tiny_backbone, tiny_batch
from kadapter.testing.comparing import assert_same, features_of

LAYERS = 4
INNER = {"type": "standard", "preset": "pfeiffer", "size": 4}


def robust(backbone, seed=0, **options):
    torch.manual_seed(seed)
    return build_adapter({"type": "drop", "inner": INNER, "robust": True, **options}, backbone.info)


def draws(adapter, count):
    """How many layers are dropped in each of so many batches of a training."""
    adapter.train()
    found = []
    for _ in range(count):
        adapter.begin()
        lowest = min((site.layer for site in adapter.edits), default=LAYERS + 1)
        found.append(lowest - 1)
    return found


def test_all_numbers_but_that_of_all_layers_are_drawn_about_as_often(tiny):
    counts = Counter(draws(robust(tiny("bert")), 2000))
    assert set(counts) == set(range(LAYERS))
    assert max(counts.values()) < 1.2 * min(counts.values())


@given(bounds=st.tuples(st.integers(0, LAYERS), st.integers(0, LAYERS)).map(sorted), seed=st.integers(0, 2**31))
def test_the_range_is_kept_and_the_seed_decides(bounds, seed):
    backbone = tiny_backbone("bert")
    drawn = draws(robust(backbone, seed, between=bounds), 40)
    assert set(drawn) <= set(range(bounds[0], bounds[1] + 1))
    assert draws(robust(backbone, seed, between=bounds), 40) == drawn


def test_another_seed_draws_others(tiny):
    assert draws(robust(tiny("bert"), 1), 40) != draws(robust(tiny("bert"), 2), 40)


def test_what_is_saved_goes_on_with_the_draws(tiny):
    whole = draws(robust(tiny("bert"), 3), 50)
    first = robust(tiny("bert"), 3)
    half = draws(first, 20)
    second = robust(tiny("bert"), 4)
    second.load_state_dict(first.state_dict())
    assert half + draws(second, 30) == whole


def test_the_lowest_layers_are_those_that_are_dropped(tiny):
    adapter = robust(tiny("bert")).train()
    for _ in range(20):
        adapter.begin()
        kept = {site.layer for site in adapter.edits}
        assert kept == set(range(min(kept), LAYERS + 1))


def test_evaluation_draws_nothing_and_drops_what_was_said(tiny):
    backbone = tiny("bert")
    adapter, batch = robust(backbone, layers=2), tiny_batch(backbone)
    draws(adapter, 7)
    features = features_of(adapter.eval(), backbone, batch)
    fixed = build_adapter({"type": "drop", "inner": INNER, "layers": 2}, backbone.info).eval()
    fixed.inner.load_state_dict(adapter.inner.state_dict())
    assert_same(features, features_of(fixed, backbone, batch), "in evaluation mode")
    assert adapter.batches == 7


def test_every_layer_is_trained(tiny):
    assert all(parameter.requires_grad for parameter in robust(tiny("bert"), layers=3).parameters())


def test_gradients_are_the_same_when_layers_are_computed_again_after_the_next_draw(tiny, model_of):
    """Checkpointing computes a batch's layers in its backward pass, when another batch may have begun."""
    backbone, batch = tiny("roberta"), tiny_batch(tiny("roberta"))
    found = []
    for checkpointing in (False, True):
        adapter = robust(backbone, 5, between=[1, 3])
        fill_randomly(adapter)
        model = model_of(backbone, adapter).train()
        backbone.checkpointing = checkpointing
        try:
            losses = [model(**batch).last_hidden_state.square().mean() for _ in range(4)]
            sum(losses).backward()
        finally:
            backbone.checkpointing = False
        found.append({name: p.grad for name, p in adapter.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert_same(found[1][name], gradient, name)


def test_members_of_a_new_fusion_draw_nothing(tiny):
    member = {"type": "drop", "inner": INNER, "layers": 3, "robust": True}
    fusion = build_adapter({"type": "fusion", "members": {"a": member}}, tiny("bert").info)
    for _ in range(10):
        fusion.begin()
        assert {site.layer for site in fusion.members["a"].edits} == {4}


def test_a_range_is_for_robust_training_alone(tiny):
    with pytest.raises(ConfigError, match="between is for robust training alone"):
        build_adapter({"type": "drop", "inner": INNER, "between": [0, 2]}, tiny("bert").info)
