"""The same weights in AdapterHub's package `adapters` (1.3.0) and in ours give the same hidden states."""

import math

import pytest
import torch
from torch import nn
from transformers import AutoModel

from kadapter import build_adapter
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import features_of

adapters = pytest.importorskip("adapters", reason="`adapters` is there beside transformers 4.57.6 alone")

MEMBERS = {"a": 16, "b": 8, "c": 4}
"""Name -> reduction factor."""

CASES = {
    "dynamic": ({}, adapters.DynamicAdapterFusionConfig()),
    "static": ({"value": False}, adapters.StaticAdapterFusionConfig()),
    "without a key": ({"key": False}, adapters.DynamicAdapterFusionConfig(key=False)),
    "without a query": ({"query": False}, adapters.DynamicAdapterFusionConfig(query=False)),
}
"""What is compared: our options, and theirs."""

BLOCK = {"bert": "encoder.layer.{}.output", "roberta": "encoder.layer.{}.output", "gpt2": "h.{}.output_adapters"}
"""Family -> where in their model what works at the end of a layer, counted from 0, is."""

SITE = {"bert": "{}-feedforward-norm", "roberta": "{}-feedforward-norm", "gpt2": "{}-output"}


def peer_of(backbone, config):
    """Their model with the weights of a backbone; the weights of members and fusion are filled at random."""
    # Another model, since `init` changes the one that it is given.
    model = AutoModel.from_config(backbone.model.config)
    model.load_state_dict(backbone.model.state_dict())
    adapters.init(model)
    for name, reduction in MEMBERS.items():
        model.add_adapter(name, config=adapters.SeqBnConfig(reduction_factor=reduction))
    fuse = adapters.Fuse(*MEMBERS)
    model.add_adapter_fusion(fuse, config)
    model.set_active_adapters(fuse)
    for seed, part in enumerate(peers_parts(model)):
        fill_randomly(part, seed)
    return model.eval()


def peers_parts(model):
    ends = (".adapter_fusion_layer.a,b,c", *(f".adapters.{name}" for name in MEMBERS))
    return [module for name, module in model.named_modules() if name.endswith(ends)]


def fusion_like(peer, family, options, backbone):
    """Our fusion with their weights."""
    members = {
        name: {"type": "standard", "preset": "seq_bn", "reduction": reduction} for name, reduction in MEMBERS.items()
    }
    fusion = build_adapter({"type": "fusion", "members": members, **options}, backbone.info)
    for weight in fusion.parameters():
        nn.init.constant_(weight, math.nan)
    for layer in range(backbone.info.layers):
        block, key = peer.get_submodule(BLOCK[family].format(layer)), SITE[family].format(layer + 1)
        for name, member in fusion.members.items():
            copy_bottleneck(member.bottlenecks[key], block.adapters[name])
        copy_mixer(fusion.mixers[key], block.adapter_fusion_layer["a,b,c"])
    return fusion.eval()


def copy_bottleneck(own, theirs):
    own.down.load_state_dict(theirs.adapter_down[0].state_dict())
    own.up.load_state_dict(theirs.adapter_up.state_dict())


def copy_mixer(own, theirs):
    for name in ("query", "key"):
        if getattr(own, name) is not None:
            getattr(own, name).load_state_dict(getattr(theirs, name).state_dict())
    if own.value is not None:
        own.value.data.copy_(theirs.value.weight)


def size(module):
    return sum(weight.numel() for weight in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("family", BLOCK)
def test_hidden_states_are_those_of_adapterhub(tiny, family, case, give):
    options, config = CASES[case]
    backbone = tiny(family)
    peer = peer_of(backbone, config)
    fusion = fusion_like(peer, family, options, backbone)
    assert size(fusion) == sum(map(size, peers_parts(peer)))
    batch = tiny_batch(backbone)
    real = batch["attention_mask"].bool()
    assert not real.all()
    expected, given = peer(**batch).last_hidden_state, give(fusion, backbone, batch)
    torch.testing.assert_close(given[real], expected[real], rtol=0, atol=1e-5)
    # It is not the plain model that both give, and not one member alone.
    assert (given - backbone.model(**batch).last_hidden_state).abs().max() > 0.1
    for member in fusion.members.values():
        assert (given - features_of(member, backbone, batch)).abs().max() > 0.1


def test_the_penalty_is_that_of_adapterhub(tiny):
    peer = peer_of(tiny("bert"), adapters.DynamicAdapterFusionConfig())
    fusion = fusion_like(peer, "bert", {}, tiny("bert"))
    torch.testing.assert_close(fusion.penalty(), peer.get_fusion_regularization_loss(), rtol=1e-6, atol=1e-6)
