"""Every family of transformers gets a standard adapter: it starts as next to nothing, and every part of it matters."""

import pytest
import torch

from kadapter import KnowledgeModel, build_adapter
from kadapter.testing import FAMILIES, tiny_batch
from kadapter.testing.comparing import assert_same, features_of

every_family = pytest.mark.parametrize("family", FAMILIES)
every_preset = pytest.mark.parametrize("preset", ["houlsby", "pfeiffer", "parallel"])


@torch.no_grad()
def last_state(backbone):
    return KnowledgeModel(backbone).eval()(**tiny_batch(backbone)).last_hidden_state


def distance(features, backbone):
    """How far features are from the backbone's last state, beside its length."""
    last = last_state(backbone)
    return ((features - last).norm() / last.norm()).item()


@every_family
@pytest.mark.parametrize("preset", ["houlsby", "pfeiffer"])
def test_it_starts_as_next_to_nothing(tiny, family, preset):
    backbone = tiny(family)
    adapter = build_adapter({"type": "standard", "preset": preset}, backbone.info).eval()
    assert 0 < distance(features_of(adapter, backbone, tiny_batch(backbone)), backbone) < 0.02


@every_family
def test_a_parallel_one_starts_as_nothing_bit_for_bit(tiny, family):
    backbone = tiny(family)
    adapter = build_adapter({"type": "standard", "preset": "parallel"}, backbone.info).eval()
    assert_same(features_of(adapter, backbone, tiny_batch(backbone)), last_state(backbone), "a parallel one")


@every_family
@every_preset
def test_its_weights_change_the_features(tiny, built, family, preset):
    backbone = tiny(family)
    features = features_of(built(backbone, preset=preset), backbone, tiny_batch(backbone))
    assert features.isfinite().all()
    assert distance(features, backbone) > 0.1


@every_family
@every_preset
def test_every_one_of_its_weights_matters(tiny, built, family, preset):
    backbone = tiny(family)
    # So wide that no activation is dead by chance.
    adapter = built(backbone, preset=preset, size=16)
    model = KnowledgeModel(backbone)
    model.plug("alone", adapter)
    model(**tiny_batch(backbone)).features["alone"].square().sum().backward()
    without = [name for name, weight in adapter.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not without, f"no gradient reaches {without}"
