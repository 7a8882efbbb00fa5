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

CASES = {
    "double_seq_bn": ({"preset": "double_seq_bn"}, adapters.DoubleSeqBnConfig()),
    "seq_bn": ({"preset": "seq_bn"}, adapters.SeqBnConfig()),
    "par_bn": ({"preset": "par_bn"}, adapters.ParBnConfig()),
    "seq_bn in both places": (
        {"preset": "seq_bn", "places": ["attention", "feedforward"]},
        adapters.SeqBnConfig(mh_adapter=True),
    ),
    "other sizes": (
        {"preset": "double_seq_bn", "size": [8, 4, 16, 8]},
        adapters.DoubleSeqBnConfig(reduction_factor={"1": 8, "2": 2, "default": 4}),
    ),
    "par_bn of another activation, without a layer": (
        {"preset": "par_bn", "activation": "gelu", "leave_out": [2]},
        adapters.ParBnConfig(non_linearity="gelu", leave_out=[1]),
    ),
    "learned scale": (
        {"preset": "double_seq_bn", "scale": "learned"},
        adapters.DoubleSeqBnConfig(scaling="learned"),
    ),
    "par_bn with a learned scale": ({"preset": "par_bn", "scale": "learned"}, adapters.ParBnConfig(scaling="learned")),
    "norms in double_seq_bn": (
        {"preset": "double_seq_bn", "norm_before": True, "norm_after": True},
        adapters.DoubleSeqBnConfig(ln_before=True, ln_after=True),
    ),
    "norms in seq_bn": (
        {"preset": "seq_bn", "norm_before": True, "norm_after": True},
        adapters.SeqBnConfig(ln_before=True, ln_after=True),
    ),
    "norms in par_bn": (
        {"preset": "par_bn", "norm_before": True, "norm_after": True},
        adapters.ParBnConfig(ln_before=True, ln_after=True),
    ),
}
"""What is compared: our options, and theirs."""

BERT = {"attention": "encoder.layer.{}.attention.output", "feedforward": "encoder.layer.{}.output"}


def blocks(path):
    """Where the bottlenecks are in a family whose layers hold them by these names."""
    behind = f"{path}.{{}}.output_adapters"
    return {"attention": f"{path}.{{}}.attention_adapters", "feedforward": behind, "output": behind}


BOTTLENECKS = {
    "bert": BERT,
    "roberta": BERT,
    "distilbert": blocks("transformer.layer"),
    "gpt2": blocks("h"),
    "llama": blocks("layers"),
}
"""Family -> place -> where in their model the bottlenecks of a layer, counted from 0, are."""

# Where norms stand before the sub-layers, what is beside one takes its input in ours, the residual stream in theirs.
COMPARED = [
    *((family, case) for family in ("bert", "roberta", "distilbert") for case in CASES),
    *((family, case) for family in ("gpt2", "llama") for case in CASES if "par" not in case and "both" not in case),
]


def peer_of(backbone, config):
    """Their model with the weights of a backbone; the weights of its adapter are filled at random."""
    # Another model, since `init` changes the one that it is given.
    model = AutoModel.from_config(backbone.model.config)
    model.load_state_dict(backbone.model.state_dict())
    adapters.init(model)
    model.add_adapter("peer", config=config, set_active=True)
    for seed, part in enumerate(peers_parts(model)):
        fill_randomly(part, seed)
    return model.eval()


def peers_parts(model):
    return [module for name, module in model.named_modules() if name.endswith(".adapters.peer")]


def adapter_like(model, family, options, backbone):
    """Our adapter with their weights."""
    adapter = build_adapter({"type": "standard", **options}, backbone.info)
    for weight in adapter.parameters():
        nn.init.constant_(weight, math.nan)
    for key, own in adapter.bottlenecks.items():
        layer, place = key.split("-")[:2]
        path = BOTTLENECKS[family][place].format(int(layer) - 1)
        copy_into(own, model.get_submodule(f"{path}.adapters.peer"))
    return adapter.eval()


def copy_into(own, theirs):
    """Give one of our bottlenecks the weights of one of theirs."""
    own.down.load_state_dict(next(part for part in theirs.adapter_down if isinstance(part, nn.Linear)).state_dict())
    own.up.load_state_dict(theirs.adapter_up.state_dict())
    if isinstance(own.norm_before, nn.LayerNorm):
        own.norm_before.load_state_dict(theirs.adapter_norm_before.state_dict())
    if isinstance(own.norm_after, nn.LayerNorm):
        own.norm_after.load_state_dict(theirs.adapter_norm_after.state_dict())
    if isinstance(own.scale, nn.Parameter):
        own.scale.data.copy_(theirs.scaling)


def size(module):
    return sum(weight.numel() for weight in module.parameters())


@torch.no_grad()
@pytest.mark.parametrize(("family", "case"), COMPARED)
def test_hidden_states_are_those_of_adapterhub(tiny, family, case):
    options, config = CASES[case]
    backbone = tiny(family)
    peer = peer_of(backbone, config)
    adapter = adapter_like(peer, family, options, backbone)
    assert size(adapter) == sum(map(size, peers_parts(peer)))
    batch = tiny_batch(backbone)
    real = batch["attention_mask"].bool()
    assert not real.all()
    expected, given = peer(**batch).last_hidden_state, features_of(adapter, backbone, batch)
    torch.testing.assert_close(given[real], expected[real], rtol=0, atol=1e-6)
    # It is not the plain model that both give.
    assert (given - backbone.model(**batch).last_hidden_state).abs().max() > 0.1
